"""Programs that fork while an event loop is there; each prints what parent and child saw.

Run as `python loop_fork_programs.py MODULE:CLASS PROGRAM`.
"""

import asyncio
import importlib
import multiprocessing
import os
import socket
import sys
import traceback
import warnings

module, _, attribute = sys.argv[1].partition(":")
Loop = getattr(importlib.import_module(module), attribute)


def forked(child):
    """Run a function in a forked child; return what it returned, as a text, or its exception."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        try:
            text = str(child())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text


def running(coroutine):
    """Run a coroutine on a new loop."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(coroutine)


async def work():
    """What needs timers, callbacks, descriptors, other threads and a child process."""
    loop = asyncio.get_running_loop()
    first, second = socket.socketpair()
    first.setblocking(False)
    with first, second:
        loop.call_later(0.001, second.send, b"x")
        received = await loop.sock_recv(first, 10)
    sum_ = await loop.run_in_executor(None, sum, [1, 2])
    process = await asyncio.create_subprocess_exec("/bin/true")
    return received, sum_, await process.wait(), type(loop) is Loop


async def some_of_it():
    """What needs timers, callbacks and descriptors."""
    loop = asyncio.get_running_loop()
    first, second = socket.socketpair()
    first.setblocking(False)
    with first, second:
        loop.call_later(0.001, second.send, b"x")
        return await loop.sock_recv(first, 10)


def a_child_runs_a_loop_of_its_own_while_the_parents_is_idle():
    loop = Loop()
    loop.run_until_complete(work())
    print(forked(lambda: running(work())))
    print(loop.run_until_complete(work()))
    loop.close()


def a_child_runs_a_loop_of_its_own_while_the_parents_runs():
    async def main():
        print(forked(lambda: running(work())))
        return await work()

    print(running(main()))


def a_child_has_no_running_loop():
    async def main():
        print(forked(asyncio.get_running_loop))
        print(forked(asyncio._get_running_loop))
        return type(asyncio.get_running_loop()) is Loop

    print(running(main()))


def an_inherited_loop_that_was_idle_works_in_the_child():
    loop = Loop()
    loop.run_until_complete(work())
    # Not in an executor: its threads are not in the child.
    print(forked(lambda: loop.run_until_complete(some_of_it())))
    print(loop.run_until_complete(work()))
    loop.close()


def an_inherited_loop_that_ran_is_still_said_to_run():
    async def main():
        loop = asyncio.get_running_loop()
        print(forked(loop.is_running))
        print(forked(loop.close))
        return await work()

    print(running(main()))


def a_child_that_ends_its_inherited_loop_does_not_disturb_the_parent():
    loop = Loop()
    first, second = socket.socketpair()
    heard = []
    loop.add_reader(first, lambda: (heard.append(first.recv(10)), loop.stop()))

    def child():
        loop.remove_reader(first)
        loop.close()

    print(forked(child))
    second.send(b"heard")
    loop.run_forever()
    print(heard)
    loop.close()


def what_a_child_watches_is_no_news_to_the_parent():
    loop = Loop()
    first, second = socket.socketpair()

    def child():
        loop.add_reader(first, print)
        second.send(b"x")
        return "watches"

    print(forked(child))
    loop.run_until_complete(asyncio.sleep(0.01))
    print(loop.run_until_complete(work()))
    loop.close()


def a_pool_of_processes_forked_from_within_a_task_works():
    async def main():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            queue = multiprocessing.get_context("fork").Queue()
            process = multiprocessing.get_context("fork").Process(target=in_process, args=(queue,))
            process.start()
        loop = asyncio.get_running_loop()
        print(await loop.run_in_executor(None, queue.get))
        await loop.run_in_executor(None, process.join)
        print(process.exitcode)
        return await work()

    print(running(main()))


def in_process(queue):
    queue.put(running(work()))


globals()[sys.argv[2]]()

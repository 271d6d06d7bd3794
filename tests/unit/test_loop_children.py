"""Children of the event loop: watched without threads and signal handlers, from every thread's loop."""

import asyncio
import gc
import os
import pathlib
import signal
import sys
import threading

import pytest

from threefold.asyncio import EventLoop

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from loop_figures import descriptor_count

LIMIT_S = 60


def run(main):
    """Run a coroutine to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(asyncio.wait_for(main, LIMIT_S))


async def end_of(*arguments):
    process = await asyncio.create_subprocess_exec(*arguments)
    return await process.wait()


def test_return_codes_are_those_of_the_children():
    async def main():
        assert await end_of("/bin/true") == 0
        process = await asyncio.create_subprocess_shell("exit 3")
        assert await process.wait() == 3 == process.returncode
        process = await asyncio.create_subprocess_exec("/bin/sleep", "1000")
        process.terminate()
        assert await process.wait() == -signal.SIGTERM
        codes = await asyncio.gather(*(end_of("/bin/sh", "-c", f"exit {code}") for code in range(20)))
        assert codes == list(range(20))

    run(main())


def test_what_a_child_writes_arrives_before_its_end():
    async def main():
        data = os.urandom(1 << 20)
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=-1, stdout=-1)
        out, _err = await process.communicate(data)
        assert out == data
        assert process.returncode == 0

    run(main())


def test_children_need_no_thread_and_no_handler_and_leave_no_descriptor():
    async def main():
        await end_of("/bin/true")
        before, thread_count = descriptor_count(), threading.active_count()
        children = [asyncio.create_task(end_of("/bin/sleep", "0.05")) for _ in range(5)]
        await asyncio.sleep(0)
        assert threading.active_count() <= thread_count
        assert await asyncio.gather(*children) == [0] * 5
        assert descriptor_count() == before

    handler = signal.getsignal(signal.SIGCHLD)
    run(main())
    assert signal.getsignal(signal.SIGCHLD) is handler


def test_loops_of_eight_threads_have_their_own_children():
    results = {}

    def work(number):
        async def main():
            codes = await asyncio.gather(*(end_of("/bin/sh", "-c", f"exit {number}") for _ in range(5)))
            out = await asyncio.create_subprocess_exec("/bin/echo", str(number), stdout=-1)
            return codes, (await out.communicate())[0]

        results[number] = run(main())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert results == {number: ([number] * 5, b"%d\n" % number) for number in range(8)}


def test_a_child_that_was_reaped_by_poll_has_its_own_return_code():
    async def main():
        process = await asyncio.create_subprocess_shell("exit 5")
        popen = process._transport.get_extra_info("subprocess")
        while popen.poll() is None:
            pass
        assert await process.wait() == 5

    run(main())


def test_a_child_that_somebody_else_reaped_is_reported(caplog):
    async def main():
        process = await asyncio.create_subprocess_exec("/bin/sleep", "1000")
        os.kill(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)  # noqa: ASYNC222 - the loop must not be the one that reaps it
        assert await process.wait() == 255

    run(main())
    assert "exit status already read" in caplog.text


def test_without_descriptors_left_a_child_is_waited_for_all_the_same(monkeypatch):
    def refuse(_pid, _flags=0):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert run(end_of("/bin/sh", "-c", "exit 4")) == 4


def test_a_program_that_is_not_there_is_an_error_and_leaves_nothing():
    async def main():
        before = descriptor_count()
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/no/such/program", stdin=-1, stdout=-1)
        assert descriptor_count() == before

    run(main())


def test_a_cancelled_wait_leaves_the_child_to_the_next():
    async def main():
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=-1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.01)
        process.stdin.close()
        assert await process.wait() == 0

    run(main())


def test_a_loop_that_is_closed_with_a_child_leaves_no_descriptor():
    gc.collect()
    before = descriptor_count()
    loop = EventLoop()

    async def main():
        return await asyncio.create_subprocess_exec("/bin/sleep", "1000")

    process = loop.run_until_complete(main())
    popen = process._transport.get_extra_info("subprocess")
    process._transport.close()
    loop.close()
    # The loop's own descriptors go with the loop.
    del process, loop
    gc.collect()
    assert descriptor_count() == before
    assert popen.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="watchers are gone in 3.14")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_watcher_of_the_program_is_asked():
    added = []

    class Watcher(asyncio.ThreadedChildWatcher):
        def add_child_handler(self, pid, callback, *args):
            added.append(pid)
            super().add_child_handler(pid, callback, *args)

    async def main():
        process = await asyncio.create_subprocess_exec("/bin/true")
        await process.wait()
        assert added == [process.pid]

    asyncio.set_child_watcher(Watcher())
    try:
        run(main())
    finally:
        asyncio.set_child_watcher(None)


def test_hundreds_of_children_end_one_after_another():
    async def main():
        for _ in range(10):
            assert await asyncio.gather(*(end_of("/bin/true") for _ in range(20))) == [0] * 20

    run(main())

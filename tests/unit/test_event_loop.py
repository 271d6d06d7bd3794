"""The event loop: callbacks, timers, threads, descriptors, errors, beginning and end."""

import asyncio as standard
import contextvars
import gc
import inspect
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from pathlib import Path

import pytest

from threefold import asyncio
from threefold.asyncio import EventLoop

sys.path.insert(0, str(Path(__file__).parent))
from loop_figures import descriptor_count
from loop_rig import run_until


@pytest.fixture
def loop():
    loop = EventLoop()
    yield loop
    loop.close()


def test_every_public_name_of_the_standard_module_is_there():
    assert set(standard.__all__) <= set(asyncio.__all__)
    for name in standard.__all__:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert getattr(asyncio, name) is not None
    assert asyncio.sleep is standard.sleep
    assert asyncio.events is standard.events
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        asyncio.nonsense  # noqa: B018


def test_the_methods_of_the_loop_are_those_of_the_standard_one():
    for name, method in inspect.getmembers(standard.AbstractEventLoop, callable):
        if not name.startswith("_"):
            assert callable(getattr(EventLoop, name)), name
            assert getattr(EventLoop, name) is not method, f"{name} is not implemented"


def test_run_returns_what_the_coroutine_returns_and_closes_its_loop():
    async def main():
        loop = asyncio.get_running_loop()
        assert type(loop) is EventLoop
        return loop

    assert asyncio.run(main()).is_closed()
    with asyncio.Runner() as runner:
        first = runner.run(main())
        assert runner.run(main()) is first
    assert first.is_closed()
    loops = []
    asyncio.run(main(), loop_factory=lambda: loops.append(EventLoop()) or loops[0])
    assert loops[0].is_closed()


def test_run_inside_a_running_loop_is_refused():
    async def main():
        coroutine = main()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            asyncio.run(coroutine)
        coroutine.close()

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies are on their way out there")
def test_a_program_may_choose_the_loop_by_its_policy():
    before = standard.get_event_loop_policy()
    standard.set_event_loop_policy(asyncio.EventLoopPolicy())
    try:
        loop = standard.new_event_loop()
        loop.close()
        assert type(loop) is EventLoop
    finally:
        standard.set_event_loop_policy(before)


def test_callbacks_run_in_their_order_with_their_arguments(loop):
    seen = []
    for number in range(5):
        loop.call_soon(lambda *args: seen.append(args), *range(number))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [tuple(range(number)) for number in range(5)]


def test_a_callback_runs_in_its_context(loop):
    variable = contextvars.ContextVar("variable", default="none")
    seen = []
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    loop.call_soon(lambda: seen.append(variable.get()), context=context)
    variable.set("current")
    loop.call_soon(lambda: seen.append(variable.get()), context=None)
    loop.call_later(0, lambda: seen.append(variable.get()), context=context)
    loop.call_soon_threadsafe(lambda: seen.append(variable.get()), context=context)
    run_until(loop, lambda: len(seen) == 4)
    assert sorted(seen) == ["current", "given", "given", "given"]


def test_handles_are_the_standard_library_s(loop):
    soon, later = loop.call_soon(print, 1), loop.call_later(60, print, 2)
    assert isinstance(soon, standard.Handle)
    assert isinstance(later, standard.TimerHandle)
    assert "print" in repr(soon)
    assert later.when() > loop.time()
    assert weakref.ref(soon)() is soon
    for handle in (soon, later):
        assert not handle.cancelled()
        handle.cancel()
        handle.cancel()
        assert handle.cancelled()
        assert "cancelled" in repr(handle)


def test_a_cancelled_callback_does_not_run(loop):
    seen = []
    loop.call_soon(seen.append, "soon").cancel()
    loop.call_later(0, seen.append, "later").cancel()
    handle = loop.call_soon(lambda: handle.cancel() or seen.append("its own"))
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert seen == ["its own"]


def test_a_cancelled_callback_lets_go_of_its_arguments(loop):
    class Argument:
        pass

    argument = Argument()
    gone = weakref.ref(argument)
    handles = [loop.call_soon(print, argument), loop.call_later(60, print, argument)]
    del argument
    for handle in handles:
        handle.cancel()
    assert gone() is None


def test_timers_run_by_their_time_and_then_by_their_arrival(loop):
    seen = []
    now = loop.time()
    for name, when in [("d", now + 0.02), ("a", now), ("c", now + 0.01), ("b", now)]:
        loop.call_at(when, seen.append, name)
    run_until(loop, lambda: len(seen) == 4)
    assert seen == ["a", "b", "c", "d"]


@pytest.mark.parametrize("seconds", [0.0003, 0.002, 0.05])
def test_a_timer_is_never_early(loop, seconds):
    async def sleep():
        begin = time.monotonic()
        await standard.sleep(seconds)
        return time.monotonic() - begin

    slept = [loop.run_until_complete(sleep()) for _ in range(20)]
    assert min(slept) >= seconds - 1e-6


def test_a_timer_of_less_than_a_millisecond_does_not_take_a_whole_one(loop):
    async def sleep():
        begin = time.monotonic()
        await standard.sleep(0.0003)
        return time.monotonic() - begin

    # The least of many: the machine may be busy.
    assert min(loop.run_until_complete(sleep()) for _ in range(200)) < 0.0008


def test_cancelled_timers_do_not_stay_in_memory(loop):
    for _ in range(50_000):
        loop.call_later(3600, print).cancel()
    assert loop._counts()[1] < 1000


@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_a_timer_without_a_time_is_an_error(loop, method):
    with pytest.raises(TypeError, match="None"):
        getattr(loop, method)(None, print)
    with pytest.raises(TypeError):
        getattr(loop, method)("soon", print)
    with pytest.raises(TypeError):
        getattr(loop, method)()


def test_a_callback_that_is_none_is_an_error_in_debug_mode(loop):
    loop.set_debug(True)
    with pytest.raises(TypeError, match="a callable object was expected"):
        loop.call_soon(5)
    with pytest.raises(TypeError, match="coroutines cannot be used with call_at"):
        loop.call_at(0, test_a_callback_that_is_none_is_an_error_in_debug_mode.__class__.__call__ and _coroutine)


async def _coroutine():
    pass


def test_what_threads_bring_wakes_the_loop_and_keeps_its_order(loop):
    seen = []

    def bring():
        for number in range(1000):
            loop.call_soon_threadsafe(seen.append, number)

    thread = threading.Thread(target=bring)
    loop.call_soon(thread.start)
    run_until(loop, lambda: len(seen) == 1000)
    thread.join()
    assert seen == list(range(1000))


def test_a_sleeping_loop_is_woken_by_a_thread(loop):
    thread = threading.Thread(target=lambda: (time.sleep(0.05), loop.call_soon_threadsafe(loop.stop)))
    thread.start()
    begin = time.monotonic()
    loop.run_forever()
    assert time.monotonic() - begin < 30
    thread.join()


def test_a_call_from_a_thread_comes_before_what_is_called_later(loop):
    seen = []
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(seen.append, "thread"))
    thread.start()
    thread.join()
    loop.call_soon(seen.append, "loop")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["thread", "loop"]


def test_an_error_in_a_callback_is_reported_and_the_loop_goes_on(loop):
    reports, seen = [], []
    loop.set_exception_handler(lambda _loop, context: reports.append(context))
    loop.call_soon(lambda: 1 // 0)
    loop.call_soon(seen.append, "after")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["after"]
    assert isinstance(reports[0]["exception"], ZeroDivisionError)
    assert reports[0]["message"].startswith("Exception in callback ")
    assert isinstance(reports[0]["handle"], standard.Handle)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_leaves_the_loop_and_nothing_is_lost(loop, kind):
    seen = []

    def end():
        raise kind("over")

    loop.call_soon(end)
    loop.call_soon(seen.append, "next")
    with pytest.raises(kind, match="over"):
        loop.run_forever()
    assert seen == []
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["next"]


def test_ctrl_c_reaches_a_loop_that_sleeps():
    program = (
        "import os, signal, threading\nfrom threefold import asyncio\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "async def main():\n"
        "    try:\n        await asyncio.sleep(60)\n"
        "    finally:\n        print('cleaned up', flush=True)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "cleaned up\n"
    assert done.stderr.count("Traceback") <= 2
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert done.returncode == -signal.SIGINT


def test_a_signal_handler_of_the_loop_runs_in_it(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "usr1")
    loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
    run_until(loop, lambda: seen)
    assert seen == ["usr1"]
    assert loop.remove_signal_handler(signal.SIGUSR1)
    assert not loop.remove_signal_handler(signal.SIGUSR1)


def test_a_slow_callback_is_named_in_debug_mode(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    loop.call_soon(time.sleep, 0.05)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert any("Executing <Handle" in text and "test_event_loop.py" in text for text in caplog.messages)


def test_a_call_from_the_wrong_thread_is_an_error_in_debug_mode(loop):
    loop.set_debug(True)
    errors = []

    def call():
        for method, arguments in [(loop.call_soon, ()), (loop.call_later, (1,)), (loop.call_at, (1,))]:
            try:
                method(*arguments, print)
            except RuntimeError as error:
                errors.append(str(error))

    async def main():
        await loop.run_in_executor(None, call)

    loop.run_until_complete(main())
    assert len(errors) == 3
    assert all("Non-thread-safe operation" in error for error in errors)


def test_a_closed_loop_refuses_everything():
    loop = EventLoop()
    loop.close()
    loop.close()
    for call in (
        lambda: loop.call_soon(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(1, print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.add_reader(0, print),
        loop.run_forever,
        lambda: loop.run_in_executor(None, print),
    ):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            call()
    assert repr(loop) == "<EventLoop running=False closed=True debug=False>"


def test_a_running_loop_cannot_be_closed_or_run_again(loop):
    async def main():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()

    loop.run_until_complete(main())


def test_loops_leave_neither_descriptors_nor_memory_behind():
    async def main():
        await standard.sleep(0)
        await standard.get_running_loop().run_in_executor(None, int)

    def rounds(count):
        for _ in range(count):
            asyncio.run(main())
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    rounds(100)
    before, descriptors = rounds(1), descriptor_count()
    after = rounds(500)
    assert descriptor_count() == descriptors
    assert after - before < 4096  # KiB


def test_a_loop_that_was_never_closed_warns_and_is_collected():
    descriptors = descriptor_count()

    def leave_a_loop():
        loop = EventLoop()
        loop.call_soon(lambda: loop)
        loop.call_later(60, lambda: loop)
        return weakref.ref(loop)

    gone = leave_a_loop()
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    assert gone() is None
    assert descriptor_count() == descriptors


def test_loops_run_in_many_threads_at_once():
    async def main(number):
        await standard.gather(*(standard.sleep(0.001 * part) for part in range(10)))
        return number

    results = []
    threads = [
        threading.Thread(target=lambda number=number: results.append(asyncio.run(main(number)))) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(8))


def test_connections_and_children_work_on_it(tmp_path):
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def main():
        path = str(tmp_path / "socket")
        servers = [await asyncio.start_server(answer, "127.0.0.1", 0), await asyncio.start_unix_server(answer, path)]
        answers = []
        for opening in (
            asyncio.open_connection(*servers[0].sockets[0].getsockname()),
            asyncio.open_unix_connection(path),
        ):
            reader, writer = await opening
            writer.write(b"hello\n")
            answers.append(await reader.read())
            writer.close()
            await writer.wait_closed()
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(input()[::-1])", stdin=-1, stdout=-1)
        answers.append((await child.communicate(b"live\n"))[0])
        for server in servers:
            server.close()
            await server.wait_closed()
        return answers

    assert asyncio.run(main()) == [b"HELLO\n", b"HELLO\n", b"evil\n"]


def test_our_queue_wakes_tasks_on_it():
    from threefold import queue

    shared = queue.Queue()
    thread = threading.Thread(target=lambda: [shared.put(number) for number in range(100)])

    async def main():
        thread.start()
        return [await shared.get_async() for _ in range(100)]

    assert asyncio.run(main()) == list(range(100))
    thread.join()

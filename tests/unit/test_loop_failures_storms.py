"""Storms of interrupts, signals, stops, timers and children: nothing is lost, and the loop goes on."""

import asyncio
import contextlib
import ctypes
import functools
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loop_figures import descriptor_count, resident_kib
from stream_rig import LIMIT_S, Recorder, connect, run

from threefold.asyncio import EventLoop


class Armed(EventLoop):
    """Says when an interrupt hits the loop's turns, and not the standard library's code around them."""

    is_armed = False

    def _run_once(self) -> None:
        self.is_armed = True
        try:
            super()._run_once()
        finally:
            self.is_armed = False


@contextlib.contextmanager
def interrupts(loop: Armed) -> Generator[list[int]]:
    """Raise KeyboardInterrupt in the loop's turns at each alarm; yields a list with an entry for each."""
    sent: list[int] = []

    def strike(_number: int, _frame: object) -> None:
        if loop.is_armed:
            loop.is_armed = False
            sent.append(1)
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, strike)
    try:
        yield sent
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# Where the interpreter itself has no place for an exception, it goes nowhere: in a callback of a weak reference.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["callbacks", "timers", "threadsafe", "tasks"])
def test_interrupts_at_random_moments_lose_only_what_they_hit(kind: str) -> None:
    chooser = random.Random(kind)
    count, began, ended = 20_000, list[int](), list[int]()

    def work(number: int) -> None:
        began.append(number)
        ended.append(number)

    async def task(number: int) -> None:
        await asyncio.sleep(0)
        work(number)

    loop = Armed()
    loop.set_exception_handler(lambda _loop, _context: None)
    for number in range(count):
        if kind == "callbacks":
            loop.call_soon(work, number)
        elif kind == "timers":
            loop.call_later(number * 1e-6, work, number)
        elif kind == "threadsafe":
            loop.call_soon_threadsafe(work, number)
        else:
            loop.create_task(task(number))
    times, has_stopped = 0, False
    with interrupts(loop) as sent:
        while not has_stopped:
            # The callback that stops the loop may be hit itself.
            stopping = loop.call_later(0.05, loop.stop)
            signal.setitimer(signal.ITIMER_REAL, chooser.uniform(1e-5, 2e-3) if times < 60 else 0)
            try:
                loop.run_forever()
                has_stopped = True
            except KeyboardInterrupt:
                times += 1
                stopping.cancel()
    while loop._counts()[0] or loop._counts()[1]:
        loop.run_until_complete(asyncio.sleep(0.06))
    loop.close()
    # Each interrupt ends at most one callback, at its beginning or in its middle; the others run once, and in order.
    assert times == len(sent) or kind == "tasks"
    assert count - len(sent) <= len(ended) <= len(began) <= count
    assert began == sorted(set(began))
    assert ended == sorted(set(ended))


def test_an_interrupt_reaches_a_loop_that_runs_no_python_code() -> None:
    def strike(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    loop = EventLoop()
    again = functools.partial(loop.call_soon)
    again.__setstate__((loop.call_soon, (again,), {}, {}))  # type: ignore[attr-defined]
    again()
    # In case it does not.
    late = loop.call_later(LIMIT_S / 3, loop.stop)
    previous = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        assert loop.time() < late.when()
    finally:
        signal.signal(signal.SIGALRM, previous)
        loop.close()


def test_ctrl_c_leaves_run_and_everything_is_cleaned_up() -> None:
    async def main(cleaned: list[str]) -> None:
        async def serve() -> None:
            is_serving.set()
            try:
                await asyncio.sleep(3600)
            finally:
                cleaned.append("task")

        is_serving = asyncio.Event()
        serving = asyncio.create_task(serve())
        transport, protocol, peer = await connect()
        await is_serving.wait()
        threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await serving
        finally:
            transport.abort()
            await protocol.lost
            peer.close()
            cleaned.append("main")

    before = descriptor_count()
    for _ in range(10):
        cleaned: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            run(main(cleaned))
        assert sorted(cleaned) == ["main", "task"]
    assert descriptor_count() == before


SENDER = """
import os, signal, sys
for number in range(int(sys.argv[2])):
    os.kill(int(sys.argv[1]), (signal.SIGUSR1, signal.SIGUSR2)[number % 2])
"""


@pytest.mark.filterwarnings("ignore")
def test_a_storm_of_signals_leaves_the_loop_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        heard = {signal.SIGUSR1: 0, signal.SIGUSR2: 0}
        changed = asyncio.Event()

        def hear(number: signal.Signals) -> None:
            heard[number] += 1
            changed.set()

        for number in heard:
            loop.add_signal_handler(number, hear, number)
        command = [sys.executable, "-c", SENDER, str(os.getpid()), "10000"]
        with subprocess.Popen(command) as sender:  # noqa: ASYNC220 - polled
            turns = 0
            while sender.poll() is None:
                await asyncio.sleep(0)
                turns += 1
        assert turns > 10
        await asyncio.sleep(0.01)
        assert 1 <= heard[signal.SIGUSR1] <= 5000
        assert 1 <= heard[signal.SIGUSR2] <= 5000
        # And the next ones are heard of as ever.
        for number in heard:
            changed.clear()
            os.kill(os.getpid(), number)
            await asyncio.wait_for(changed.wait(), LIMIT_S)
        for number in heard:
            assert loop.remove_signal_handler(number)

    run(main())
    capfd.readouterr()


def test_a_stop_inside_any_callback_lets_its_turn_end_and_loses_nothing() -> None:
    loop = EventLoop()
    seen: list[str] = []
    transport, protocol, peer = loop.run_until_complete(connect())
    reader, writer = os.pipe()

    def stop(name: str) -> None:
        seen.append(name)
        loop.stop()

    def turn(*expected: str) -> None:
        seen.clear()
        loop.run_forever()
        assert seen == list(expected)

    def read() -> None:
        os.read(reader, 1)
        stop("reader")

    loop.call_soon(stop, "soon")
    loop.call_soon(seen.append, "same turn")
    loop.call_soon(loop.call_soon, seen.append, "next turn")
    turn("soon", "same turn")
    loop.call_soon(loop.stop)
    turn("next turn")
    loop.call_later(0.001, stop, "timer")
    turn("timer")
    loop.call_soon_threadsafe(stop, "threadsafe")
    turn("threadsafe")
    loop.add_reader(reader, read)
    os.write(writer, b"x")
    turn("reader")
    loop.remove_reader(reader)
    loop.add_signal_handler(signal.SIGUSR1, stop, "signal")
    os.kill(os.getpid(), signal.SIGUSR1)
    turn("signal")
    loop.remove_signal_handler(signal.SIGUSR1)
    protocol.data_received = lambda data: stop(data.decode())
    transport.set_protocol(protocol)
    peer.send(b"data")
    turn("data")
    transport.close()
    loop.run_until_complete(protocol.lost)
    peer.close()
    os.close(reader)
    os.close(writer)
    loop.close()


def test_four_hundred_thousand_cancelled_timers_leave_memory() -> None:
    loop = EventLoop()

    def round_trip() -> int:
        timers = [loop.call_later(3600, print) for _ in range(400_000)]
        most = resident_kib()
        for timer in timers:
            timer.cancel()
        return most

    begin = resident_kib()
    most = round_trip()
    assert loop._counts()[1] < 1000
    first = resident_kib()
    # The next ones have the place of the first.
    assert round_trip() - most < (most - begin) // 4
    assert resident_kib() - first < (most - begin) // 8
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.timeout(120)
def test_five_hundred_children_that_end_at_once_are_all_told_of() -> None:
    async def main() -> None:
        before = descriptor_count()
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        protocols: list[Any] = []
        for number in range(500):
            command = f"read _; exit {number % 7}"
            made = await loop.subprocess_exec(
                Ended, "/bin/sh", "-c", command, stdin=reader, stdout=None, stderr=None, close_fds=True
            )
            protocols.append(made)
        os.close(reader)
        begin = time.monotonic()
        os.close(writer)
        await asyncio.wait_for(asyncio.gather(*(protocol.over for _transport, protocol in protocols)), LIMIT_S)
        assert time.monotonic() - begin < LIMIT_S
        for transport, _protocol in protocols:
            transport.close()
        codes = [transport.get_returncode() for transport, _protocol in protocols]
        assert codes == [number % 7 for number in range(500)]
        assert {protocol.calls for _transport, protocol in protocols} == {("exited", "lost")}
        assert descriptor_count() == before

    run(main())


class Ended(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self.calls: tuple[str, ...] = ()

    def process_exited(self) -> None:
        self.calls += ("exited",)

    def connection_lost(self, _error: BaseException | None) -> None:
        self.calls += ("lost",)
        self.over.set_result(None)


@pytest.mark.timeout(120)
def test_loops_of_eight_threads_end_their_children_in_every_way() -> None:
    results: dict[int, list[Any]] = {}

    async def one(chooser: random.Random) -> bool:
        way = chooser.choice(("exit", "kill", "cancel", "talk"))
        command = {"exit": "exit 3", "kill": "exec sleep 60", "cancel": "exec sleep 60", "talk": "exec cat"}[way]
        child = await asyncio.create_subprocess_exec("/bin/sh", "-c", command, stdin=-1, stdout=-1)
        if way == "talk":
            text = chooser.randbytes(200_000)
            return await child.communicate(text) == (text, None) and child.returncode == 0
        if way == "cancel":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.communicate(), 0.001)
        if way != "exit":
            child.kill()
        code = await child.wait()
        child._transport.close()  # type: ignore[attr-defined]
        return code == (3 if way == "exit" else -signal.SIGKILL)

    def work(number: int) -> None:
        async def main() -> list[bool]:
            chooser = random.Random(number)
            return [all(await asyncio.gather(*(one(chooser) for _ in range(5)))) for _ in range(3)]

        results[number] = run(main())

    before = descriptor_count()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S * 2)
    assert results == {number: [True] * 3 for number in range(8)}
    assert descriptor_count() == before


def test_an_exception_set_in_the_loops_thread_from_outside_leaves_it_whole() -> None:
    set_exception: Callable[..., int] = ctypes.pythonapi.PyThreadState_SetAsyncExc
    began, ended, left = list[int](), list[int](), list[int]()
    loop, count, done = Armed(), itertools.count(), threading.Event()

    def work(number: int) -> None:
        began.append(number)
        loop.call_soon(work, next(count))
        ended.append(number)

    def turn_loop() -> None:
        while not done.is_set():
            if loop._counts()[0] == 0:
                loop.call_soon(work, next(count))
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                left.append(1)

    thread = threading.Thread(target=turn_loop)
    thread.start()
    limit = time.monotonic() + LIMIT_S
    for number in range(60):
        # It is busy with its callbacks now, and one of them is hit.
        while not (loop.is_armed and len(left) == number) and time.monotonic() < limit:
            time.sleep(1e-5)
        set_exception(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt))
    while len(left) < 60 and time.monotonic() < limit:
        time.sleep(1e-4)
    done.set()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert len(left) == 60
    assert began == sorted(set(began))
    assert ended == sorted(set(ended))
    assert 0 <= len(began) - len(ended) <= 60
    loop.close()


@pytest.mark.parametrize("way", ["close", "abort"])
def test_a_connection_that_ends_in_the_middle_of_its_own_callback_is_told_once(way: str) -> None:
    class Ending(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(b"last words")
            getattr(self.transport, way)()
            getattr(self.transport, way)()

    async def main() -> None:
        transport, protocol, peer = await connect(Ending)
        await asyncio.get_running_loop().sock_sendall(peer, b"x")
        assert await protocol.lost is None
        assert protocol.heard == ["made", "data", "lost"]
        assert transport.is_closing()
        peer.close()

    run(main())

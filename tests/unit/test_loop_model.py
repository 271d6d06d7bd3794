"""Random programs of callbacks, timers, threads' calls, descriptors and futures run in the standard loop's order on ours."""

import asyncio
import os
import random
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import LIMIT_S

from threefold.asyncio import EventLoop

STEP_COUNT = 150
# Between two times of timers, so that no clock puts them together.
TICK_S = 0.001


class Program:
    """A random program, which writes down what happens.

    Only what the standard library fixes the order of: callbacks among each other, timers of different times, what one
    thread brings, callbacks of futures and tasks in the order of their registration, the turn of a callback. When news
    of descriptors comes between two turns is left open; so each descriptor writes into a list of its own.
    """

    def __init__(self, loop: Any, seed: int) -> None:
        self.loop = loop
        self.chooser = random.Random(seed)
        self.log: list[str] = []
        self.heard: dict[int, list[bytes]] = {}
        self.handles: list[Any] = []
        self.timers: list[tuple[int, Any]] = []
        self.futures: list[Any] = []
        self.tasks: list[Any] = []
        self.pipes: list[tuple[int, int]] = []
        self.next_name = 0
        self.left = STEP_COUNT

    def name(self, kind: str) -> str:
        """Return a new name."""
        self.next_name += 1
        return f"{kind}{self.next_name}"

    def step(self, name: str) -> None:
        """Write down that a callback runs, and do some more."""
        self.log.append(name)
        for _ in range(self.chooser.randrange(4)):
            if self.left > 0:
                self.left -= 1
                self.chooser.choice(self.ACTIONS)(self)

    def soon(self) -> None:
        self.handles.append(self.loop.call_soon(self.step, self.name("soon")))

    def threadsafe(self) -> None:
        self.handles.append(self.loop.call_soon_threadsafe(self.step, self.name("threadsafe")))

    def from_a_thread(self) -> None:
        name = self.name("thread")
        thread = threading.Thread(target=self.loop.call_soon_threadsafe, args=(self.log.append, name))
        thread.start()
        thread.join(LIMIT_S)

    def later(self) -> None:
        # Different times, whichever is asked for first.
        tick = self.chooser.randrange(1, 20)
        when = self.begin + (tick + len(self.timers) / 1000) * TICK_S
        if self.loop.time() < self.begin:
            self.early_count = len(self.timers) + 1
        handle = self.loop.call_at(when, self.note_timer, len(self.timers))
        self.timers.append((tick, handle))

    def note_timer(self, number: int) -> None:
        self.fired.append(number)

    def cancel(self) -> None:
        if self.handles:
            handle = self.chooser.choice(self.handles)
            handle.cancel()
            self.log.append(f"cancelled {handle.cancelled()}")

    def cancel_timer(self) -> None:
        if self.timers:
            number = self.chooser.randrange(len(self.timers))
            # Whether it has run already is a matter of the clock.
            self.timers[number][1].cancel()
            if number not in self.fired:
                self.cancelled.add(number)

    def future(self) -> None:
        future = self.loop.create_future()
        name = self.name("future")
        for number in range(self.chooser.randrange(3)):
            future.add_done_callback(lambda _future, number=number: self.step(f"{name}.{number}"))
        self.futures.append(future)

    def settle(self) -> None:
        waiting = [future for future in self.futures if not future.done()]
        if waiting:
            future = self.chooser.choice(waiting)
            way = self.chooser.choice(("result", "exception", "cancel"))
            if way == "cancel":
                future.cancel()
            elif way == "result":
                future.set_result(None)
            else:
                future.set_exception(OSError())
                # It was looked at.
                future.exception()

    def task(self) -> None:
        name, pauses = self.name("task"), self.chooser.randrange(4)

        async def run() -> None:
            for number in range(pauses):
                self.log.append(f"{name}.{number}")
                await asyncio.sleep(0)
            self.step(name)

        self.tasks.append(self.loop.create_task(run()))

    def cancel_task(self) -> None:
        if self.tasks:
            task = self.chooser.choice(self.tasks)
            self.log.append(f"cancels {task.cancel()}")

    def reader(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        self.pipes.append((reader, writer))
        heard = self.heard.setdefault(len(self.pipes), [])
        self.loop.add_reader(reader, lambda: heard.append(os.read(reader, 3)))
        os.write(writer, self.chooser.randbytes(self.chooser.randrange(1, 12)))

    def replace_reader(self) -> None:
        if self.pipes:
            number = self.chooser.randrange(len(self.pipes))
            reader, _writer = self.pipes[number]
            heard = self.heard[number + 1]
            self.loop.add_reader(reader, lambda: heard.append(os.read(reader, 3)))

    ACTIONS: tuple[Callable[["Program"], None], ...] = (
        *(soon, soon, threadsafe, from_a_thread, later, cancel, cancel_timer),
        *(future, settle, settle, task, task, cancel_task, reader, replace_reader),
    )

    def run(self) -> tuple[Any, ...]:
        """Run to the end and return what has happened."""
        self.begin = self.loop.time() + 15 * TICK_S
        self.early_count = 0
        self.fired: list[int] = []
        self.cancelled: set[int] = set()

        async def main() -> None:
            while self.left > 0:
                self.soon()
                await asyncio.sleep(0)
            for future in self.futures:
                future.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            readers = [reader for reader, _writer in self.pipes]
            while self.loop.time() < self.begin + 25 * TICK_S or select.select(readers, [], [], 0)[0]:
                await asyncio.sleep(TICK_S)

        self.loop.run_until_complete(asyncio.wait_for(main(), LIMIT_S))
        for reader, writer in self.pipes:
            self.loop.remove_reader(reader)
            os.close(reader)
            os.close(writer)
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        whole = {number: b"".join(pieces) for number, pieces in self.heard.items()}
        return self.log, whole, len(self.timers)

    def check_timers(self) -> None:
        """See that all timers have run once, by their times."""
        # Those that were asked for when the first of them had run may come behind it.
        early = [number for number in self.fired if number < self.early_count]
        whens = [self.timers[number][1].when() for number in early]
        assert whens == sorted(whens)
        assert set(self.fired) == set(range(len(self.timers))) - self.cancelled
        assert len(self.fired) == len(set(self.fired))


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_a_random_program_happens_in_the_order_of_the_standard_loop(first: int) -> None:
    for seed in range(first, first + 10):
        ours, theirs = Program(EventLoop(), seed), Program(asyncio.SelectorEventLoop(), seed)
        happened, expected = ours.run(), theirs.run()
        assert happened == expected, f"seed {seed}"
        ours.check_timers()
        theirs.check_timers()
        assert len(happened[0]) > STEP_COUNT // 4

"""Interrupts in one thread don't stop another thread, or a task, that works with the same object all the while."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from threefold.queue import LifoQueue, PriorityQueue, Queue, ShutDown, SimpleQueue
from threefold.threading import BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

# What a partner may take for its next step on a busy machine.
LIMIT_S = 10.0


class Partner:
    """A thread that repeats a step and counts.

    Args:
        step: what it repeats.
    """

    def __init__(self, step: Callable[[], None]) -> None:
        self.count = 0
        self._is_over = False
        self._step = step
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            self._step()
            self.count += 1

    def goes_on(self) -> bool:
        """Whether it makes another step in time."""
        wanted, limit = self.count + 2, time.monotonic() + LIMIT_S
        while self.count < wanted:
            if time.monotonic() > limit or not self._thread.is_alive():
                return False
            time.sleep(0)
        return True

    def end(self) -> None:
        """Let it end after the step that it is at."""
        self._is_over = True


def hold(lock: Any) -> None:
    with lock:
        pass


def wait_notified(condition: Any) -> None:
    with condition:
        condition.notify()
        condition.wait(0.001)


def flip(event: Any) -> None:
    event.set()
    event.clear()
    event.wait(0.001)


SHARED = {
    "Lock": (Lock, hold, hold),
    "RLock": (RLock, hold, hold),
    "Condition": (Condition, hold, hold),
    "Condition, wait": (Condition, wait_notified, wait_notified),
    "Semaphore": (Semaphore, hold, hold),
    "BoundedSemaphore": (BoundedSemaphore, hold, hold),
    "Event": (Event, flip, flip),
    "Queue": (Queue, lambda queue: queue.put(1), lambda queue: queue.get()),
    "Queue(1), get": (lambda: Queue(1), lambda queue: queue.put(1), lambda queue: queue.get()),
    "Queue(1), put": (lambda: Queue(1), lambda queue: queue.get(), lambda queue: queue.put(1)),
    "LifoQueue": (LifoQueue, lambda queue: queue.put(1), lambda queue: queue.get()),
    "PriorityQueue(1)": (lambda: PriorityQueue(1), lambda queue: queue.put(1), lambda queue: queue.get()),
    "SimpleQueue": (SimpleQueue, lambda queue: queue.put(1), lambda queue: queue.get()),
}


def forever(step: Callable[[Any], None], thing: Any) -> None:
    while True:
        step(thing)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SHARED)
def test_a_thread_goes_on_beside_one_that_is_interrupted(
    name: str, lightning: Any, full_stress: bool, request: pytest.FixtureRequest
) -> None:
    make, partner_step, own_step = SHARED[name]
    if own_step in (hold, wait_notified):
        request.getfixturevalue("safe_with")
    thing = make()
    partner = Partner(lambda: partner_step(thing))
    # A get that was interrupted may have dropped its item, so nobody counts items here.
    count = 4_000 if full_stress else 250
    stopped_at = None
    for number in range(count):
        lightning.strike(lambda: forever(own_step, thing))
        # Looked at now and then: the partner's own turn takes longer than a strike.
        if number % 25 == 0:
            done = partner.goes_on() if "put" not in name and "get" not in name and "Queue" not in name else True
            if not done:
                stopped_at = number
                break
    feeder = Partner(lambda: own_step(thing)) if "ueue" in name else None
    goes_on = partner.goes_on()
    partner.end()
    if feeder:
        feeder.end()
    assert stopped_at is None, f"{name}: the partner stopped after {stopped_at} of {count} interrupts"
    assert goes_on, f"{name}: the partner stopped within {count} interrupts"


@contextlib.contextmanager
def consumer(queue: Any) -> Generator[Any]:
    """Run a loop in a thread whose only task takes what comes."""
    taken = []
    is_ready = threading.Event()

    async def consume() -> None:
        is_ready.set()
        try:
            while True:
                taken.append(await queue.get_async())
        except ShutDown:
            pass

    thread = threading.Thread(target=lambda: asyncio.run(consume()), daemon=True)
    thread.start()
    assert is_ready.wait(LIMIT_S)
    yield taken
    queue.shutdown()
    thread.join(LIMIT_S)


@pytest.mark.timeout(300)
# Where the exception has nowhere else to go it is reported; that must not happen either, and the strike would not end.
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_task_goes_on_beside_a_thread_that_is_interrupted(lightning: Any, full_stress: bool) -> None:
    queue: Any = Queue()
    count = 4_000 if full_stress else 250
    with consumer(queue) as taken:
        for number in range(count):
            lightning.strike(lambda: forever(lambda thing: thing.put(1), queue))
            limit = time.monotonic() + LIMIT_S
            while queue.qsize():
                assert time.monotonic() < limit, f"the task sleeps on after {number} of {count} interrupts"
                time.sleep(0)
    assert taken

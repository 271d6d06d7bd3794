"""A put, set or release may come from a signal handler, a finalizer or the collector in the middle of another call."""

import contextlib
import gc
import signal
import time
import weakref
from collections import Counter
from collections.abc import Callable, Generator
from queue import Full
from typing import Any

import pytest

from threefold.queue import LifoQueue, PriorityQueue, Queue, ShutDown, SimpleQueue
from threefold.threading import BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

EVERY_S = 50e-6
QUEUES: dict[str, Callable[[], Any]] = {
    "Queue": Queue,
    "Queue(1000000)": lambda: Queue(1_000_000),
    "LifoQueue": LifoQueue,
    "PriorityQueue": PriorityQueue,
    "SimpleQueue": SimpleQueue,
}


class Ranked(int):
    """A number that is compared in Python, so that a handler can run in the middle of a heap operation."""

    def __lt__(self, other: int) -> bool:
        return int(self) < int(other)


@pytest.fixture
def alarm() -> Generator[Callable[[Callable[[], None]], None]]:
    """Offer to have a function called by a signal handler again and again."""

    def start(function: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, lambda _number, _frame: function())
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)

    previous = signal.getsignal(signal.SIGALRM)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def drained(queue: Any) -> Counter[int]:
    return Counter(queue.get_nowait() for _ in range(queue.qsize()))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", QUEUES)
@pytest.mark.parametrize("number", [int, Ranked])
def test_a_handler_puts_while_the_thread_puts_and_gets(name: str, number: Any, alarm: Any, full_stress: bool) -> None:
    queue = QUEUES[name]()
    # Lists, because an append cannot be torn by a handler that runs on top of the handler.
    put: list[int] = []
    got: list[int] = []

    def handler() -> None:
        queue.put(number(1))
        put.append(1)

    end = time.monotonic() + (3.0 if full_stress else 0.3)
    alarm(handler)
    while time.monotonic() < end:
        queue.put(number(2))
        put.append(2)
        got.append(queue.get())
    signal.setitimer(signal.ITIMER_REAL, 0)
    got += drained(queue).elements()
    assert put.count(1) > 100, "the handler hardly ran"
    assert Counter(got) == Counter(put), f"{name}: of {len(put)} items {len(got)} came out"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", QUEUES)
def test_a_handler_puts_what_the_thread_waits_for(name: str, alarm: Any) -> None:
    queue = QUEUES[name]()
    alarm(lambda: queue.put(1))
    assert sum(queue.get() for _ in range(500)) == 500


@pytest.mark.timeout(60)
def test_a_handler_gives_what_the_thread_waits_for(alarm: Any) -> None:
    event, permits, lock = Event(), Semaphore(0), Lock()
    lock.acquire()

    def give() -> None:
        event.set()
        permits.release()
        # Another handler on top of this one may have released it already.
        with contextlib.suppress(RuntimeError):
            lock.release()

    alarm(give)
    for _ in range(300):
        assert event.wait(30)
        event.clear()
        assert permits.acquire(timeout=30)
        assert lock.acquire(timeout=30)


@pytest.mark.timeout(60)
def test_a_handler_notifies_while_the_thread_waits(alarm: Any) -> None:
    changed = Condition()
    count = 0

    def notify() -> None:
        nonlocal count
        # Re-entrant, so the thread's own hold does not matter; while it waits the lock is free.
        with changed:
            changed.notify()
            count += 1

    alarm(notify)
    with changed:
        assert all(changed.wait(30) for _ in range(300))
    assert count >= 300


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [RLock, Condition, lambda: Semaphore(2), lambda: BoundedSemaphore(2)])
def test_a_handler_takes_and_gives_what_the_thread_takes_and_gives(make: Any, alarm: Any) -> None:
    thing, count = make(), 0

    def handler() -> None:
        nonlocal count
        # A handler may run on top of a handler: two permits would not do then.
        if thing.acquire(blocking=False):
            count += 1
            thing.release()

    end = time.monotonic() + 0.3
    alarm(handler)
    while time.monotonic() < end:
        with thing:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert count > 100
    # All that was taken has been given back.
    with thing, thing:
        pass


class Finalized:
    """Calls a function when it goes away; part of a cycle, if wished, so that the collector must find it."""

    def __init__(self, function: Callable[[], None], *, is_cycle: bool) -> None:
        self.function = function
        if is_cycle:
            self.itself = self

    def __del__(self) -> None:
        self.function()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", QUEUES)
@pytest.mark.parametrize("is_cycle", [False, True], ids=["dropped", "collected"])
def test_a_finalizer_puts_while_the_thread_puts_and_gets(name: str, is_cycle: bool) -> None:
    queue = QUEUES[name]()
    count = 2_000
    threshold = gc.get_threshold()
    gc.set_threshold(10)
    try:
        for _ in range(count):
            Finalized(lambda: queue.put(1), is_cycle=is_cycle)
            # Each holds a new object that the collector counts: it runs in the middle of these calls.
            queue.put(2)
            queue.get()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert sum(drained(queue).values()) == count


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "SimpleQueue"])
def test_an_item_that_is_thrown_away_by_a_refused_put_may_put(name: str) -> None:
    queue: Any = Queue(1) if name == "Queue" else LifoQueue(1) if name == "LifoQueue" else SimpleQueue()
    others: Any = SimpleQueue()
    queue.put(0)
    for _ in range(100):
        try:
            queue.put(Finalized(lambda: others.put(queue.qsize()), is_cycle=False), timeout=0)
        except Full:
            pass
        else:
            queue.get()
    gc.collect()
    assert others.qsize() >= 99


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue"])
def test_items_that_go_with_a_shutdown_may_use_the_queue(name: str) -> None:
    queue = QUEUES[name]()
    seen = []

    def look() -> None:
        seen.append((queue.qsize(), queue.is_shutdown))
        with pytest.raises(ShutDown):
            queue.put(1)

    class Item(Finalized):
        def __lt__(self, other: object) -> bool:
            return id(self) < id(other)

    for _ in range(10):
        queue.put(Item(look, is_cycle=False))
    queue.shutdown(immediate=True)
    assert seen == [(0, True)] * 10


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", QUEUES)
def test_a_weak_reference_and_the_collector_put(name: str) -> None:
    queue = QUEUES[name]()
    put = 0

    def put_one(*_arguments: object) -> None:
        nonlocal put
        queue.put(1)
        put += 1

    gc.callbacks.append(put_one)
    try:
        for _ in range(500):
            target = Finalized(lambda: None, is_cycle=True)
            reference = weakref.ref(target, put_one)
            del target
            queue.put(1)
            gc.collect(0)
            queue.get()
            del reference
    finally:
        gc.callbacks.remove(put_one)
    assert put >= 1_000
    assert sum(drained(queue).values()) == put

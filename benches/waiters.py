"""A crowd of waiters on one object: what waking costs for each of them, for a small crowd and for 10,000."""

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from harness import IS_QUICK, case, expect, home, load

TASK_CROWDS = (100, 1_000) if IS_QUICK else (100, 1_000, 10_000)
THREAD_CROWDS = (10, 50) if IS_QUICK else (100, 1_000)
# Small crowds are woken as often as it takes to have this many wake-ups to measure.
WAKE_COUNT = 1_000 if IS_QUICK else 10_000

TASKS = {"asyncio": "asyncio", "threefold": "threefold.threading"}
TASK_QUEUES = {"asyncio.Queue": "asyncio:Queue", "threefold": "threefold.queue:Queue"}
THREADS = {"threading": "threading", "threefold": "threefold.threading"}


WaitAndWake = tuple[Callable[[], Awaitable[Any]], Callable[[], None]]


async def crowd_of_tasks(count: int, make: Callable[[], WaitAndWake]) -> float:
    """Return the microseconds for each of `count` waiting tasks from the first wake-up until all have run.

    Args:
        count: tasks.
        make: returns, for a new object, what each of them awaits and what wakes them all.
    """
    total = 0.0
    rounds = max(1, WAKE_COUNT // count)
    for _ in range(rounds):
        wait, wake = make()
        woken: list[None] = []
        tasks = [asyncio.ensure_future(wait_once(wait, woken)) for _ in range(count)]
        # One turn of the loop begins them all, and each waits at once.
        await asyncio.sleep(0)
        expect(len(woken), 0, "tasks that did not wait")
        begin = time.perf_counter()
        wake()
        await asyncio.gather(*tasks)
        total += time.perf_counter() - begin
        expect(len(woken), count, "tasks woken")
    return total / rounds / count * 1e6


async def wait_once(wait: Callable[[], Awaitable[Any]], woken: list[None]) -> None:
    """Be one of the crowd."""
    await wait()
    woken.append(None)


def for_each_crowd(make: Callable[[int], WaitAndWake]) -> dict[str, float]:
    """Return the figures of crowds of all sizes.

    Args:
        make: given the size, makes an object and returns how to wait on it and how to wake all.
    """
    return {f"{count:,} waiters": asyncio.run(crowd_of_tasks(count, partial(make, count))) for count in TASK_CROWDS}


@case("tasks on a Semaphore, released one by one", "us/waiter", TASKS)
def tasks_on_a_semaphore(peer: str) -> dict[str, float]:
    def make(count: int) -> WaitAndWake:
        semaphore = load(peer).Semaphore(0)

        def wake() -> None:
            for _ in range(count):
                semaphore.release()

        return (semaphore.acquire_async if home(peer) == "threefold" else semaphore.acquire), wake

    return for_each_crowd(make)


@case("tasks on a Queue, an item for each", "us/waiter", TASK_QUEUES)
def tasks_on_a_queue(peer: str) -> dict[str, float]:
    def make(count: int) -> WaitAndWake:
        shelf = load(peer)()

        def wake() -> None:
            for number in range(count):
                shelf.put_nowait(number)

        return (shelf.get_async if home(peer) == "threefold" else shelf.get), wake

    return for_each_crowd(make)


@case("tasks on an Event, set once", "us/waiter", TASKS)
def tasks_on_an_event(peer: str) -> dict[str, float]:
    def make(_count: int) -> WaitAndWake:
        event = load(peer).Event()
        return (event.wait_async if home(peer) == "threefold" else event.wait), event.set

    return for_each_crowd(make)


def crowd_of_threads(count: int, wait: Callable[[], Any], wake: Callable[[], None]) -> float:
    """Return the microseconds for each of `count` waiting threads from the first wake-up until all have run.

    Args:
        count: threads.
        wait: what each of them calls.
        wake: wakes them all.
    """
    begun: queue.SimpleQueue[None]
    woken: queue.SimpleQueue[None]
    begun, woken = queue.SimpleQueue(), queue.SimpleQueue()

    def one() -> None:
        begun.put(None)
        wait()
        woken.put(None)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.get()
    # From the outside nobody can see that the last ones sleep already; a tenth of a second is long for that.
    time.sleep(0.1)
    expect(woken.qsize(), 0, "threads that did not wait")
    begin = time.perf_counter()
    wake()
    for _ in threads:
        woken.get()
    elapsed = time.perf_counter() - begin
    for thread in threads:
        thread.join()
    return elapsed / count * 1e6


@case("threads on a Semaphore, released one by one", "us/waiter", THREADS)
def threads_on_a_semaphore(peer: str) -> dict[str, float]:
    def measure(count: int) -> float:
        semaphore = load(peer).Semaphore(0)

        def wake() -> None:
            for _ in range(count):
                semaphore.release()

        return crowd_of_threads(count, semaphore.acquire, wake)

    return {f"{count:,} waiters": measure(count) for count in THREAD_CROWDS}


@case("threads on an Event, set once", "us/waiter", THREADS)
def threads_on_an_event(peer: str) -> dict[str, float]:
    def measure(count: int) -> float:
        event = load(peer).Event()
        return crowd_of_threads(count, event.wait, event.set)

    return {f"{count:,} waiters": measure(count) for count in THREAD_CROWDS}

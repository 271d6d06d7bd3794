"""Waking ten thousand tasks costs each of them no more than waking one thousand."""

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from threefold.queue import Queue, SimpleQueue
from threefold.threading import Condition, Event, Lock, Semaphore

FEW, MANY = 1_000, 10_000
# A cost that grows with the number of waiters would be ten times as high; caches and the collector account for some.
FACTOR = 4.0


async def notify(condition: Any, count: int) -> None:
    for _ in range(count):
        async with condition:
            condition.notify()


async def notify_all(condition: Any, _count: int) -> None:
    async with condition:
        condition.notify_all()


async def wait_on(condition: Any) -> None:
    async with condition:
        await condition.wait_async()


async def pass_on(lock: Any) -> None:
    async with lock:
        pass


async def each(step: Callable[[], Any], count: int) -> None:
    for _ in range(count):
        step()


def held_lock() -> Any:
    lock = Lock()
    lock.acquire()
    return lock


def full_queue() -> Any:
    queue: Any = Queue(1)
    queue.put(0)
    return queue


async def take(queue: Any, count: int) -> None:
    for _ in range(count):
        await queue.get_async()


# What is made, what each task awaits, what wakes them all.
WAYS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Callable[[Any, int], Any]]] = {
    "Event": (Event, lambda event: event.wait_async(), lambda event, _count: each(event.set, 1)),
    "Lock, one after the other": (held_lock, pass_on, lambda lock, _count: each(lock.release, 1)),
    "Semaphore, one by one": (
        lambda: Semaphore(0),
        lambda semaphore: semaphore.acquire_async(),
        lambda semaphore, count: each(semaphore.release, count),
    ),
    "Semaphore, at once": (
        lambda: Semaphore(0),
        lambda semaphore: semaphore.acquire_async(),
        lambda semaphore, count: each(lambda: semaphore.release(count), 1),
    ),
    "Queue": (Queue, lambda queue: queue.get_async(), lambda queue, count: each(lambda: queue.put(1), count)),
    "SimpleQueue": (
        SimpleQueue,
        lambda queue: queue.get_async(),
        lambda queue, count: each(lambda: queue.put(1), count),
    ),
    "Queue, many at once": (
        Queue,
        lambda queue: queue.get_async(),
        lambda queue, count: each(lambda: queue.put_many(range(count)), 1),
    ),
    "Queue, putters": (full_queue, lambda queue: queue.put_async(1), take),
    "Condition, one by one": (Condition, wait_on, notify),
    "Condition, all": (Condition, wait_on, notify_all),
}


async def wake(name: str, count: int, cancelled_share: int = 0) -> float:
    """Return the processor's seconds that it took to wake tasks and let them end, for each of them.

    Args:
        name: which way.
        count: how many tasks.
        cancelled_share: every how manieth task is cancelled before; 0 means none.
    """
    make, wait, wake_all = WAYS[name]
    thing = make()
    tasks = [asyncio.ensure_future(wait(thing)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks[::cancelled_share] if cancelled_share else []:
        task.cancel()
    left = count - len(range(0, count, cancelled_share)) if cancelled_share else count
    gc.collect()
    begin = time.process_time()
    await wake_all(thing, left)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    spent = time.process_time() - begin
    errors = [result for result in results if isinstance(result, BaseException)]
    assert len(errors) == count - left, f"{len(errors)} tasks raised: {errors[:1]}"
    return spent / count


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", WAYS)
def test_a_wake_costs_no_more_among_many_waiters(name: str) -> None:
    async def main() -> tuple[float, float]:
        few = min([await wake(name, FEW) for _ in range(5)])
        many = min([await wake(name, MANY) for _ in range(4)])
        return few, many

    few, many = asyncio.run(main())
    assert many < FACTOR * few, f"{name}: {few * 1e6:.1f} µs each of {FEW}, {many * 1e6:.1f} µs each of {MANY}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["Event", "Semaphore, one by one", "Queue", "Condition, all"])
def test_waiters_that_left_cost_nothing(name: str) -> None:
    async def main() -> tuple[float, float]:
        few = min([await wake(name, FEW, 2) for _ in range(5)])
        many = min([await wake(name, MANY, 2) for _ in range(4)])
        return few, many

    few, many = asyncio.run(main())
    assert many < FACTOR * few, f"{name}: {few * 1e6:.1f} µs each of {FEW}, {many * 1e6:.1f} µs each of {MANY}"

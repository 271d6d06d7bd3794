"""A task that is cancelled at any moment takes nothing, loses nothing, and leaves nobody waiting behind it."""

import asyncio
import gc
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from threefold.queue import LifoQueue, PriorityQueue, Queue, SimpleQueue
from threefold.threading import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

LIMIT_S = 30.0
# Longer than a waiter is patient: after it a wake hands the thing over instead of asking the waiter to look.
PATIENCE_S = 0.005
QUEUES: dict[str, Callable[[], Any]] = {
    "Queue": Queue,
    "LifoQueue": LifoQueue,
    "PriorityQueue": PriorityQueue,
    "SimpleQueue": SimpleQueue,
}
LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": Lock,
    "RLock": RLock,
    "Condition": Condition,
    "Semaphore": Semaphore,
    "BoundedSemaphore": BoundedSemaphore,
}


async def waiting(awaitable: Any, pause_s: float) -> Any:
    """Return a task that waits."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(pause_s)
    assert not task.done()
    return task


async def cancelled(task: Any) -> bool:
    """Cancel a task; return whether that ended it."""
    task.cancel()
    return (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError


@pytest.mark.parametrize("pause_s", [0, PATIENCE_S], ids=["patient", "handed over"])
@pytest.mark.parametrize("name", QUEUES)
def test_an_item_granted_to_a_cancelled_task_goes_to_the_next(name: str, pause_s: float) -> None:
    async def main() -> Any:
        queue = QUEUES[name]()
        first, second = await waiting(queue.get_async(), pause_s), await waiting(queue.get_async(), pause_s)
        queue.put(7)
        assert await cancelled(first)
        return await asyncio.wait_for(second, LIMIT_S), queue.qsize()

    assert asyncio.run(main()) == (7, 0)


@pytest.mark.parametrize("pause_s", [0, PATIENCE_S], ids=["patient", "handed over"])
@pytest.mark.parametrize("name", QUEUES)
def test_an_item_granted_to_the_only_task_stays(name: str, pause_s: float) -> None:
    async def main() -> Any:
        queue = QUEUES[name]()
        only = await waiting(queue.get_async(), pause_s)
        queue.put(7)
        assert await cancelled(only)
        return queue.qsize(), queue.get_nowait()

    assert asyncio.run(main()) == (1, 7)


@pytest.mark.parametrize("pause_s", [0, PATIENCE_S], ids=["patient", "handed over"])
def test_room_granted_to_a_cancelled_task_goes_to_the_next(pause_s: float) -> None:
    async def main() -> Any:
        queue: Any = Queue(1)
        queue.put(0)
        first, second = await waiting(queue.put_async(1), pause_s), await waiting(queue.put_async(2), pause_s)
        queue.get_nowait()
        assert await cancelled(first)
        await asyncio.wait_for(second, LIMIT_S)
        return queue.get_nowait(), queue.qsize(), queue.unfinished_tasks

    assert asyncio.run(main()) == (2, 0, 2)


@pytest.mark.parametrize("is_granted", [False, True])
@pytest.mark.parametrize("pause_s", [0, PATIENCE_S], ids=["patient", "handed over"])
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_granted_to_a_cancelled_task_goes_to_the_next(name: str, pause_s: float, is_granted: bool) -> None:
    async def main() -> Any:
        lock = LOCKS[name]()
        await lock.acquire_async()
        first, second = await waiting(lock.acquire_async(), pause_s), await waiting(lock.acquire_async(), pause_s)
        if is_granted:
            lock.release()
        assert await cancelled(first)
        if not is_granted:
            lock.release()
        return await asyncio.wait_for(second, LIMIT_S)

    assert asyncio.run(main()) is True


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_granted_to_the_only_task_is_free(name: str) -> None:
    async def main() -> Any:
        lock = LOCKS[name]()
        await lock.acquire_async()
        only = await waiting(lock.acquire_async(), PATIENCE_S)
        lock.release()
        assert await cancelled(only)
        return lock.acquire(blocking=False), lock.acquire(blocking=False) if name == "Lock" else False

    assert asyncio.run(main()) == (True, False)


def test_a_notification_granted_to_a_cancelled_task_goes_to_the_next() -> None:
    async def main() -> Any:
        changed = Condition()

        async def wait() -> Any:
            async with changed:
                return await changed.wait_async()

        first, second = await waiting(wait(), 0), await waiting(wait(), 0)
        async with changed:
            changed.notify()
        assert await cancelled(first)
        return await asyncio.wait_for(second, LIMIT_S)

    assert asyncio.run(main()) is True


def test_a_cancelled_condition_wait_has_its_lock_again() -> None:
    async def main() -> Any:
        changed, seen = Condition(), []

        async def wait() -> None:
            async with changed:
                try:
                    await changed.wait_async()
                finally:
                    seen.append(changed._is_owned())

        task = await waiting(wait(), 0)
        async with changed:
            task.cancel()
            await asyncio.sleep(0.01)
            # Told of its end only when it has the lock; a second request changes nothing.
            assert not task.done()
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen, changed.acquire(blocking=False)

    assert asyncio.run(main()) == ([True], True)


def test_a_cancelled_party_is_not_counted() -> None:
    async def main() -> Any:
        barrier = Barrier(2)
        first = await waiting(barrier.wait_async(), 0)
        assert barrier.n_waiting == 1
        assert await cancelled(first)
        assert barrier.n_waiting == 0
        return sorted(await asyncio.gather(barrier.wait_async(), barrier.wait_async()))

    assert asyncio.run(main()) == [0, 1]


def test_the_numbers_of_parties_stay_different_after_one_has_left() -> None:
    async def main() -> Any:
        barrier = Barrier(3)
        first, second = await waiting(barrier.wait_async(), 0), await waiting(barrier.wait_async(), 0)
        assert await cancelled(first)
        return sorted(await asyncio.gather(second, barrier.wait_async(), barrier.wait_async()))

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_cancelled_wait_for_an_event_or_a_join_leaves_the_others() -> None:
    async def main() -> Any:
        event, queue = Event(), Queue()  # type: ignore[var-annotated]
        queue.put(1)
        for make, finish in ((event.wait_async, event.set), (queue.join_async, queue.task_done)):
            first, second = await waiting(make(), 0), await waiting(make(), 0)
            assert await cancelled(first)
            finish()
            await asyncio.wait_for(second, LIMIT_S)

    asyncio.run(main())


def test_wait_for_hands_on_what_came_too_late() -> None:
    async def main() -> Any:
        queue: Any = Queue()
        for number in range(200):
            getter = asyncio.ensure_future(asyncio.wait_for(queue.get_async(), 0.0005))
            asyncio.get_running_loop().call_later(0.0005, queue.put, number)
            (got,) = await asyncio.gather(getter, return_exceptions=True)
            if isinstance(got, asyncio.TimeoutError):
                got = await asyncio.wait_for(queue.get_async(), LIMIT_S)
            assert got == number
        return queue.qsize()

    assert asyncio.run(main()) == 0


def test_an_awaitable_dropped_in_the_middle_leaves_no_waiter() -> None:
    async def main() -> Any:
        queue, lock, event = Queue(), Lock(), Event()  # type: ignore[var-annotated]
        lock.acquire()
        for make in (queue.get_async, lock.acquire_async, event.wait_async):
            wait = make()
            wait.send(None)
            del wait
        gc.collect()
        next_item, next_lock = await waiting(queue.get_async(), 0), await waiting(lock.acquire_async(), 0)
        queue.put(5)
        lock.release()
        event.set()
        return await asyncio.wait_for(next_item, LIMIT_S), await asyncio.wait_for(next_lock, LIMIT_S)

    assert asyncio.run(main()) == (5, True)


@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "SimpleQueue", "Queue(1)"])
def test_nothing_is_lost_when_tasks_are_cancelled_at_random(name: str, full_stress: bool) -> None:
    count = 20_000 if full_stress else 2_000
    chance = random.Random(5)

    async def main() -> Any:
        queue = Queue(1) if name == "Queue(1)" else QUEUES[name]()
        got: list[int] = []

        async def get() -> None:
            item = await queue.get_async()
            # Between the wait's end and this line the task does not yield, so it has the item or it does not.
            got.append(item)

        def produce() -> None:
            for number in range(count):
                queue.put(number)

        producer = threading.Thread(target=produce)
        producer.start()
        tasks: list[Any] = []
        while len(got) < count:
            tasks = [task for task in tasks if not task.done()]
            tasks += [asyncio.ensure_future(get()) for _ in range(8 - len(tasks))]
            for task in chance.sample(tasks, 3):
                task.cancel()
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        producer.join()
        return got

    got = Counter(asyncio.run(main()))
    assert len(got) == count, f"{count - len(got)} of {count} items are lost"
    assert set(got.values()) == {1}, "an item came twice"


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_is_left_held_when_tasks_are_cancelled_at_random(name: str, full_stress: bool) -> None:
    count = 5_000 if full_stress else 500
    chance = random.Random(6)

    async def main() -> Any:
        lock, most, inside = LOCKS[name](), 0, 0

        async def hold() -> None:
            nonlocal most, inside
            async with lock:
                inside += 1
                most = max(most, inside)
                try:
                    await asyncio.sleep(0)
                finally:
                    inside -= 1

        for _ in range(count):
            tasks = [asyncio.ensure_future(hold()) for _ in range(4)]
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            for task in chance.sample(tasks, 2):
                task.cancel()
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LIMIT_S)
        return most, lock.acquire(blocking=False)

    assert asyncio.run(main()) == (1, True)


def test_a_deadline_that_passes_while_the_lock_is_awaited_again_leaves_it_to_the_task() -> None:
    changed = Condition()

    async def wait() -> bool:
        async with changed:
            return await changed.wait_async(PATIENCE_S)

    async def main() -> bool:
        waiter = await waiting(wait(), 0)
        async with changed:
            changed.notify()
            await asyncio.sleep(2 * PATIENCE_S)
        return await asyncio.wait_for(waiter, LIMIT_S)

    assert asyncio.run(main())
    assert not changed.locked()

"""Each `_async` method does for a task what its plain twin does for a thread: results, time limits, order, and any loop."""

import asyncio
import inspect
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from queue import Empty, Full
from typing import Any

import pytest

from threefold.queue import LifoQueue, PriorityQueue, Queue, ShutDown, SimpleQueue
from threefold.threading import (
    Barrier,
    BoundedSemaphore,
    BrokenBarrierError,
    Condition,
    Event,
    Lock,
    RLock,
    Semaphore,
)

BRIEFLY_S = 0.01
LIMIT_S = 30.0
Main = Callable[[], Coroutine[Any, Any, Any]]


def run_debug(main: Coroutine[Any, Any, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return asyncio.run(main, debug=True)


def run_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    try:
        import uvloop
    except ImportError:
        main.close()
        pytest.skip("uvloop is not installed here")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def run_eagerly(main: Coroutine[Any, Any, Any]) -> Any:
    if sys.version_info < (3, 12):
        main.close()
        pytest.skip("eager tasks came with 3.12")

    async def eager() -> Any:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await main

    return asyncio.run(eager())


@pytest.fixture(params=[asyncio.run, run_debug, run_uvloop, run_eagerly], ids=["stock", "debug", "uvloop", "eager"])
def run(request: pytest.FixtureRequest) -> Any:
    """Offer to run a coroutine in each kind of loop."""
    return request.param


LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": Lock,
    "RLock": RLock,
    "Condition": Condition,
    "Condition of a Lock": lambda: Condition(Lock()),
    "Semaphore": Semaphore,
    "BoundedSemaphore": BoundedSemaphore,
}


@pytest.mark.parametrize("name", LOCKS)
def test_one_task_after_the_other_has_the_lock(name: str, run: Any) -> None:
    async def main() -> int:
        lock, inside, most, count = LOCKS[name](), 0, 0, 0

        async def work() -> None:
            nonlocal inside, most, count
            for _ in range(20):
                async with lock as nothing:
                    assert nothing is None
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0)
                    count += 1
                    inside -= 1

        await asyncio.gather(*(work() for _ in range(10)))
        assert most == 1
        return count

    assert run(main()) == 200


@pytest.mark.parametrize("name", LOCKS)
def test_acquire_async_says_whether_it_was_in_time(name: str, run: Any) -> None:
    async def main() -> None:
        lock = LOCKS[name]()
        assert await lock.acquire_async() is True

        async def fail() -> Any:
            return await lock.acquire_async(timeout=BRIEFLY_S), await lock.acquire_async(0)

        assert await asyncio.create_task(fail()) == (False, False)
        waiting = asyncio.create_task(lock.acquire_async(timeout=LIMIT_S))
        await asyncio.sleep(0)
        lock.release()
        assert await waiting is True

    run(main())


def test_an_event_releases_all(run: Any) -> None:
    async def main() -> Any:
        event = Event()
        assert await event.wait_async(BRIEFLY_S) is False
        tasks = [asyncio.create_task(event.wait_async()) for _ in range(5)]
        await asyncio.sleep(0)
        event.set()
        event.clear()
        return await asyncio.gather(*tasks)

    assert run(main()) == [True] * 5


def test_a_barrier_gives_each_party_its_number(run: Any) -> None:
    async def main() -> Any:
        calls = []
        barrier = Barrier(3, lambda: calls.append(1))
        numbers = [sorted(await asyncio.gather(*(barrier.wait_async() for _ in range(3)))) for _ in range(4)]
        with pytest.raises(BrokenBarrierError):
            await barrier.wait_async(BRIEFLY_S)
        with pytest.raises(BrokenBarrierError):
            await barrier.wait_async()
        barrier.reset()
        return numbers, calls

    assert run(main()) == ([[0, 1, 2]] * 4, [1] * 4)


@pytest.mark.parametrize("lock", [Lock, RLock])
def test_a_condition_waits_and_has_its_lock_again(lock: Any, run: Any) -> None:
    async def main() -> Any:
        changed, value = Condition(lock()), 0

        async def wait() -> Any:
            async with changed:
                assert await changed.wait_async(BRIEFLY_S) is False
                assert await changed.wait_for_async(lambda: value == 1, BRIEFLY_S) is False
                result = await changed.wait_for_async(lambda: value)
                assert changed._is_owned()
                return result

        tasks = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(4 * BRIEFLY_S)
        for value in (0, 2):  # noqa: B007 - the predicate reads it
            async with changed:
                changed.notify_all()
        return await asyncio.gather(*tasks)

    assert run(main()) == [2, 2, 2]


def test_a_condition_needs_its_lock(run: Any) -> None:
    async def main() -> None:
        changed = Condition()
        with pytest.raises(RuntimeError, match="un-acquired"):
            await changed.wait_async()

    run(main())


@pytest.mark.parametrize("make", [Queue, LifoQueue, PriorityQueue])
def test_a_queue_serves_tasks(make: Any, run: Any) -> None:
    async def main() -> Any:
        queue = make(2)
        with pytest.raises(Empty):
            await queue.get_async(BRIEFLY_S)

        async def produce() -> None:
            for number in range(50):
                await queue.put_async(number)
            await queue.join_async()
            queue.shutdown()

        producer = asyncio.create_task(produce())
        got = []
        async for number in queue:
            got.append(number)
            queue.task_done()
        await producer
        with pytest.raises(ShutDown):
            await queue.get_async()
        with pytest.raises(ShutDown):
            await queue.put_async(1)
        return sorted(got)

    assert run(main()) == list(range(50))


def test_a_full_queue_says_so_in_time(run: Any) -> None:
    async def main() -> Any:
        queue: Any = Queue(1)
        await queue.put_async(1)
        with pytest.raises(Full):
            await queue.put_async(2, BRIEFLY_S)
        with pytest.raises(Full):
            await queue.put_async(2, timeout=0)
        return queue.qsize(), queue.unfinished_tasks

    assert run(main()) == (1, 1)


def test_a_simple_queue_serves_tasks(run: Any) -> None:
    async def main() -> Any:
        queue: Any = SimpleQueue()
        with pytest.raises(Empty):
            await queue.get_async(BRIEFLY_S)
        tasks = [asyncio.create_task(queue.get_async()) for _ in range(5)]
        await asyncio.sleep(0)
        for number in range(5):
            await queue.put_async(number)
        return await asyncio.gather(*tasks)

    assert run(main()) == [0, 1, 2, 3, 4]


def test_tasks_are_served_in_the_order_in_which_they_came(run: Any) -> None:
    async def main() -> Any:
        order: list[int] = []
        lock, permits, queue = Lock(), Semaphore(0), SimpleQueue()  # type: ignore[var-annotated]
        lock.acquire()

        async def wait(number: int, awaitable: Awaitable[Any], release: Callable[[], Any]) -> None:
            await awaitable
            order.append(number)
            release()

        for make, release, first in (
            (lock.acquire_async, lock.release, lock.release),
            (permits.acquire_async, permits.release, permits.release),
            (queue.get_async, lambda: queue.put(1), lambda: queue.put(1)),
        ):
            tasks = [asyncio.create_task(wait(number, make(), release)) for number in range(10)]
            await asyncio.sleep(0)
            first()
            await asyncio.gather(*tasks)
        return order

    assert run(main()) == list(range(10)) * 3


def test_a_wait_is_a_coroutine_to_asyncio(run: Any) -> None:
    async def main() -> Any:
        queue: Any = SimpleQueue()
        wait = queue.get_async()
        assert inspect.isawaitable(wait)
        assert asyncio.iscoroutine(wait)
        task = asyncio.get_running_loop().create_task(wait)
        await asyncio.sleep(0)
        assert "Task pending" in repr(task)
        task.get_stack()
        queue.put("x")
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            other = group.create_task(queue.get_async())
            queue.put("y")
        queue.put("z")
        return await task, other.result(), await asyncio.wait_for(queue.get_async(), LIMIT_S)

    assert sorted(run(main())) == ["x", "y", "z"]


def test_a_wait_that_is_over_cannot_be_awaited_again(run: Any) -> None:
    async def main() -> None:
        wait = SimpleQueue().put_async(1)  # type: ignore[var-annotated]
        await wait
        with pytest.raises(RuntimeError, match="already awaited"):
            await wait

    run(main())


@pytest.mark.parametrize("value", [None, (1, 2), ValueError("an item"), StopIteration(3), StopIteration], ids=repr)
def test_any_object_is_an_item(value: Any, run: Any) -> None:
    async def main() -> Any:
        queue: Any = Queue()
        await queue.put_async(value)
        at_once = await queue.get_async()
        later = asyncio.create_task(queue.get_async())
        await asyncio.sleep(0)
        queue.put(value)
        return at_once is value and await later is value

    assert run(main())


def test_a_task_owns_a_reentrant_lock(run: Any) -> None:
    async def main() -> None:
        lock = RLock()
        async with lock, lock:
            assert await asyncio.create_task(lock.acquire_async(BRIEFLY_S)) is False
            assert lock._recursion_count() == 2
        assert lock.acquire(blocking=False)
        lock.release()

    run(main())


def test_a_condition_of_a_standard_lock_says_that_tasks_cannot_wait(run: Any) -> None:
    async def main() -> None:
        changed = Condition(threading.Lock())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="only threads can wait"):
            async with changed:
                pass

    run(main())

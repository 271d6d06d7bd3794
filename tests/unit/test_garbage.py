"""Nothing leaks: cycles through the objects and their waits are collected, and no operation leaves anything behind."""

import asyncio
import gc
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from queue import Empty, Full
from typing import Any

import pytest

from threefold.queue import LifoQueue, PriorityQueue, Queue, SimpleQueue
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

QUEUES = [Queue, LifoQueue, PriorityQueue, SimpleQueue]
CLASSES = [*QUEUES, Lock, RLock, Condition, Semaphore, BoundedSemaphore, Event, lambda: Barrier(2)]


class Holder:
    """An object that can be part of a cycle."""

    def __lt__(self, other: object) -> bool:
        return id(self) < id(other)


def is_collected(reference: Any) -> bool:
    gc.collect()
    return reference() is None


@pytest.mark.parametrize("make", CLASSES, ids=lambda make: getattr(make, "__name__", "Barrier"))
def test_an_object_goes_when_nobody_has_it(make: Any) -> None:
    thing = make()
    reference = weakref.ref(thing)
    del thing
    assert reference() is None


@pytest.mark.parametrize("make", QUEUES)
def test_a_cycle_through_an_item_is_collected(make: Any) -> None:
    queue, item = make(), Holder()
    item.queue = queue  # type: ignore[attr-defined]
    queue.put(item)
    reference = weakref.ref(item)
    del queue, item
    assert is_collected(reference)


@pytest.mark.parametrize("make", [*QUEUES, RLock, Condition, Semaphore, BoundedSemaphore, Event])
def test_a_cycle_through_an_attribute_is_collected(make: Any) -> None:
    class Own(make):  # type: ignore[misc]
        pass

    thing = Own()
    thing.itself = thing
    reference = weakref.ref(thing)
    del thing
    assert is_collected(reference)


def test_a_cycle_through_a_barriers_action_is_collected() -> None:
    action = Holder()
    action.barrier = Barrier(2, action)  # type: ignore[arg-type, attr-defined]
    reference = weakref.ref(action)
    del action
    assert is_collected(reference)


def test_a_cycle_through_a_conditions_lock_is_collected() -> None:
    class OwnLock(RLock):
        condition: Any

    lock = OwnLock()
    lock.condition = Condition(lock)
    reference = weakref.ref(lock)
    del lock
    assert is_collected(reference)


def test_a_visible_queue_is_collected() -> None:
    queue: Any = Queue()
    with queue.mutex:
        queue.queue.append(queue)
    reference = weakref.ref(queue)
    del queue
    assert is_collected(reference)


WAITS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "Queue.get_async": (Queue, lambda queue: queue.get_async()),
    "Queue.get_async, timeout": (Queue, lambda queue: queue.get_async(1000)),
    "PriorityQueue.get_async": (PriorityQueue, lambda queue: queue.get_async()),
    "SimpleQueue.get_async": (SimpleQueue, lambda queue: queue.get_async()),
    "Event.wait_async": (Event, lambda event: event.wait_async()),
    "Semaphore.acquire_async": (lambda: Semaphore(0), lambda semaphore: semaphore.acquire_async()),
    "Barrier.wait_async": (lambda: Barrier(2), lambda barrier: barrier.wait_async()),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_task_that_waits_in_a_closed_loop_is_collected(name: str) -> None:
    make, wait = WAITS[name]
    thing = make()
    loop = asyncio.new_event_loop()

    async def start(thing: Any) -> Any:
        async def run() -> None:
            await wait(thing)

        task = asyncio.ensure_future(run())
        await asyncio.sleep(0)
        return task

    task = loop.run_until_complete(start(thing))
    task._log_destroy_pending = False
    loop.close()
    references = [weakref.ref(task), weakref.ref(thing), weakref.ref(loop)]
    del task, thing, loop
    # The thread keeps an eye on its last loop until it runs another.
    asyncio.run(asyncio.sleep(0))
    gc.collect()
    assert [reference() for reference in references] == [None, None, None]


def test_an_awaitable_that_was_never_awaited_goes_with_its_item() -> None:
    queue: Any = Queue()
    item = Holder()
    reference, before = weakref.ref(item), sys.getrefcount(queue)
    wait = queue.put_async(item)
    del item, wait
    assert reference() is None
    assert sys.getrefcount(queue) == before


def fail(error: type[BaseException], function: Callable[[], Any]) -> None:
    try:
        function()
    except error:
        return
    raise AssertionError("no error")


def work_with_locks(item: Any) -> None:
    for lock in (Lock(), RLock(), Semaphore(), BoundedSemaphore(), Condition()):
        with lock:  # type: ignore[attr-defined]
            pass
        lock.acquire(timeout=1)  # type: ignore[attr-defined]
        repr(lock)
        lock.release()  # type: ignore[attr-defined]
    fail(RuntimeError, Lock().release)
    fail(ValueError, lambda: BoundedSemaphore(1).release())


def work_with_waits(item: Any) -> None:
    event, changed = Event(), Condition()
    event.wait(0)
    event.wait(1e-6)
    event.set()
    event.wait()
    with changed:
        changed.wait(1e-6)
        changed.notify_all()
    lock = Lock()
    lock.acquire()
    lock.acquire(timeout=1e-6)
    barrier = Barrier(2, timeout=1e-6)
    fail(BrokenBarrierError, barrier.wait)


def work_with_queues(item: Any) -> None:
    for make in (Queue, LifoQueue, PriorityQueue):
        queue: Any = make(2)
        queue.put(item)
        queue.put_nowait(item)
        fail(Full, lambda queue=queue: queue.put(item, timeout=1e-6))
        fail(Full, lambda queue=queue: queue.put(item, False))
        queue.get()
        queue.get_many(2)
        fail(Empty, lambda queue=queue: queue.get(timeout=1e-6))
        queue.put_many([item, item])
        queue.shutdown(immediate=True)
    simple: Any = SimpleQueue()
    simple.put(item)
    simple.get()
    fail(Empty, simple.get_nowait)


def work_with_tasks(item: Any) -> None:
    async def main() -> None:
        queue, lock, event = Queue(), Lock(), Event()  # type: ignore[var-annotated]
        waits = [queue.get_async(), queue.get_async(1e-6), lock.acquire_async(), event.wait_async(timeout=100)]
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        await asyncio.sleep(0)
        await queue.put_async(item)
        event.set()
        fourth = asyncio.ensure_future(lock.acquire_async())
        await asyncio.sleep(0)
        fourth.cancel()
        await asyncio.gather(*tasks, fourth, return_exceptions=True)
        fail(RuntimeError, lambda: tasks[0].get_coro().send(None))

    asyncio.run(main())


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("work", "count"),
    [(work_with_locks, 10_000), (work_with_waits, 2_000), (work_with_queues, 3_000), (work_with_tasks, 400)],
)
def test_no_operation_leaves_anything_behind(work: Callable[[Any], None], count: int, full_stress: bool) -> None:
    item = Holder()
    rounds = count if full_stress else count // 4

    def run(number: int) -> None:
        for _ in range(number):
            work(item)
        gc.collect()

    def growth() -> int:
        """Run the rounds, and return by how many bytes what Python has allocated grew."""
        memory = tracemalloc.get_traced_memory()[0]
        run(rounds)
        return tracemalloc.get_traced_memory()[0] - memory

    run(50)
    tracemalloc.start()
    try:
        run(20)
        objects, references = len(gc.get_objects()), sys.getrefcount(item)
        # A table of Python's own that is resized meanwhile (that of all interned strings has megabytes in a process as
        # large as a test run) counts as new, as the old one was not traced: that happens once, a leak each time.
        grown = min(growth() for _ in range(3))
        assert len(gc.get_objects()) - objects < 50, f"objects are left after 3 times {rounds} rounds"
        assert sys.getrefcount(item) == references, f"references are left after 3 times {rounds} rounds"
        # Python's own caches and a few lines of the traceback machinery come and go.
        assert grown < 20_000, f"{grown} bytes are left after {rounds} rounds"
    finally:
        tracemalloc.stop()


def resident_bytes() -> int:
    """Return the process's memory without what it shares, in bytes."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - a path's method reads no faster
        _, resident, shared, *_ = map(int, statm.read().split())
    return (resident - shared) * 4096


@pytest.mark.timeout(120)
def test_the_engines_own_memory_does_not_grow(full_stress: bool) -> None:
    rounds = 3_000 if full_stress else 600
    never, lock = Event(), Lock()
    lock.acquire()

    def work() -> None:
        for _ in range(rounds):
            never.wait(1e-6)
            lock.acquire(timeout=1e-6)
            work_with_queues(1)

    async def work_in_tasks() -> None:
        for _ in range(rounds):
            tasks = [asyncio.ensure_future(wait) for wait in (never.wait_async(), lock.acquire_async())]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def run() -> int:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(work_in_tasks())
        gc.collect()
        return resident_bytes()

    run()
    before = run()
    grown = min(run() for _ in range(3)) - before
    # A waiter takes about 100 bytes: if each round left one behind, there would be 600,000.
    assert grown < 300_000 * (rounds // 600), f"{grown} bytes after {rounds} more rounds"

"""What an interrupt storm does with each primitive: a loop to be interrupted, and a look at the object from another thread.

A loop never holds anything between two of its operations except through `with`: between the bytecodes of
`acquire(); release()` no lock of any kind can be safe from an exception.
"""

import threading as standard
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from threefold.queue import Empty, Full, LifoQueue, PriorityQueue, Queue, SimpleQueue
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

# Far below the shortest interval of the storm, so that each interrupt finds a loop that is entering and leaving waits.
BRIEFLY_S = 1e-5


@dataclass(frozen=True)
class Storm:
    """One loop on one kind of object.

    Args:
        name: what it is called in a report.
        make: makes the object.
        loop: works on it for ever.
        look: run in another thread after the interrupt; returns True where all is well.
        prepare: run in that other thread before the storm.
    """

    name: str
    make: Callable[[], Any]
    loop: Callable[[Any], None]
    look: Callable[[Any], Any]
    prepare: Callable[[Any], Any] = lambda _object: None

    @property
    def uses_with(self) -> bool:
        """Whether it depends on the interpreter's `with` being safe from interrupts."""
        # The visible queue is Python code that uses `with` itself.
        return self.make is visible_queue or self.loop in (hold, hold_twice, wait_and_notify)


def hold(lock: Any) -> None:
    while True:
        with lock:
            pass


def hold_twice(lock: Any) -> None:
    while True:
        with lock, lock:
            pass


def fail_to_acquire(lock: Any) -> None:
    while True:
        lock.acquire(timeout=BRIEFLY_S)


def is_free(lock: Any) -> bool:
    is_mine = lock.acquire(blocking=False)
    if is_mine:
        lock.release()
    return is_mine


def becomes_free(lock: Any) -> bool:
    lock.release()
    return is_free(lock)


def wait_and_notify(condition: Any) -> None:
    while True:
        with condition:
            condition.notify()
            condition.wait(BRIEFLY_S)
            condition.notify_all()


def is_usable(condition: Any) -> bool:
    if not condition.acquire(blocking=False):
        return False
    try:
        condition.notify_all()
        return condition.wait(0) is False
    finally:
        condition.release()


def has_one_permit(semaphore: Any) -> bool:
    is_there = semaphore.acquire(blocking=False)
    is_only_one = not semaphore.acquire(blocking=False)
    if is_there:
        semaphore.release()
    return is_there and is_only_one


def gets_one_permit(semaphore: Any) -> bool:
    semaphore.release()
    return has_one_permit(semaphore)


def set_and_clear(event: Any) -> None:
    while True:
        event.set()
        event.wait()
        event.clear()
        event.wait(BRIEFLY_S)


def can_be_set(event: Any) -> bool:
    event.set()
    is_set = event.wait()
    event.clear()
    return is_set and not event.is_set()


def meet(barrier: Any) -> None:
    while True:
        try:
            barrier.wait(BRIEFLY_S)
        except BrokenBarrierError:
            barrier.reset()


def is_empty_after_reset(barrier: Any) -> bool:
    barrier.reset()
    is_empty = barrier.n_waiting == 0 and not barrier.broken
    if barrier.parties == 1:
        return is_empty and barrier.wait() == 0
    return is_empty


def put_and_get(queue: Any) -> None:
    while True:
        queue.put(1)
        queue.get()


def put_and_get_by_name(queue: Any) -> None:
    while True:
        queue.put(item=1, block=True, timeout=1)
        queue.get(block=True, timeout=1)


def put_many_and_get_many(queue: Any) -> None:
    while True:
        queue.put_many([3, 1, 2])
        queue.get_many(3)


def get_from_empty(queue: Any) -> None:
    while True:
        try:
            queue.get(timeout=BRIEFLY_S)
        except Empty:
            pass


def put_into_full(queue: Any) -> None:
    while True:
        try:
            queue.put(1, timeout=BRIEFLY_S)
        except Full:
            pass


def account(queue: Any) -> None:
    while True:
        queue.put(1)
        queue.get()
        queue.task_done()


def can_be_emptied(queue: Any) -> bool:
    while queue.qsize():
        queue.get_nowait()
    try:
        queue.get_nowait()
    except Empty:
        pass
    queue.put_nowait(7)
    return queue.get_nowait() == 7 and queue.empty()


def has_all_accounted(queue: Any) -> bool:
    held = queue.qsize()
    # Beside what it holds, the one item that may have been got and not marked.
    is_right = held <= queue.unfinished_tasks <= held + 1
    while queue.unfinished_tasks:
        queue.task_done()
    queue.join()
    return is_right and can_be_emptied(queue)


def full_queue() -> Any:
    queue: Any = Queue(1)
    queue.put(0)
    return queue


def visible_queue() -> Any:
    """Make a queue whose parts a program has touched."""
    queue: Any = Queue()
    assert not queue.mutex.locked()
    return queue


class Ranked:
    """An item whose comparison is Python code, in which an interrupt can strike."""

    def __lt__(self, other: "Ranked") -> bool:
        return id(self) < id(other)


def put_and_get_ranked(queue: Any) -> None:
    while True:
        queue.put(Ranked())
        queue.put(Ranked())
        queue.get()
        queue.get()


def can_be_emptied_of_ranked(queue: Any) -> bool:
    while queue.qsize():
        queue.get_nowait()
    queue.put_nowait(Ranked())
    return isinstance(queue.get_nowait(), Ranked) and queue.empty()


def acquire(lock: Any) -> Any:
    return lock.acquire()


STORMS = [
    Storm("Lock, with", Lock, hold, is_free),
    Storm("Lock, acquire with a timeout", Lock, fail_to_acquire, becomes_free, acquire),
    Storm("RLock, with", RLock, hold, is_free),
    Storm("RLock, with twice", RLock, hold_twice, is_free),
    Storm("RLock, acquire with a timeout", RLock, fail_to_acquire, becomes_free, acquire),
    Storm("Condition, with", Condition, hold, is_free),
    Storm("Condition, with twice", Condition, hold_twice, is_free),
    Storm("Condition, wait and notify", Condition, wait_and_notify, is_usable),
    Storm("Condition of a Lock", lambda: Condition(Lock()), wait_and_notify, is_usable),
    Storm("Condition of a standard Lock", lambda: Condition(standard.Lock()), wait_and_notify, is_usable),
    Storm("Semaphore, with", Semaphore, hold, has_one_permit),
    Storm("Semaphore, acquire with a timeout", lambda: Semaphore(0), fail_to_acquire, gets_one_permit),
    Storm("BoundedSemaphore, with", BoundedSemaphore, hold, has_one_permit),
    Storm("BoundedSemaphore, timeout", BoundedSemaphore, fail_to_acquire, gets_one_permit, acquire),
    Storm("Event, set, clear and wait", Event, set_and_clear, can_be_set),
    Storm("Barrier of one, wait", lambda: Barrier(1), meet, is_empty_after_reset),
    Storm("Barrier of one, action", lambda: Barrier(1, lambda: None), meet, is_empty_after_reset),
    Storm("Barrier of two, wait and reset", lambda: Barrier(2), meet, is_empty_after_reset),
    Storm("Queue, put and get", Queue, put_and_get, can_be_emptied),
    Storm("Queue, by keyword", Queue, put_and_get_by_name, can_be_emptied),
    Storm("Queue, many", Queue, put_many_and_get_many, can_be_emptied),
    Storm("Queue, task_done", Queue, account, has_all_accounted),
    Storm("Queue, get from an empty one", Queue, get_from_empty, can_be_emptied),
    Storm("Queue(1), put and get", lambda: Queue(1), put_and_get, can_be_emptied),
    Storm("Queue(1), put into a full one", full_queue, put_into_full, can_be_emptied),
    Storm("LifoQueue, put and get", LifoQueue, put_and_get, can_be_emptied),
    Storm("PriorityQueue, put and get", PriorityQueue, put_and_get, can_be_emptied),
    Storm("PriorityQueue, get from an empty one", PriorityQueue, get_from_empty, can_be_emptied),
    Storm("PriorityQueue, Python comparisons", PriorityQueue, put_and_get_ranked, can_be_emptied_of_ranked),
    Storm("Queue, visible", visible_queue, put_and_get, can_be_emptied),
    Storm("Queue, visible, get from an empty one", visible_queue, get_from_empty, can_be_emptied),
    Storm("SimpleQueue, put and get", SimpleQueue, put_and_get, can_be_emptied),
    Storm("SimpleQueue, get from an empty one", SimpleQueue, get_from_empty, can_be_emptied),
]

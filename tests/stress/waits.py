"""Every blocking call of the package, as something that waits until its object is released."""

import contextlib
import threading as standard
from collections.abc import Callable, Iterator
from typing import Any

from threefold.futures import Future, ThreadPoolExecutor
from threefold.queue import LifoQueue, PriorityQueue, Queue, SimpleQueue
from threefold.threading import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore, Thread

# As good as none, so that a signal that is not noticed would show.
LONG_S = 30.0

# Yields a function that blocks until something else happens, or for LONG_S.
Wait = Callable[[], contextlib.AbstractContextManager[Callable[[], Any]]]


def held_lock(timeout: float) -> Iterator[Callable[[], Any]]:
    lock = Lock()
    lock.acquire()
    yield lambda: lock.acquire(timeout=timeout)


def entered_lock(_timeout: float) -> Iterator[Callable[[], Any]]:
    lock = Lock()
    lock.acquire()
    yield lock.__enter__


def held_rlock(timeout: float) -> Iterator[Callable[[], Any]]:
    lock, is_held, is_over = RLock(), standard.Event(), standard.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            is_over.wait()

    holder = standard.Thread(target=hold)
    holder.start()
    is_held.wait()
    try:
        yield lambda: lock.acquire(timeout=timeout)
    finally:
        is_over.set()
        holder.join()


def condition(timeout: float | None) -> Iterator[Callable[[], Any]]:
    changed = Condition()
    with changed:
        yield lambda: changed.wait(timeout)


def condition_for(timeout: float | None) -> Iterator[Callable[[], Any]]:
    changed = Condition()
    with changed:
        yield lambda: changed.wait_for(lambda: False, timeout)


def semaphore(timeout: float | None) -> Iterator[Callable[[], Any]]:
    permits = Semaphore(0)
    yield lambda: permits.acquire(timeout=timeout)


def bounded_semaphore(timeout: float | None) -> Iterator[Callable[[], Any]]:
    permits = BoundedSemaphore(0)
    yield lambda: permits.acquire(timeout=timeout)


def event(timeout: float | None) -> Iterator[Callable[[], Any]]:
    flag = Event()
    yield lambda: flag.wait(timeout)


def barrier(timeout: float | None) -> Iterator[Callable[[], Any]]:
    meeting = Barrier(2)
    yield lambda: meeting.wait(timeout)


def get(make: Callable[[], Any], timeout: float | None) -> Iterator[Callable[[], Any]]:
    queue = make()
    yield lambda: queue.get(timeout=timeout)


def put(make: Callable[[], Any], timeout: float | None) -> Iterator[Callable[[], Any]]:
    queue = make()
    queue.put(0)
    yield lambda: queue.put(1, timeout=timeout)


def get_many(make: Callable[[], Any], timeout: float | None) -> Iterator[Callable[[], Any]]:
    queue = make()
    yield lambda: queue.get_many(2, timeout)


def put_many(timeout: float | None) -> Iterator[Callable[[], Any]]:
    queue: Any = Queue(1)
    yield lambda: queue.put_many([1, 2, 3], timeout)


def join_queue(_timeout: float | None) -> Iterator[Callable[[], Any]]:
    queue: Any = Queue()
    queue.put(1)
    yield queue.join


def join_thread(timeout: float | None) -> Iterator[Callable[[], Any]]:
    is_over = standard.Event()
    thread = Thread(target=is_over.wait)
    thread.start()
    try:
        yield lambda: thread.join(timeout)
    finally:
        is_over.set()
        thread.join()


def result(timeout: float | None) -> Iterator[Callable[[], Any]]:
    is_over = standard.Event()
    with ThreadPoolExecutor(1) as pool:
        future: Future[Any] = pool.submit(is_over.wait)
        try:
            yield lambda: future.result(timeout)
        finally:
            is_over.set()


def shut_down(_timeout: float | None) -> Iterator[Callable[[], Any]]:
    is_over = standard.Event()
    pool = ThreadPoolExecutor(1)
    pool.submit(is_over.wait)
    try:
        yield pool.shutdown
    finally:
        is_over.set()
        pool.shutdown()


def lone(make: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: make(1)


NEVER = {"": None, ", with a timeout": LONG_S}

WAITS: dict[str, Wait] = {}


def offer(name: str, wait: Callable[..., Iterator[Callable[[], Any]]], *arguments: Any) -> None:
    """Put a wait into the table, once without and once with a timeout."""
    for suffix, timeout in NEVER.items():
        if timeout is None and wait in (held_lock, held_rlock):
            timeout = -1  # noqa: PLW2901 - what "for ever" is called there
        made = contextlib.contextmanager(wait)
        WAITS[name + suffix] = lambda made=made, timeout=timeout: made(*arguments, timeout)


offer("Lock.acquire", held_lock)
offer("RLock.acquire", held_rlock)
offer("Condition.wait", condition)
offer("Condition.wait_for", condition_for)
offer("Semaphore.acquire", semaphore)
offer("BoundedSemaphore.acquire", bounded_semaphore)
offer("Event.wait", event)
offer("Barrier.wait", barrier)
for kind in (Queue, LifoQueue, PriorityQueue, SimpleQueue):
    offer(f"{kind.__name__}.get", get, kind)
    offer(f"{kind.__name__}.get_many", get_many, kind)
for kind in (Queue, LifoQueue, PriorityQueue):
    offer(f"{kind.__name__}.put", put, lone(kind))
offer("Queue.put_many", put_many)
offer("Thread.join", join_thread)
offer("Future.result", result)
for name, wait in {"Lock.__enter__": entered_lock, "Queue.join": join_queue, "pool.shutdown": shut_down}.items():
    WAITS[name] = lambda wait=wait: contextlib.contextmanager(wait)(None)

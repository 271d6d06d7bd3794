"""What is shared when a process is killed: how to wait for each object, to let others go on, and to see that it is whole."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIMIT_S = 20.0


def nothing(_thing: Any) -> None:
    """For what needs no preparation."""


def acquire(lock: Any) -> None:
    assert lock.acquire(True, LIMIT_S)


def release(lock: Any) -> None:
    lock.release()


def wait(event: Any) -> None:
    assert event.wait(LIMIT_S)


def meet(barrier: Any) -> None:
    barrier.wait(LIMIT_S)


def wait_at_condition(condition: Any) -> None:
    with condition:
        assert condition.wait(LIMIT_S)


def notify(condition: Any) -> None:
    with condition:
        condition.notify(1)


def put(queue: Any) -> None:
    queue.put(b"one", True, LIMIT_S)


def put_simply(queue: Any) -> None:
    queue.put(b"one")


def get(queue: Any) -> None:
    assert queue.get(True, LIMIT_S) == b"one"


def get_simply(queue: Any) -> None:
    assert queue.get() == b"one"


def finish(queue: Any) -> None:
    get(queue)
    queue.task_done()


@dataclass(frozen=True)
class Subject:
    """An object, and what processes do with it."""

    # Makes it.
    make: Callable[[Any], Any]
    # What must be waited for; before that, what makes it so; and what lets one of those go on who wait.
    wait: Callable[[Any], None]
    free: Callable[[Any], None]
    occupy: Callable[[Any], None] = nothing
    # By who has waited: lets the next one go on.
    settle: Callable[[Any], None] = nothing
    # That nothing is missing and nothing is twice, when all have gone.
    is_whole: Callable[[Any], bool] = lambda _: True
    # The descriptor of its memory.
    descriptor: Callable[[Any], int] = lambda thing: thing._address()[0]
    # Whether one waiter of several is let go.
    wakes_one: bool = True
    # Whether that is the one who has waited longest, whatever the others do.
    tells_the_first: bool = False
    # Whether others cannot go on as long as one who lives is about to wake them: the condition's lock is not back, or the
    # barrier's section not left.
    tells_inside: bool = False
    # How many wait for one who does not wait to let them go.
    audience: int = 1


def _lock_is_whole(lock: Any) -> bool:
    is_free = bool(lock.acquire(False))
    lock.release()
    return is_free


def _permits_are_whole(semaphore: Any) -> bool:
    return bool(semaphore.get_value() == 1)


def _condition_is_whole(condition: Any) -> bool:
    return _lock_is_whole(condition) and bool(condition._sleeping_count.get_value() == 0)


def _holds(queue: Any, count: int) -> bool:
    return bool(queue._shared.qsize() == count)


def queue_descriptor(queue: Any) -> int:
    """Return the descriptor of a queue's memory."""
    return int(queue._shared._descriptor())


def used_bytes(queue: Any) -> int:
    """Return what a queue takes from the system."""
    return os.fstat(queue_descriptor(queue)).st_blocks * 512


_LOCK = {"wait": acquire, "free": release, "occupy": acquire, "settle": release}

SUBJECTS = {
    "Lock": Subject(lambda context: context.Lock(), **_LOCK, is_whole=_lock_is_whole),
    "RLock": Subject(lambda context: context.RLock(), **_LOCK, is_whole=_lock_is_whole),
    "BoundedSemaphore": Subject(lambda context: context.BoundedSemaphore(1), **_LOCK, is_whole=_permits_are_whole),
    "Semaphore": Subject(
        lambda context: context.Semaphore(0), acquire, release, settle=release, is_whole=_permits_are_whole
    ),
    "Condition": Subject(
        lambda context: context.Condition(),
        wait_at_condition,
        notify,
        settle=notify,
        is_whole=_condition_is_whole,
        descriptor=lambda condition: condition._line._address()[0],
        wakes_one=False,
        tells_the_first=True,
        tells_inside=True,
    ),
    "Event": Subject(lambda context: context.Event(), wait, lambda event: event.set(), wakes_one=False),
    "Barrier": Subject(
        lambda context: context.Barrier(3),
        meet,
        meet,
        is_whole=lambda barrier: not barrier.broken and barrier.n_waiting == 0,
        wakes_one=False,
        audience=2,
        tells_inside=True,
    ),
    "Queue.get": Subject(
        lambda context: context.Queue(),
        get,
        put,
        settle=put,
        is_whole=lambda queue: _holds(queue, 1),
        descriptor=queue_descriptor,
    ),
    "Queue.put": Subject(
        lambda context: context.Queue(1),
        put,
        get,
        occupy=put,
        settle=get,
        is_whole=lambda queue: _holds(queue, 0),
        descriptor=queue_descriptor,
    ),
    "SimpleQueue.get": Subject(
        lambda context: context.SimpleQueue(),
        get_simply,
        put_simply,
        settle=put_simply,
        is_whole=lambda queue: _holds(queue, 1),
        descriptor=queue_descriptor,
    ),
    "JoinableQueue.join": Subject(
        lambda context: context.JoinableQueue(),
        lambda queue: queue.join(),
        finish,
        occupy=put,
        is_whole=lambda queue: _holds(queue, 0),
        descriptor=queue_descriptor,
        wakes_one=False,
    ),
}

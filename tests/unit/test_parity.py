"""Each primitive returns, raises, says and looks like the standard library's of the running Python, case by case."""

from __future__ import annotations

import queue
import re
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

import threefold.queue
import threefold.threading

NAMES = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier")
QUEUE_NAMES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")
STANDARD = SimpleNamespace(
    **{name: getattr(threading, name) for name in NAMES}, **{name: getattr(queue, name) for name in QUEUE_NAMES}
)
OURS = SimpleNamespace(
    **{name: getattr(threefold.threading, name) for name in NAMES},
    **{name: getattr(threefold.queue, name) for name in QUEUE_NAMES},
)
TOO_LONG = threading.TIMEOUT_MAX + 1
Case = Callable[[Any], Any]


def held(primitive: Any, *, times: int = 1) -> Any:
    """Return a primitive after so many acquisitions by this thread."""
    for _ in range(times):
        primitive.acquire()
    return primitive


def filled(a_queue: Any, *items: Any) -> Any:
    """Return a queue with items in it."""
    for item in items:
        a_queue.put(item)
    return a_queue


def in_thread(call: Callable[[], Any]) -> Any:
    """Return what a call gives in another thread, or raise what it raises there."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append((call(), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    value, error = results[0]
    if error is not None:
        raise error
    return value


def looks(value: Any) -> str:
    """Return a repr without the address and without the module that a type lives in."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", repr(value))
    # A free RLock has been acquired 0 times; Python 3.13 says 1.
    text = text.replace("owner=0 count=1", "owner=0 count=0")
    text = re.sub(r"owner=(\d+|'[^']*')", "owner=…", text)
    return re.sub(
        r"\b(?:threefold\.threading|threefold\.queue|threefold|_thread|threading|_queue|queue)\.", "", text
    ).replace("lock object", "Lock object")


def outcome(case: Case, namespace: Any) -> tuple[object, ...]:
    """Return what a case does in a form that can be compared: its value or its error, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = case(namespace)
            ending: tuple[object, ...] = (
                "returns",
                value if isinstance(value, (int, float, str, tuple, list, type(None))) else looks(value),
            )
        except Exception as error:
            ending = ("raises", type(error), str(error))
    return *ending, [(warning.category, str(warning.message)) for warning in caught]


def table(cases: dict[str, Case]) -> Any:
    """Parametrize a test by a table of cases."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in cases.items()])


def for_each(names: tuple[str, ...], cases: dict[str, Callable[[Any], Any]]) -> dict[str, Case]:
    """Return each case for each of the types; the case gets the type."""
    return {
        f"{name}: {label}": (lambda n, name=name, case=case: case(getattr(n, name)))
        for name in names
        for label, case in cases.items()
    }


# What the standard library does and says here, ours does and says, word for word.
LOCKS = for_each(
    ("Lock", "RLock", "Condition"),
    {
        "acquire": lambda make: make().acquire(),
        "acquire without blocking": lambda make: make().acquire(False),
        "acquire by name": lambda make: make().acquire(blocking=True, timeout=-1),
        "acquire with a limit": lambda make: make().acquire(timeout=0.5),
        "acquire with the longest limit": lambda make: make().acquire(timeout=threading.TIMEOUT_MAX),
        "acquire with a limit without blocking": lambda make: make().acquire(False, 1),
        "acquire with -1 without blocking": lambda make: make().acquire(False, -1),
        "acquire with a negative limit": lambda make: make().acquire(timeout=-2),
        "acquire with a limit that is too large": lambda make: make().acquire(timeout=TOO_LONG),
        "acquire with a huge limit": lambda make: make().acquire(timeout=1e100),
        "acquire with an infinite limit": lambda make: make().acquire(timeout=float("inf")),
        "acquire with NaN": lambda make: make().acquire(timeout=float("nan")),
        "acquire with None": lambda make: make().acquire(timeout=None),
        "acquire with text": lambda make: make().acquire(timeout="1"),
        "acquire in another thread while held": lambda make: in_thread(partial(held(make()).acquire, False)),
        "acquire with 0 in another thread while held": lambda make: in_thread(partial(held(make()).acquire, timeout=0)),
        "release": lambda make: held(make()).release(),
        "release what nobody holds": lambda make: make().release(),
        "release once too often": lambda make: [(lock := held(make())).release(), lock.release()],
        "enter": lambda make: make().__enter__(),
        "exit": lambda make: held(make()).__exit__(None, None, None),
        "exit what nobody holds": lambda make: make().__exit__(None, None, None),
        "an error passes through with": lambda make: raising_inside(make()),
        "is true": lambda make: bool(make()),
        "reset after fork": lambda make: [(lock := held(make()))._at_fork_reinit(), lock.acquire(False)],
    },
)
RLOCKS = for_each(
    ("RLock", "Condition"),
    {
        "acquire again": lambda make: held(make()).acquire(False),
        "release in another thread": lambda make: in_thread(held(make()).release),
        "is owned": lambda make: (make()._is_owned(), held(make())._is_owned(), in_thread(held(make())._is_owned)),
        "save and restore": lambda make: save_and_restore(held(make(), times=3)),
        "save what nobody holds": lambda make: make()._release_save(),
    },
)
ONLY_RLOCK = {
    "recursion count": lambda n: (n.RLock()._recursion_count(), held(n.RLock(), times=3)._recursion_count()),
    "arguments": lambda n: type(n.RLock(1, 2)).__name__,
    "argument by name": lambda n: type(n.RLock(a=1)).__name__,
    "repr": lambda n: looks(n.RLock()),
    "repr while held": lambda n: looks(held(n.RLock(), times=2)),
}
CONDITIONS = {
    "wait for what nobody holds": lambda n: n.Condition().wait(0),
    "wait with 0": lambda n: held(n.Condition()).wait(0),
    "wait with a negative limit": lambda n: held(n.Condition()).wait(-1),
    "wait with a limit that is too large": lambda n: held(n.Condition()).wait(TOO_LONG),
    "wait_for true": lambda n: held(n.Condition()).wait_for(lambda: "yes"),
    "wait_for false with 0": lambda n: held(n.Condition()).wait_for(lambda: "", 0),
    "wait_for with an error": lambda n: held(n.Condition()).wait_for(lambda: 1 // 0),
    "notify what nobody holds": lambda n: n.Condition().notify(),
    "notify_all what nobody holds": lambda n: n.Condition().notify_all(),
    "notify nobody": lambda n: (
        held(n.Condition()).notify(),
        held(n.Condition()).notify(5),
        held(n.Condition()).notify_all(),
    ),
    "notify 0": lambda n: held(n.Condition()).notify(0),
    "old name": lambda n: held(n.Condition()).notifyAll(),
    "on a Lock": lambda n: (held(lock := n.Lock()), n.Condition(lock).wait(0), lock.locked())[1:],
    "on a Lock by name": lambda n: n.Condition(lock=n.Lock()).acquire(),
    "on a Lock of the standard library": lambda n: (
        condition := n.Condition(STANDARD.Lock()),
        condition.acquire(),
        condition.wait(0),
        condition.notify(),
    )[1:],
    "on an RLock of the standard library": lambda n: (
        condition := n.Condition(STANDARD.RLock()),
        held(condition, times=2),
        condition.wait(0),
        condition.release(),
    )[2:],
    "on something else": lambda n: n.Condition("lock"),
    "repr": lambda n: looks(n.Condition()),
    "repr on a Lock": lambda n: looks(n.Condition(n.Lock())),
}
SEMAPHORES = for_each(
    ("Semaphore", "BoundedSemaphore"),
    {
        "negative": lambda make: make(-1),
        "negative by name": lambda make: make(value=-5),
        "text": lambda make: type_of_error(lambda: make("1")),
        "acquire": lambda make: make().acquire(),
        "acquire without blocking": lambda make: (make(1).acquire(False), make(0).acquire(False)),
        "acquire with a limit": lambda make: (
            make(1).acquire(timeout=1),
            make(0).acquire(timeout=0),
            make(0).acquire(True, 0.001),
        ),
        "acquire with a negative limit": lambda make: make(0).acquire(timeout=-1),
        "acquire with a limit without blocking": lambda make: make().acquire(False, 1),
        "acquire with 0 without blocking": lambda make: make().acquire(blocking=False, timeout=0),
        "release 0": lambda make: make().release(0),
        "release a negative number": lambda make: make().release(-1),
        "release by name": lambda make: held(make(2), times=2).release(n=2),
        "release once too often": lambda make: [(semaphore := make(1)).release(), semaphore._value],
        "release many too often": lambda make: held(make(3)).release(2),
        "enter": lambda make: make().__enter__(),
        "exit": lambda make: held(make()).__exit__(None, None, None),
        "value": lambda make: held(make(3))._value,
        "repr": lambda make: looks(held(make(3))),
    },
)
EVENTS = {
    "wait with 0": lambda n: n.Event().wait(0),
    "wait with a negative limit": lambda n: n.Event().wait(-1),
    "wait with a limit": lambda n: n.Event().wait(timeout=0.001),
    "wait with text": lambda n: type_of_error(lambda: n.Event().wait("1")),
    "set": lambda n: (
        (event := n.Event()).is_set(),
        event.set(),
        event.is_set(),
        event.wait(),
        event.clear(),
        event.is_set(),
    ),
    "old name": lambda n: n.Event().isSet(),
    "reset after fork": lambda n: n.Event()._at_fork_reinit(),
    "repr": lambda n: looks(n.Event()),
    "repr when set": lambda n: [(event := n.Event()).set(), looks(event)],
}
BARRIERS = {
    "of one": lambda n: (
        (barrier := n.Barrier(1)).wait(),
        barrier.wait(),
        barrier.n_waiting,
        barrier.broken,
        barrier.parties,
    )[1:],
    "wait with 0": lambda n: n.Barrier(2).wait(0),
    "its own limit": lambda n: n.Barrier(2, timeout=0.001).wait(),
    "wait after abort": lambda n: [(barrier := n.Barrier(1)).abort(), barrier.wait()],
    "broken after abort": lambda n: [(barrier := n.Barrier(1)).abort(), barrier.broken, looks(barrier)],
    "reset after abort": lambda n: [(barrier := n.Barrier(1)).abort(), barrier.reset(), barrier.wait()],
    "action": lambda n: [done := [], n.Barrier(1, lambda: done.append(1)).wait(), done][1:],
    "failing action": lambda n: n.Barrier(1, action=lambda: 1 // 0).wait(),
    "broken after a failing action": lambda n: [
        barrier := n.Barrier(1, action=lambda: 1 // 0),
        type_of_error(barrier.wait),
        barrier.broken,
    ][1:],
    "repr": lambda n: looks(n.Barrier(3)),
}
if sys.version_info >= (3, 13):
    # Before, the standard Barrier took any number, also one with which it could never open.
    BARRIERS |= {
        "of nobody": lambda n: looks(n.Barrier(0)),
        "of less than nobody": lambda n: looks(n.Barrier(-1)),
        "of text": lambda n: type_of_error(lambda: n.Barrier("2").wait(0)),
    }
QUEUES = for_each(
    ("Queue", "LifoQueue", "PriorityQueue"),
    {
        "put and get": lambda make: [(a := filled(make(), 2, 1, 3)).get(), a.get(), a.get()],
        "put by name": lambda make: make().put(item=1, block=True, timeout=None),
        "get by name": lambda make: filled(make(), 1).get(block=True, timeout=None),
        "get from an empty one": lambda make: make().get_nowait(),
        "get from an empty one without blocking": lambda make: make().get(False),
        "get from an empty one with 0": lambda make: make().get(timeout=0),
        "get with a limit": lambda make: make().get(True, 0.001),
        "get with a negative limit": lambda make: make().get(timeout=-1),
        "get with a negative limit without blocking": lambda make: make().get(False, -1),
        "get what is there with a negative limit": lambda make: filled(make(), 1).get(timeout=-1),
        "put into a full one": lambda make: filled(make(1), 1).put_nowait(2),
        "put into a full one without blocking": lambda make: filled(make(1), 1).put(2, False),
        "put into a full one with 0": lambda make: filled(make(1), 1).put(2, timeout=0),
        "put into a full one with a negative limit": lambda make: filled(make(1), 1).put(2, timeout=-1),
        "put with a negative limit": lambda make: make(2).put(1, timeout=-1),
        "put with a negative limit, unbounded": lambda make: make().put(1, timeout=-1),
        "sizes": lambda make: ((a := filled(make(2), 1, 2)).qsize(), a.full(), a.empty(), a.maxsize),
        "a negative size has no bound": lambda make: ((a := filled(make(-1), *range(9))).qsize(), a.full(), a.maxsize),
        "task_done": lambda make: [(a := filled(make(), 1)).task_done(), a.unfinished_tasks, a.join()],
        "task_done too often": lambda make: make().task_done(),
        "unfinished tasks": lambda make: filled(make(), 1, 2).unfinished_tasks,
        "the list inside": lambda make: list(filled(make(), 1, 2).queue),
        "the mutex inside": lambda make: make().mutex.acquire(False),
        "clear inside": lambda make: clear_inside(filled(make(), 1, 2)),
        "repr": lambda make: looks(make()),
        "put after shutdown": lambda make: shut(make()).put(1),
        "get after shutdown": lambda make: shut(make()).get(),
        "drain after shutdown": lambda make: [(a := shut(filled(make(), 1))).get(), a.get()],
        "get after immediate shutdown": lambda make: shut(filled(make(), 1), True).get(),
        "shutdown twice": lambda make: shut(shut(make(), True)).is_shutdown,
        "join after immediate shutdown": lambda make: shut(filled(make(), 1), True).join(),
    },
)
SIMPLE_QUEUES = {
    "put and get": lambda n: [(a := filled(n.SimpleQueue(), 2, 1)).get(), a.get()],
    "put ignores block and timeout": lambda n: n.SimpleQueue().put(item=1, block=False, timeout=-5),
    "get from an empty one": lambda n: n.SimpleQueue().get_nowait(),
    "get from an empty one with 0": lambda n: n.SimpleQueue().get(timeout=0),
    "get with a negative limit": lambda n: n.SimpleQueue().get(timeout=-1),
    "get with a huge limit": lambda n: n.SimpleQueue().get(timeout=1e100),
    "get by name": lambda n: filled(n.SimpleQueue(), 1).get(block=True, timeout=None),
    "sizes": lambda n: ((a := filled(n.SimpleQueue(), 1)).qsize(), a.empty()),
    "repr": lambda n: looks(n.SimpleQueue()),
}


def raising_inside(lock: Any) -> Any:
    """Raise inside `with` and say whether the lock is free afterwards."""
    try:
        with lock:
            raise KeyError(1)
    except KeyError:
        return in_thread(lambda: lock.acquire(False))


def save_and_restore(lock: Any) -> tuple[bool, ...]:
    """Give a lock held three times away and take it back, and say when it was owned."""
    state = lock._release_save()
    between = lock._is_owned()
    lock._acquire_restore(state)
    lock.release()
    lock.release()
    third = lock._is_owned()
    lock.release()
    return between, third, lock._is_owned()


def type_of_error(call: Callable[[], Any]) -> str:
    """Return the name of the error that a call raises, where the words are those of an inner detail."""
    try:
        return f"returned {call()!r}"
    except Exception as error:
        return type(error).__name__


def clear_inside(a_queue: Any) -> int:
    """Empty a queue as many programs do, by its insides, and return its size."""
    with a_queue.mutex:
        a_queue.queue.clear()
        a_queue.not_full.notify_all()
    return int(a_queue.qsize())


def shut(a_queue: Any, immediate: bool = False) -> Any:
    """Return a queue after its shutdown; where the standard one has none, the case compares nothing."""
    if not hasattr(queue, "ShutDown"):
        pytest.skip("the standard queue has no shutdown() before Python 3.13")
    a_queue.shutdown(immediate)
    return a_queue


@table({**LOCKS, **RLOCKS, **ONLY_RLOCK, **CONDITIONS, **SEMAPHORES, **EVENTS, **BARRIERS, **QUEUES, **SIMPLE_QUEUES})
def test_a_case_ends_as_in_the_standard_library(case: Case) -> None:
    assert outcome(case, OURS) == outcome(case, STANDARD)

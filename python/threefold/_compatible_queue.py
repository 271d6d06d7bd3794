"""The visible mode of a queue: what a native queue turns into when a program works with its insides.

The standard queues show their parts (`queue`, `mutex`, `not_empty`, `not_full`, `all_tasks_done`) and let a subclass
replace `_init`, `_qsize`, `_put` and `_get`. Programs use both. A native queue has no such parts; on the first use of one
it moves its contents into a `CompatibleQueue` and forwards every call to it from then on. That is slower, and it is all
real: the parts are Python objects that a program may hold, wait on and change.

The mutex is a re-entrant lock. So `with q.mutex: q.put(item)` works, and so does a `put()` that runs in the middle of
another one on the same thread (from a signal handler, a `__del__` method or a comparison of items): such an item is set
aside, since the store may be half changed, and stored as soon as the change is over.
"""

from __future__ import annotations

import weakref
from collections import deque
from queue import Empty, Full
from time import monotonic

from threefold._compatible_queue_async import AsyncFace
from threefold._queue_hooks import (
    get_fifo,
    get_lifo,
    get_priority,
    init_fifo,
    init_lifo,
    init_priority,
    put_fifo,
    put_lifo,
    put_priority,
    qsize,
)
from threefold._threefold import Condition, RLock
from threefold.queue import ShutDown

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = [
    "CompatibleQueue",
    "get_fifo",
    "get_lifo",
    "get_priority",
    "init_fifo",
    "init_lifo",
    "init_priority",
    "put_fifo",
    "put_lifo",
    "put_priority",
    "qsize",
]


class CompatibleQueue(AsyncFace):
    """A queue whose parts are all visible, working through its owner's `_init`, `_qsize`, `_put` and `_get`.

    Args:
        owner: the queue object that the program knows; it forwards its calls here.
        maxsize: most items it may hold; 0 or less means no limit.
        items: what it holds, oldest first.
        unfinished_tasks: items put and not yet marked done.
        is_shutdown: whether it takes no more.

    Source: CPython Lib/queue.py, Queue, as of 3.13.
    """

    def __init__(
        self, owner: Any, maxsize: int, items: Iterable[Any], unfinished_tasks: int, is_shutdown: bool
    ) -> None:
        super().__init__()
        # Weak: the owner holds this object, and lives while one of its calls runs.
        self._owner: Callable[[], Any] = weakref.ref(owner)
        self.maxsize = maxsize
        self.unfinished_tasks = unfinished_tasks
        self.is_shutdown = is_shutdown
        self.mutex = RLock()
        self.not_empty = Condition(self.mutex)
        self.not_full = Condition(self.mutex)
        self.all_tasks_done = Condition(self.mutex)
        self._arrived_with = deque(items)
        self._set_aside: deque[Any] = deque()
        self._is_changing = False
        self._is_opening = False
        self._is_open = False

    def open(self) -> None:
        """Let the owner's `_init` make the store and put into it what was there; the first use does it otherwise.

        It cannot be part of the constructor: `_init` assigns `owner.queue`, which must lead here already.
        """
        with self.mutex:
            # Opening uses `queue` itself, on this thread.
            if self._is_open or self._is_opening:
                return
            self._is_opening = True
            try:
                owner = self._owner()
                owner._init(self.maxsize)
                while self._arrived_with:
                    owner._put(self._arrived_with[0])
                    self._arrived_with.popleft()
                self._is_open = True
            finally:
                self._is_opening = False

    def _initialise(self, maxsize: int) -> None:
        """Begin anew, empty, as the owner's constructor asks; its `_init` runs now."""
        with self.mutex:
            self.maxsize = maxsize
            self.unfinished_tasks = 0
            self.is_shutdown = False
            self._arrived_with.clear()
            self._is_open = False
            self.open()

    def _take_over(self, items: Iterable[Any], unfinished_tasks: int, is_shutdown: bool) -> None:
        """Receive what the native queue held; it comes before what has been put here since."""
        with self.mutex:
            later = []
            if self._is_open:
                owner = self._owner()
                later = [owner._get() for _ in range(owner._qsize())]
                self._is_open = False
            self._arrived_with = deque([*items, *later])
            self.unfinished_tasks += unfinished_tasks
            self.is_shutdown = self.is_shutdown or is_shutdown
            self.not_empty.notify_all()
            self._wake_all(self._waiting_gets)

    @property
    def queue(self) -> Any:
        """The store that `_init` made: a deque, a list, or what a subclass prefers."""
        if not self._is_open:
            self.open()
        return self._store

    @queue.setter
    def queue(self, store: Any) -> None:
        self._store = store

    def qsize(self) -> int:
        """Return how many items there are."""
        with self.mutex:
            return int(self._opened()._qsize())

    def empty(self) -> bool:
        """Return whether there are no items."""
        with self.mutex:
            return not self._opened()._qsize()

    def full(self) -> bool:
        """Return whether there are as many items as there may be."""
        with self.mutex:
            return 0 < self.maxsize <= int(self._opened()._qsize())

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, waiting for room if there is none.

        Args:
            item: what to put.
            block: False means not to wait.
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            Full: if there was no room in time.
            ShutDown: if the queue takes no more.
            ValueError: for a negative timeout.
        """
        with self.not_full:
            owner = self._opened()
            if self.is_shutdown:
                raise ShutDown
            if self._is_inside_a_change():
                self._set_aside.append(item)
                return
            if self.maxsize > 0:
                self._wait_for_room(owner, block, timeout)
            self._insert(owner, item)

    def put_nowait(self, item: Any) -> None:
        """Put an item if there is room now; raises what `put()` raises."""
        self.put(item, block=False)

    def put_many(self, items: Iterable[Any], timeout: float | None = None) -> None:
        """Put items one after another, waiting for room as often as it takes.

        Args:
            items: what to put, in this order.
            timeout: seconds for all of them together; None waits for ever.

        Raises:
            Full: if there was no room in time; the items before that one have been put.
            ShutDown: if the queue takes no more.
        """
        deadline = None if timeout is None else monotonic() + timeout
        for item in items:
            self.put(item, timeout=None if deadline is None else max(0.0, deadline - monotonic()))

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an item, waiting for one if there is none.

        Args:
            block: False means not to wait.
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            Empty: if there was none in time.
            ShutDown: if the queue is empty and was shut down.
            ValueError: for a negative timeout.
            RuntimeError: if it would wait inside a change to the same queue on the same thread, for ever that is.
        """
        with self.not_empty:
            owner = self._opened()
            if self._is_inside_a_change():
                return self._take_what_was_set_aside(block)
            self._wait_for_item(owner, block, timeout)
            return self._remove(owner)

    def get_nowait(self) -> Any:
        """Take an item if there is one now; raises what `get()` raises."""
        return self.get(block=False)

    def get_many(self, max: int, timeout: float | None = None) -> list[Any]:
        """Wait for one item, then take all that are there, up to a number.

        Args:
            max: most items to take.
            timeout: seconds to wait for the first one at most; None waits for ever.

        Raises:
            Empty: if there was none in time.
            ShutDown: if the queue is empty and was shut down.
            ValueError: for a number below 1.
        """
        if max < 1:
            raise ValueError("'max' must be at least 1")
        with self.not_empty:
            items = [self.get(timeout=timeout)]
            owner = self._opened()
            while len(items) < max and owner._qsize():
                items.append(self._remove(owner))
            return items

    def task_done(self) -> None:
        """Mark one item as done.

        Raises:
            ValueError: if called more often than items were put.
        """
        with self.all_tasks_done:
            self._opened()
            left = self.unfinished_tasks - 1
            if left < 0:
                raise ValueError("task_done() called too many times")
            self.unfinished_tasks = left
            if not left:
                self.all_tasks_done.notify_all()
                self._wake_all(self._waiting_joins)

    def join(self) -> None:
        """Wait until every item has been marked as done."""
        with self.all_tasks_done:
            while self.unfinished_tasks:
                self.all_tasks_done.wait()

    def shutdown(self, immediate: bool = False) -> None:
        """Refuse further puts, and gets once the queue is empty.

        Args:
            immediate: True drops the items that are there, which then count as done.
        """
        with self.mutex:
            owner = self._opened()
            self.is_shutdown = True
            if immediate:
                while owner._qsize():
                    owner._get()
                    if self.unfinished_tasks > 0:
                        self.unfinished_tasks -= 1
                self.all_tasks_done.notify_all()
                self._wake_all(self._waiting_joins)
            self.not_empty.notify_all()
            self.not_full.notify_all()
            self._wake_all(self._waiting_gets)
            self._wake_all(self._waiting_puts)

    def _opened(self) -> Any:
        """Return the owner, with its store in place."""
        if not self._is_open:
            self.open()
        return self._owner()

    def _wait_for_room(self, owner: Any, block: bool, timeout: float | None) -> None:
        if not block:
            if owner._qsize() >= self.maxsize:
                raise Full
            return
        deadline = _deadline(timeout)
        while 0 < self.maxsize <= owner._qsize():
            _wait(self.not_full, deadline, Full)
            if self.is_shutdown:
                raise ShutDown

    def _wait_for_item(self, owner: Any, block: bool, timeout: float | None) -> None:
        if self.is_shutdown and not owner._qsize():
            raise ShutDown
        if not block:
            if not owner._qsize():
                raise Empty
            return
        deadline = _deadline(timeout)
        while not owner._qsize():
            _wait(self.not_empty, deadline, Empty)
            if self.is_shutdown and not owner._qsize():
                raise ShutDown

    def _insert(self, owner: Any, item: Any) -> None:
        """Store an item and tell those who wait for one; called with the mutex held."""
        self._is_changing = True
        try:
            owner._put(item)
            self.unfinished_tasks += 1
            self.not_empty.notify()
            self._wake_one(self._waiting_gets)
        finally:
            self._end_of_change(owner)

    def _remove(self, owner: Any) -> Any:
        """Take an item and tell those who wait for room; called with the mutex held."""
        self._is_changing = True
        try:
            item = owner._get()
            self.not_full.notify()
            self._wake_one(self._waiting_puts)
        finally:
            self._end_of_change(owner)
        return item

    def _end_of_change(self, owner: Any) -> None:
        # In this order: what arrives before the flag falls is found here, what arrives after it is stored directly.
        self._is_changing = False
        if self._set_aside:
            try:
                item = self._set_aside.popleft()
            except IndexError:
                return
            self._insert(owner, item)

    def _is_inside_a_change(self) -> bool:
        """Return whether this call interrupts another one on the same thread; called with the mutex held once."""
        return self._is_changing and self.mutex._recursion_count() > 1

    def _take_what_was_set_aside(self, block: bool) -> Any:
        if self._set_aside:
            return self._set_aside.popleft()
        if block:
            raise RuntimeError("get() inside another operation on the same queue and thread would wait for ever")
        raise Empty


def _deadline(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return monotonic() + timeout


def _wait(condition: Condition, deadline: float | None, too_late: type[Exception]) -> None:
    if deadline is None:
        condition.wait()
        return
    remaining = deadline - monotonic()
    if remaining <= 0.0:
        raise too_late
    condition.wait(remaining)

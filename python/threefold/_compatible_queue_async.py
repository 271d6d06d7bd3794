"""The coroutine methods of the visible queue: each waiting task has an event of its own, woken in order."""

from __future__ import annotations

from collections import deque
from queue import Empty, Full
from time import monotonic

from threefold._threefold import Event
from threefold.queue import ShutDown

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class AsyncFace:
    """What tasks do with a visible queue; no lock is ever held across an `await`.

    A task is woken by what the queue's methods do. Whoever changes the store by hand and calls `not_empty.notify()`
    reaches the threads that wait, and no tasks: `notify()` goes to the condition, which tasks do not wait on.
    """

    def __init__(self) -> None:
        self._waiting_gets: deque[Event] = deque()
        self._waiting_puts: deque[Event] = deque()
        self._waiting_joins: deque[Event] = deque()

    async def put_async(self: Any, item: Any, timeout: float | None = None) -> None:
        """Put an item, as `put()` does, from a task; raises the same."""
        owner = self._opened()
        deadline = _deadline(timeout)
        while True:
            with self.mutex:
                if self.is_shutdown:
                    raise ShutDown
                if not 0 < self.maxsize <= owner._qsize():
                    self._insert(owner, item)
                    return
                event = self._enter(self._waiting_puts, deadline, Full)
            await self._wait_for(event, self._waiting_puts, deadline)

    async def get_async(self: Any, timeout: float | None = None) -> Any:
        """Take an item, as `get()` does, from a task; raises the same."""
        owner = self._opened()
        deadline = _deadline(timeout)
        while True:
            with self.mutex:
                if owner._qsize():
                    return self._remove(owner)
                if self.is_shutdown:
                    raise ShutDown
                event = self._enter(self._waiting_gets, deadline, Empty)
            await self._wait_for(event, self._waiting_gets, deadline)

    async def __anext__(self: Any) -> Any:
        """Take the next item; the iteration ends when the queue is shut down and empty."""
        try:
            return await self.get_async()
        except ShutDown:
            raise StopAsyncIteration from None

    async def join_async(self: Any) -> None:
        """Wait, in a task, until every item has been marked as done."""
        while True:
            with self.mutex:
                if not self.unfinished_tasks:
                    return
                event = self._enter(self._waiting_joins, None, Empty)
            await self._wait_for(event, self._waiting_joins, None)

    def _enter(self, line: deque[Event], deadline: float | None, too_late: type[Exception]) -> Event:
        """Queue up; called with the mutex held."""
        if deadline is not None and deadline <= monotonic():
            raise too_late
        event = Event()
        line.append(event)
        return event

    async def _wait_for(self, event: Event, line: deque[Event], deadline: float | None) -> None:
        try:
            await event.wait_async(None if deadline is None else max(0.0, deadline - monotonic()))
        except BaseException:
            if not _leave(line, event):
                # It had been chosen: the next one gets the chance that this one cannot take.
                self._wake_one(line)
            raise
        _leave(line, event)

    @staticmethod
    def _wake_one(line: deque[Event]) -> None:
        try:
            event = line.popleft()
        except IndexError:
            return
        event.set()

    @staticmethod
    def _wake_all(line: deque[Event]) -> None:
        while line:
            AsyncFace._wake_one(line)


def _leave(line: deque[Event], event: Event) -> bool:
    """Return whether the event was still waiting in line."""
    try:
        line.remove(event)
    except ValueError:
        return False
    return True


def _deadline(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    return monotonic() + timeout

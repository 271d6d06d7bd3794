"""Locks, conditions, events and barriers in shared memory: `multiprocessing.synchronize` on the engine."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import context, process
from multiprocessing import synchronize as _standard
from multiprocessing.synchronize import SEM_VALUE_MAX  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from threefold._conditions import wait_for_async as _wait_for_async
from threefold._threefold import SemLock as _SemLock
from threefold._threefold import SharedBarrier as _SharedBarrier
from threefold._threefold import SharedCondition as _SharedCondition
from threefold._threefold import SharedEvent as _SharedEvent
from threefold.multiprocessing import _standard_objects
from threefold.multiprocessing._descriptors import receive, send

if TYPE_CHECKING:
    from threefold._threefold import Wait
    from threefold.multiprocessing.context import _OnDeath

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

_State = tuple[Any, ...]

_standard_objects.keep(_standard, *__all__)

# What the standard one derives from: `threading.Barrier`, which may be another class by now.
_StandardBarrier: Any = _standard.Barrier.__mro__[1]


class SemLock(_SemLock):
    """What locks and semaphores have in common."""

    # The standard library's have one in /dev/shm.
    name = None

    def __getstate__(self) -> _State:
        context.assert_spawning(self)
        descriptor, *details = self._address()
        return (send(self, descriptor), *details)

    def __setstate__(self, state: _State) -> None:
        receive(state[0], self._find, *state[1:])


class Lock(SemLock):
    """Mutual exclusion between processes; anybody may release it.

    Args:
        ctx: the context that makes it.
        owner_died: what the next one gets when a process died with the lock. "inherit": the lock, as if it had been free;
            "raise": an `OwnerDied`, once, and the lock is free.

    Raises:
        ValueError: `owner_died` is neither.

    Differs from the standard library: when a process dies with the lock, the next one gets it, or is told.

    Source: CPython Lib/multiprocessing/synchronize.py, Lock.
    """

    def __init__(
        self,
        *,
        ctx: Any,  # noqa: ARG002 - the standard library's signature
        owner_died: _OnDeath = "inherit",
    ) -> None:
        self._make("Lock", 1, 1, _raises(owner_died))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(owner={_owner(self)[0]})>"


class RLock(SemLock):
    """A lock that the thread of the process that has it may take again.

    Args:
        ctx: the context that makes it.
        owner_died: what the next one gets when a process died with the lock. "inherit": the lock, as if it had been free;
            "raise": an `OwnerDied`, once, and the lock is free.

    Raises:
        ValueError: `owner_died` is neither.

    Differs from the standard library: when a process dies with the lock, the next one gets it, or is told.

    Source: CPython Lib/multiprocessing/synchronize.py, RLock.
    """

    def __init__(
        self,
        *,
        ctx: Any,  # noqa: ARG002 - the standard library's signature
        owner_died: _OnDeath = "inherit",
    ) -> None:
        self._make("RLock", 1, 1, _raises(owner_died))

    def __repr__(self) -> str:
        name, count = _owner(self)
        return f"<{type(self).__name__}({name}, {count})>"


class Semaphore(SemLock):
    """A counter of permits between processes.

    Args:
        value: how many permits there are at first.
        ctx: the context that makes it.
        owner_died: "inherit", which changes nothing here: a permit may be a signal, and then has no owner.

    Raises:
        ValueError: `owner_died` is "raise"; a BoundedSemaphore can tell.

    Source: CPython Lib/multiprocessing/synchronize.py, Semaphore.
    """

    def __init__(
        self,
        value: int = 1,
        *,
        ctx: Any,  # noqa: ARG002 - the standard library's signature
        owner_died: _OnDeath = "inherit",
    ) -> None:
        self._make("Semaphore", value, SEM_VALUE_MAX, _raises(owner_died))

    def get_value(self) -> int:
        """Return how many permits can be had without waiting."""
        return self._get_value()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self._get_value()})>"


class BoundedSemaphore(Semaphore):
    """Permits that are lent, and cannot be given back more often than they were taken.

    Args:
        value: how many permits there are.
        ctx: the context that makes it.
        owner_died: what the one gets whom a permit of a dead process would come to. "inherit": the permit, as if it had been
            free; "raise": an `OwnerDied`, once, and the permit is free.

    Raises:
        ValueError: `owner_died` is neither, or is "raise" and there are more than 4096 permits.

    Differs from the standard library: up to 4096 permits remember who has them, and come back when that process dies.

    Source: CPython Lib/multiprocessing/synchronize.py, BoundedSemaphore.
    """

    def __init__(
        self,
        value: int = 1,
        *,
        ctx: Any,  # noqa: ARG002 - the standard library's signature
        owner_died: _OnDeath = "inherit",
    ) -> None:
        self._make("BoundedSemaphore", value, value, _raises(owner_died))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self._get_value()}, maxvalue={self.maxvalue})>"


def _raises(owner_died: str) -> bool:
    """Return whether a lock with that option raises `OwnerDied`."""
    if owner_died not in ("inherit", "raise"):
        raise ValueError(f'owner_died must be "inherit" or "raise", not {owner_died!r}')
    return owner_died == "raise"


def _owner(lock: _SemLock) -> tuple[str, int | str]:
    """Return who has a lock, and how often, in the standard library's words."""
    if lock._is_mine():
        name, thread = process.current_process().name, threading.current_thread().name
        return (name if thread == "MainThread" else f"{name}|{thread}"), lock._count()
    if not lock._is_zero():
        return "None", 0
    return ("SomeOtherThread" if lock._count() > 0 else "SomeOtherProcess"), "nonzero"


class _Count:
    """A number that is read as a semaphore's value."""

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        """Return it."""
        return self._value


class Condition:
    """A condition variable between processes.

    Args:
        lock: its lock; None makes an RLock.
        ctx: the context that makes it.
        owner_died: as for that RLock. A wait that gets its lock back from a dead process raises with the lock held.

    Raises:
        ValueError: `owner_died` is neither "inherit" nor "raise", or is "raise" beside a lock, whose own option counts.

    Differs from the standard library: waiters that died take no notification away from the others.

    Source: CPython Lib/multiprocessing/synchronize.py, Condition.
    """

    def __init__(self, lock: Any = None, *, ctx: Any, owner_died: _OnDeath = "inherit") -> None:
        if not _raises(owner_died):
            self._lock = lock or ctx.RLock()
        elif lock is None:
            self._lock = RLock(ctx=ctx, owner_died=owner_died)
        else:
            raise ValueError("owner_died is an option of the lock, and this condition was given one")
        self._line = _SharedCondition()
        self._make_methods()

    def _make_methods(self) -> None:
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __getstate__(self) -> _State:
        context.assert_spawning(self)
        descriptor, len_bytes = self._line._address()
        return (self._lock, send(self, descriptor), len_bytes)

    def __setstate__(self, state: _State) -> None:
        self._lock, sent, len_bytes = state
        self._line = receive(sent, _SharedCondition._find, len_bytes)
        self._make_methods()

    def acquire_async(self, timeout: float | None = None) -> Wait[bool]:
        """Take the lock from a task.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            An awaitable of whether it was had.
        """
        lock: _SemLock = self._lock
        return lock.acquire_async(timeout)

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *details: object) -> None:
        self._lock.__exit__(*details)

    def __aenter__(self) -> Wait[bool]:
        lock: _SemLock = self._lock
        return lock.__aenter__()

    def __aexit__(self, *_details: object) -> Wait[None]:
        lock: _SemLock = self._lock
        return lock.__aexit__()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock}, {self._line.waiter_count()})>"

    # What the standard one counts in semaphores: those who wait, those of them who were notified, and their permits.
    @property
    def _sleeping_count(self) -> _Count:
        return _Count(self._line.waiter_count())

    _woken_count = _wait_semaphore = _Count(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, wait to be notified, and take the lock again.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            Whether there was a notification.

        Raises:
            AssertionError: the caller does not have the lock.
            OwnerDied: a process died with the lock, which was made with `owner_died="raise"`; the caller has it now.
        """
        assert self._lock._semlock._is_mine(), "must acquire() condition before using wait()"
        return self._line.wait(self._lock, timeout)

    def wait_async(self, timeout: float | None = None) -> Wait[bool]:
        """As `wait`, in a task that has the lock.

        Args:
            timeout: seconds to wait at most for the notification; None waits for ever.

        Returns:
            An awaitable of whether there was a notification. A task that is cancelled meanwhile has the lock again when
            it hears of it, as `async with` expects.

        Raises:
            AssertionError: the task does not have the lock.
            OwnerDied: as for `wait`.
            TypeError: the lock is the standard library's.
        """
        return self._line.wait_async(self._lock, timeout)

    async def wait_for_async(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """As `wait_for`, in a task that has the lock.

        Args:
            predicate: its result is taken as a truth value.
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            What the predicate returned last.
        """
        return await _wait_for_async(self, predicate, timeout)

    def notify(self, n: int = 1) -> None:
        """Notify up to `n` of those who wait."""
        assert self._lock._semlock._is_mine(), "lock is not owned"
        if n > 0:
            self._line.notify(n)

    def notify_all(self) -> None:
        """Notify all who wait."""
        self.notify(n=sys.maxsize)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until the predicate is true, or `timeout` seconds have passed; return its last value."""
        result = predicate()
        end = None if timeout is None else time.monotonic() + timeout
        while not result:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result


class Event(_SharedEvent):
    """A flag between processes.

    Differs from the standard library: whoever waits when the flag is set goes on, also if it is cleared at once.

    Source: CPython Lib/multiprocessing/synchronize.py, Event.
    """

    def __init__(self, *, ctx: Any) -> None:  # noqa: ARG002 - the standard library's signature
        self._make()

    def __getstate__(self) -> _State:
        context.assert_spawning(self)
        descriptor, len_bytes = self._address()
        return (send(self, descriptor), len_bytes)

    def __setstate__(self, state: _State) -> None:
        receive(state[0], self._find, state[1])

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} at {id(self):#x} {'set' if self.is_set() else 'unset'}>"


class Barrier(_SharedBarrier, _StandardBarrier):  # type: ignore[misc]
    """A meeting point for threads of any processes.

    Differs from the standard library: it breaks when a process dies that waits at it.

    Source: CPython Lib/multiprocessing/synchronize.py, Barrier.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: Any,  # noqa: ARG002 - the standard library's signature
    ) -> None:
        self._make(parties)
        self._action, self._timeout = action, timeout

    def __getstate__(self) -> _State:
        context.assert_spawning(self)
        descriptor, len_bytes = self._address()
        return (self._action, self._timeout, send(self, descriptor), len_bytes)

    def __setstate__(self, state: _State) -> None:
        self._action, self._timeout, sent, len_bytes = state
        receive(sent, self._find, len_bytes)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come; the last one runs the action first.

        Args:
            timeout: seconds to wait at most, after which the barrier is broken; None means the barrier's own timeout.

        Returns:
            How many had come before.

        Raises:
            BrokenBarrierError: the barrier is broken, or was broken or reset meanwhile.
        """
        return self._wait(self._action, self._timeout if timeout is None else timeout)

    def wait_async(self, timeout: float | None = None) -> Wait[int]:
        """As `wait`, in a task.

        Args:
            timeout: seconds to wait at most, after which the barrier is broken; None means the barrier's own timeout.

        Returns:
            An awaitable of how many had come before.

        Raises:
            BrokenBarrierError: the barrier is broken, or was broken or reset meanwhile.
        """
        return self._wait_async(self._action, self._timeout if timeout is None else timeout)

    def __repr__(self) -> str:
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        if self.broken:
            return f"<{name} at {id(self):#x}: broken>"
        return f"<{name} at {id(self):#x}: waiters={self.n_waiting}/{self.parties}>"

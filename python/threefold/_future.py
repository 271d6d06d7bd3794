"""The future of a call in a pool: a standard `Future` that needs no lock unless somebody looks at it while it changes.

A standard future makes a condition, takes it for each change of state and notifies it, in Python; that is most of what a
short call through a pool costs. Here two decisions are made by one atomic step each, `dict.setdefault`, which answers
everybody with the value of the one who came first:

| key | decided by | between |
|---|---|---|
| `_claim` | the worker, or `cancel()` | the call runs, or it never will |
| `_lock` | the worker when the call is over, or whoever first needs the condition | `SETTLED`, or a condition |

A worker that finds no `_lock` at the end stores the result, then settles. There are no callbacks and no `wait()` or
`as_completed()` to be told then: they all need the condition, hence `_lock`, first. If there is one, the standard methods
do the change, under it. Whoever needs the condition and finds `SETTLED` knows that the result is stored, and completes
the state itself if the worker has not come to that yet.

`result()` and `exception()` wait for an event, `_over`: they put it there and then look at the state, while a change is made
first and then looks for `_over`. So one of the two sees the other.
"""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures._base import CANCELLED, FINISHED, PENDING, RUNNING

from threefold._threefold import Condition, Event

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Standard = Future[Any]
else:
    Standard = Future

SETTLED = object()
"""In place of a condition: the call was over before anybody needed one."""


class PoolFuture(Standard):
    """What `submit()` returns: a `concurrent.futures.Future` that knows its call.

    Args:
        function: what to call.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Source: CPython Lib/concurrent/futures/_base.py, Future, and thread.py, _WorkItem.
    """

    _state = PENDING
    _result = None
    _exception = None

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = (function, args, kwargs)

    @property
    def _condition(self) -> Any:
        """The condition that the standard methods and functions work with, made when it is first needed."""
        attributes = self.__dict__
        lock: Any = attributes.get("_lock")
        if lock is None:
            attributes.setdefault("_waiters", [])
            attributes.setdefault("_done_callbacks", [])
            lock = attributes.setdefault("_lock", Condition())
        if lock is SETTLED:
            attributes.setdefault("_waiters", [])
            attributes.setdefault("_done_callbacks", [])
            attributes["_state"] = FINISHED
            # Of its own: `wait()` holds the conditions of many futures, in an order that a shared one would break.
            lock = attributes.setdefault("_late_lock", Condition())
        return lock

    def run(self, run_task: Callable[..., Any] | None = None) -> None:
        """Make the call, unless it was cancelled, and keep what comes of it.

        Args:
            run_task: what to call in place of the function, with the arguments; a worker context's own way.
        """
        attributes = self.__dict__
        is_mine = attributes.setdefault("_claim", RUNNING) is RUNNING and self._state is PENDING
        if not is_mine and not self.set_running_or_notify_cancel():
            return
        self._state = RUNNING
        function, args, kwargs = attributes.pop("_call")
        try:
            result = (run_task or function)(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller of result()
            self._settle("_exception", error, self.set_exception)
            # The traceback of the exception holds this frame, which must hold neither the exception nor the arguments.
            self = attributes = function = args = kwargs = None  # noqa: PLW0642
        else:
            self._settle("_result", result, self.set_result)

    def fail(self, error: BaseException) -> None:
        """End without the call, with an error; a future that was cancelled stays that."""
        if self.__dict__.setdefault("_claim", RUNNING) is RUNNING:
            self.set_exception(error)
        else:
            self.drop()

    def drop(self) -> None:
        """Cancel for a pool that will not make the call, and tell those who wait for many futures at once."""
        self.cancel()
        self.set_running_or_notify_cancel()

    def cancel(self) -> bool:
        """Return whether the call will never be made; a call that runs or is over cannot be cancelled."""
        if self.__dict__.setdefault("_claim", CANCELLED) is not CANCELLED:
            return False
        self._complete_cancel()
        return True

    def set_running_or_notify_cancel(self) -> bool:
        """Claim the call for a worker; False if it was cancelled, of which those who wait are told."""
        if self.__dict__.setdefault("_claim", RUNNING) is not RUNNING:
            self._complete_cancel()
        return super().set_running_or_notify_cancel()

    def done(self) -> bool:
        """Return whether the call is over or cancelled."""
        return self._state is FINISHED or super().done()

    def result(self, timeout: float | None = None) -> Any:
        """Return what the call returned, or raise what it raised.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            CancelledError: if it was cancelled.
            TimeoutError: if it was not over in time.
        """
        try:
            if self._state is not FINISHED:
                self._wait_for_end(timeout)
            if self._state is FINISHED and self._exception is None:
                return self._result
            return super().result(0)
        finally:
            # As in `run`: an exception that is raised here holds this frame.
            self = None  # noqa: PLW0642

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call raised, or None if it returned.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            CancelledError: if it was cancelled.
            TimeoutError: if it was not over in time.
        """
        if self._state is not FINISHED:
            self._wait_for_end(timeout)
        return super().exception(0)

    def _invoke_callbacks(self) -> None:
        # The standard methods end with this once the state has changed. First who waits: a callback may take its time.
        self._tell_of_end()
        super()._invoke_callbacks()

    def _wait_for_end(self, timeout: float | None) -> None:
        end = self.__dict__.setdefault("_over", Event())
        if self._state is PENDING or self._state is RUNNING:
            end._wait_for_result(timeout)

    def _tell_of_end(self) -> None:
        end = self.__dict__.get("_over")
        if end is not None:
            end.set()

    def _settle(self, name: str, outcome: Any, set_under_lock: Callable[[Any], None]) -> None:
        attributes = self.__dict__
        if "_lock" not in attributes:
            attributes[name] = outcome
            if attributes.setdefault("_lock", SETTLED) is SETTLED:
                self._state = FINISHED
                self._tell_of_end()
                return
        set_under_lock(outcome)

    def _complete_cancel(self) -> None:
        """Bring the state in line with a claim for cancelling; both sides may do it, the first one counts."""
        with self._condition:
            if self._state is not PENDING:
                return
            self._state = CANCELLED
            self._condition.notify_all()
        self._invoke_callbacks()

"""The future of a call in another process."""

from __future__ import annotations

from concurrent.futures._base import PENDING, RUNNING

from threefold._future import PoolFuture

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CallFuture(PoolFuture):
    """What `ProcessPoolExecutor.submit()` returns: a `concurrent.futures.Future`.

    Args:
        supervisor: what has the call made.
        pending: the executor's futures that are not over, by number; it is among them until it is over.
        number: its number.
    """

    _job: int | None = None

    def __init__(self, supervisor: Any, pending: dict[int, CallFuture], number: int) -> None:
        self._supervisor = supervisor
        self._pending = pending
        self._number = number
        pending[number] = self

    def cancel(self) -> bool:
        """Return whether the call will never be made; a call that runs or is over cannot be cancelled."""
        if self.cancelled():
            return True
        if self._job is None or self.done() or not self._supervisor.cancel(self._job):
            return self.cancelled()
        return super().cancel()

    def running(self) -> bool:
        """Return whether a worker makes the call now."""
        if self._state is PENDING and self._job is not None:
            return bool(self._supervisor.has_begun(self._job))
        return super().running()

    def _end(self, success: bool, value: Any) -> None:
        """Take the result; on the engine's thread."""
        self._pending.pop(self._number, None)
        if not success:
            from threefold._pool.errors import InitializerFailed, NoWorker, TaskCancelled

            if isinstance(value, TaskCancelled):
                super().cancel()
                self.set_running_or_notify_cancel()
                return
            if isinstance(value, (InitializerFailed, NoWorker)):
                self._supervisor.failure = str(value)
        if self.__dict__.setdefault("_claim", RUNNING) is not RUNNING:
            self.set_running_or_notify_cancel()
            return
        if self._state is PENDING:
            self._state = RUNNING
        if success:
            self._settle("_result", value, self.set_result)
        else:
            self._settle("_exception", value, self.set_exception)

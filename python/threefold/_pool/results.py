"""What a pool's methods return: results that can be waited for by threads and by tasks.

A result that is there already costs no lock and no event. Who waits puts an event there and then looks whether the result has
come; who brings the result says so first and then looks for an event. So one of the two sees the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import count
from multiprocessing import TimeoutError
from multiprocessing import pool as _standard

from threefold._threefold import Event

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from threefold._pool.progress import Progress

_next_number = count().__next__


class ApplyResult(_standard.ApplyResult):  # type: ignore[type-arg]
    """The result of a call, which will come.

    `await` works on it in every event loop; a task that is cancelled while it waits cancels nothing else.

    Args:
        pool: the pool that makes the call; it lives at least as long as that.
        callback: what to call with the result, or None.
        error_callback: what to call with the exception, or None.

    Differs from the standard library: a callback that raises is reported, and the result comes all the same.

    Source: CPython Lib/multiprocessing/pool.py, ApplyResult.
    """

    _is_over = False
    _success = False
    _value: Any = None
    # Asked for by the engine: who wants to be told how many items of a map are over.
    _progress: Callable[[int], None] | None = None
    _line: Progress | None = None

    def __init__(
        self,
        pool: Any,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        self._pool = pool
        self._callback = callback
        self._error_callback = error_callback
        self._job = _next_number()
        self._cache = pool._cache
        self._cache[self._job] = self
        if callback is not None or error_callback is not None:
            pool._callbacks.begin()

    def ready(self) -> bool:
        """Return whether the call is over."""
        return self._is_over

    def successful(self) -> bool:
        """Return whether the call returned, rather than raised.

        Raises:
            ValueError: it is not over.
        """
        if not self._is_over:
            raise ValueError(f"{self!r} not ready")
        return self._success

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the call is over.

        Args:
            timeout: seconds to wait at most; None waits for ever.
        """
        if not self._is_over:
            self._event._wait_for_result(timeout)
        if self._line is not None and self._is_over:
            self._line.join()

    def get(self, timeout: float | None = None) -> Any:
        """Return what the call returned, or raise what it raised.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: of `multiprocessing`; it was not over in time.
            WorkerDied: its worker died.
            TaskTimeout: it took longer than it may.
        """
        try:
            if not self._is_over or self._line is not None:
                self.wait(timeout)
                if not self._is_over:
                    raise TimeoutError
            if self._success:
                return self._value
            raise self._value
        finally:
            # The traceback of an exception holds this frame, and this the exception.
            self = None  # noqa: PLW0642

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self._is_over:
            yield from self._event.wait_async().__await__()
        return self.get()

    @property
    def _event(self) -> Event:
        """The event of the result, made when it is first asked for."""
        event: Event = self.__dict__.setdefault("_waited", Event())
        if self._is_over:
            event.set()
        return event

    def _end(self, success: bool, value: Any) -> None:
        """Take the result; on the engine's thread."""
        callback = self._callback if success else self._error_callback
        if callback is None or (not success and _is_of_the_end(value)):
            self._settle(success, value)
        else:
            self._pool._callbacks.put(callback, value, lambda: self._settle(success, value))

    def _settle(self, success: bool, value: Any) -> None:
        self._success = success
        self._value = value
        if self._line is not None:
            self._line.finish()
        self._is_over = True
        event = self.__dict__.get("_waited")
        if event is not None:
            event.set()
        self._cache.pop(self._job, None)
        self._callback = self._error_callback = self._pool = None


AsyncResult = ApplyResult


def _is_of_the_end(error: BaseException) -> bool:
    """Return whether a call came to nothing because its pool was terminated, of which callbacks are not told."""
    from threefold._pool.errors import PoolTerminated

    return isinstance(error, PoolTerminated)


class MapResult(ApplyResult, _standard.MapResult):  # type: ignore[type-arg]
    """The results of a map, which will come all at once.

    Args:
        pool: the pool that makes the calls.
        chunksize: how many items make a chunk; 0 if there is none.
        length: how many items there are.
        callback: what to call with the list of results, or None.
        error_callback: what to call with the exception that came first, or None.

    Source: CPython Lib/multiprocessing/pool.py, MapResult.
    """

    def __init__(
        self,
        pool: Any,
        chunksize: int,
        length: int,
        callback: Callable[[list[Any]], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        super().__init__(pool, callback, error_callback)
        self._chunksize = chunksize
        if length == 0:
            # As the standard library does, without a word to the callback.
            self._settle(True, [])

    def _show_progress(self, line: Progress | None) -> None:
        if line is not None:
            self._line = line
            self._progress = line.update

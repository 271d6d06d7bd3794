"""Waiting for the end of a thread, visibly and interruptibly."""

from __future__ import annotations

import sys
import threading as _standard
from time import monotonic

from threefold._threefold import Event

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHORT_S = 0.05
"""A thread that ends this soon is waited for in the interpreter itself, which costs one wake-up less.

A signal that the kernel delivers to another thread is seen after this time at the latest.
"""

_standard_delete = _standard.Thread._delete
_standard_join = _standard.Thread.join
_has_handles = hasattr(_standard, "_start_joinable_thread")
_handle_name = "_os_thread_handle" if sys.version_info >= (3, 14) else "_handle"


def join(self: Any, timeout: float | None = None) -> None:
    """Wait until the thread ends.

    Args:
        self: the thread.
        timeout: seconds to wait at most; None waits for ever. Ask `is_alive()` afterwards which of the two it was.

    Raises:
        RuntimeError: if the thread has not been started, or is the one that asks.
    """
    if (timeout is not None and not SHORT_S < timeout <= _standard.TIMEOUT_MAX) or self is _standard.main_thread():
        # The main thread's end is announced by the interpreter, not by the thread.
        _standard_join(self, timeout)
        return
    deadline = None if timeout is None else monotonic() + timeout
    _standard_join(self, SHORT_S)
    if not _has_finished(self):
        _wait_for_end(self, None if deadline is None else deadline - monotonic())
        while not _has_finished(self) and (deadline is None or monotonic() < deadline):
            # What is left is the thread's state, with the destructors of its local data.
            _standard_join(self, SHORT_S)


def delete(self: Any) -> None:
    """Take the current thread off the list of threads, and tell those who wait for its end."""
    _standard_delete(self)
    # In this order, as `_wait_for_end` does the opposite: one of the two sees what the other did.
    self._has_ended = True
    end = self.__dict__.get("_end")
    if end is not None:
        end.set()


def _wait_for_end(thread: Any, timeout: float | None) -> None:
    end = thread.__dict__.setdefault("_end", Event())
    if not thread._has_ended and (timeout is None or timeout > 0):
        _wait_visibly(thread, end, timeout)


def _wait_visibly(thread: Any, end: Event, timeout: float | None) -> None:
    """Wait for the event of a thread's end; the one place that says how such a wait is shown."""
    end._wait_for_thread(thread.ident or 0, timeout)


if _has_handles:

    def _has_finished(thread: Any) -> bool:
        return bool(getattr(thread, _handle_name).is_done())

else:

    def _has_finished(thread: Any) -> bool:
        return bool(thread._is_stopped)

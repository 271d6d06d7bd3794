"""Starting a thread: what the standard `start()` does, with a bare lock for the handshake and no more Python than it takes.

The new thread has begun to run, and may have got on with its work, when `start()` returns, as with the standard class.
Programs count on it without knowing: five threads that print a number each print them in order. Not to wait would save a
quarter of the time of starting and joining a thread; that is why it is not done.
"""

from __future__ import annotations

import sys
import threading as _standard
from _thread import allocate_lock, get_ident, get_native_id

from threefold._threefold import Event

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_has_handles = sys.version_info >= (3, 13)
_has_contexts = sys.version_info >= (3, 14)


def start(self: Any) -> None:
    """Run the thread's `run()` in a new thread of control.

    Raises:
        RuntimeError: if called more than once, or if the system can start no more threads.
    """
    if not self._initialized:
        raise RuntimeError("thread.__init__() not called")
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    # Not an event, which would list this wait in the wait table: it is over before anybody could read that.
    begun = allocate_lock()
    begun.acquire()
    if self.__dict__.setdefault("_begun", begun) is not begun:
        raise RuntimeError("threads can only be started once")
    # The standard class makes its event in Python.
    self._started = Event()
    with _standard._active_limbo_lock:
        _standard._limbo[self] = self
    try:
        _launch(self)
    except Exception:
        # Not for what a signal handler raises: the thread may run by then, and takes itself off.
        with _standard._active_limbo_lock:
            _standard._limbo.pop(self, None)
        del self._begun
        raise
    begun.acquire()


def bootstrap_inner(self: Any) -> None:
    """Run in the new thread: make it known, run it, and see it off."""
    try:
        _make_known(self)
        if _standard._trace_hook:
            sys.settrace(_standard._trace_hook)
        if _standard._profile_hook:
            sys.setprofile(_standard._profile_hook)
        try:
            if _has_contexts:
                self._context.run(self.run)
            else:
                self.run()
        except BaseException:  # noqa: BLE001 - the hook for uncaught exceptions gets all of them
            self._invoke_excepthook(self)
    finally:
        self._delete()


def _make_known(self: Any) -> None:
    try:
        self._ident = ident = get_ident()
        if not _has_handles:
            self._set_tstate_lock()
        self._native_id = get_native_id()
        if _has_contexts:
            self._set_os_name()
        with _standard._active_limbo_lock:
            _standard._active[ident] = self
            del _standard._limbo[self]
    finally:
        # Last, since the starter runs from here on; and in any case, since it waits for nothing else.
        self._started.set()
        begun = self.__dict__.get("_begun")
        if begun is not None:
            begun.release()


if _has_handles:
    _handle_name = "_os_thread_handle" if _has_contexts else "_handle"

    def _launch(self: Any) -> None:
        if _has_contexts and self._context is None:
            inherits = getattr(sys.flags, "thread_inherit_context", False)
            # Before Python 3.14 no thread needs it.
            import contextvars

            self._context = contextvars.copy_context() if inherits else contextvars.Context()
        _standard._start_joinable_thread(self._bootstrap, handle=getattr(self, _handle_name), daemon=self.daemon)

else:

    def _launch(self: Any) -> None:
        _standard._start_new_thread(self._bootstrap, ())

"""Keeping count of running threads on Python 3.11 and 3.12, where each has a lock that the interpreter releases at its end.

The standard methods look through all such locks whenever a thread starts or is found to have ended; with many threads
that is most of the time a start takes.
"""

from __future__ import annotations

import threading as _standard

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FEW = 64
_scan_at = _FEW


def _set_tstate_lock(self: Any) -> None:
    """Make the lock of the current thread; if the interpreter shall wait for the thread at exit, list it."""
    global _scan_at
    lock = self._tstate_lock = _standard._set_sentinel()
    lock.acquire()
    if self.daemon:
        return
    with _standard._shutdown_locks_lock:
        locks = _standard._shutdown_locks
        if len(locks) >= _scan_at:
            # Threads that nobody joins leave theirs behind. Twice what is left: a scan is paid for by as many starts.
            _standard._maintain_shutdown_locks()
            _scan_at = max(_FEW, 2 * len(locks))
        locks.add(lock)


def _stop(self: Any) -> None:
    """Note that the thread has ended; its lock must have been released."""
    lock = self._tstate_lock
    self._is_stopped = True
    # Last: `is_alive()` in another thread takes a missing lock for a thread that has stopped.
    self._tstate_lock = None
    if lock is not None and not self.daemon:
        with _standard._shutdown_locks_lock:
            _standard._shutdown_locks.discard(lock)


def _wait_for_tstate_lock(self: Any, block: bool = True, timeout: float = -1) -> None:
    """Wait until the interpreter has let go of the thread, and note that."""
    lock = self._tstate_lock
    if lock is None:
        return
    try:
        if lock.acquire(block, timeout):
            lock.release()
            self._stop()
    except BaseException:
        # A signal handler may raise between the two calls. The standard method cannot tell that from a signal while the
        # thread still runs, and then takes a running thread for one that has stopped.
        if self._has_ended and lock.locked():
            lock.release()
            self._stop()
        raise


METHODS = {"_set_tstate_lock": _set_tstate_lock, "_stop": _stop, "_wait_for_tstate_lock": _wait_for_tstate_lock}

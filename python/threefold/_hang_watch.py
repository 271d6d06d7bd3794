"""Ends what the main thread does when it takes too long, by an exception that says who waits for whom."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType

import pytest


class HangWatch:
    """A context manager with a time limit, for the main thread only; elsewhere it limits nothing.

    It uses SIGALRM and the real-time interval timer while its block runs, and gives both back afterwards.

    Args:
        seconds: the limit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._previous: object = None
        self._is_armed = False
        self._alive_before = set(threading.enumerate())
        self.exit_status = 1

    def __enter__(self) -> None:
        self._is_armed = threading.current_thread() is threading.main_thread()
        if self._is_armed:
            self._previous = signal.signal(signal.SIGALRM, self._end_the_wait)
            # Again and again until the block ends: an exception that is raised in a destructor or a callback of the
            # garbage collector gets lost.
            signal.setitimer(signal.ITIMER_REAL, self._seconds, max(self._seconds, 1.0))

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._previous)  # type: ignore[arg-type]
            self._is_armed = False

    def stuck_threads(self) -> list[str]:
        """Name the threads that the tests left behind, that still run after the limit, and that Python would wait for."""
        deadline = time.monotonic() + self._seconds
        left_behind = [
            thread for thread in threading.enumerate() if not thread.daemon and thread not in self._alive_before
        ]
        for thread in left_behind:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [f"thread {thread.name}" for thread in left_behind if thread.is_alive()]

    def _end_the_wait(self, _signal_number: int, _frame: FrameType | None) -> None:
        __tracebackhide__ = True
        pytest.fail(f"hung for {self._seconds:g} s; who waits for whom:\n{self._report()}")

    def _report(self) -> str:
        # The main thread's own wait is over by now, since this runs in it; the traceback shows where it was.
        from threefold import _threefold

        try:
            return str(_threefold.waits_report(os.getpid(), False))
        except (OSError, ValueError) as error:
            return str(error)

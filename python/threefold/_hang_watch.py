"""Ends what the main thread does when it takes too long, by an exception that says who waits for whom."""

from __future__ import annotations

import os
import signal
import threading
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
        self._alive_before: set[threading.Thread] = set()
        self._left_behind: set[threading.Thread] = set()
        self.exit_status = 1

    def __enter__(self) -> None:
        self._is_armed = threading.current_thread() is threading.main_thread()
        if self._is_armed:
            self._alive_before = set(threading.enumerate())
            self._previous = signal.signal(signal.SIGALRM, self._end_the_wait)
            signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._previous)  # type: ignore[arg-type]
            self._is_armed = False

    def stuck_threads(self) -> list[str]:
        """Name the threads that a hung test left behind and that the interpreter would wait for at its end."""
        return [f"thread {thread.name}" for thread in self._left_behind if thread.is_alive() and not thread.daemon]

    def _end_the_wait(self, _signal_number: int, _frame: FrameType | None) -> None:
        self._left_behind |= set(threading.enumerate()) - self._alive_before
        pytest.fail(f"hung for {self._seconds:g} s; who waits for whom:\n{self._report()}")

    def _report(self) -> str:
        # The main thread's own wait is over by now, since this runs in it; the traceback shows where it was.
        from threefold import _threefold

        try:
            return str(_threefold.waits_report(os.getpid(), False))
        except (OSError, ValueError) as error:
            return str(error)

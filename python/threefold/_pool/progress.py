"""One line on a terminal that says how far a map is."""

from __future__ import annotations

import sys
from time import monotonic

from threefold._thread import Thread
from threefold._threefold import Event

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

# How often the line is written anew; seconds.
_PERIOD_S = 0.1


class Progress:
    """A line that is written while a map goes on, by a thread: a terminal that is held up holds up nothing else.

    Args:
        total: how many items there are; None if nobody knows yet.
        stream: the terminal.
    """

    def __init__(self, total: int | None, stream: IO[str]) -> None:
        self._total = total
        self._stream = stream
        self._done = 0
        self._began = monotonic()
        self._width = 0
        self._is_over = Event()
        self._thread = Thread(target=self._write_until_over, name="threefold progress", daemon=True)
        self._thread.start()

    def update(self, done: int) -> None:
        """Say how many items are over."""
        self._done = done

    def advance(self, count: int) -> None:
        """Say how many more items are over."""
        self._done += count

    def finish(self) -> None:
        """Write the line for the last time and go to the next."""
        self._is_over.set()

    def join(self) -> None:
        """Wait until the line was written for the last time."""
        if self._is_over.is_set():
            self._thread.join(_PERIOD_S)

    def _write_until_over(self) -> None:
        while not self._is_over.wait(_PERIOD_S):
            self._write("")
        self._write("\n")

    def _write(self, end: str) -> None:
        text = describe(self._done, self._total, monotonic() - self._began)
        blank = " " * (self._width - len(text))
        self._width = len(text)
        try:
            self._stream.write(f"\r{text}{blank}{end}")
            self._stream.flush()
        except (OSError, ValueError):
            # The terminal is gone; the map is not.
            self._is_over.set()


def start(total: int | None) -> Progress | None:
    """Begin a line on standard error; None where that is no terminal."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        return None
    return Progress(total, stream)


def describe(done: int, total: int | None, elapsed: float) -> str:
    """Return count, rate and what is left, in words.

    Args:
        done: how many items are over.
        total: of how many; None if nobody knows yet.
        elapsed: seconds since the begin.
    """
    rate = done / elapsed if elapsed > 0 else 0.0
    count = f"{done}" if total is None else f"{done}/{total}"
    text = f"{count} items, {rate:.{0 if rate >= 100 else 1}f}/s"
    if total is not None and done and done < total:
        text += f", {_span((total - done) / rate)} left"
    return text


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

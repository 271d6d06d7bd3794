"""Names the calls of `parse` that take long, with the line that they are at."""

from __future__ import annotations

import functools
import inspect
import linecache
import os
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from threefold._threefold import Page
from threefold.crawl._report import SlowParse

# A call that takes longer is named; seconds.
PATIENCE_S = 10.0


class Slot:
    """What one thread or task is at: written by it with plain stores, read by whoever watches."""

    __slots__ = ("frame", "page", "since", "thread", "told")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.page: Page | None = None
        self.since = 0.0
        self.told: Page | None = None
        # Gives the frame of a coroutine; None where the thread's own frames are looked at.
        self.frame: Callable[[], FrameType | None] | None = None

    def begin(self, page: Page) -> None:
        """Note that a page is parsed from now on."""
        self.since = time.monotonic()
        self.page = page

    def end(self) -> None:
        """Note that no page is parsed."""
        self.page = None

    def busy_for(self, now: float) -> float:
        """How long the page has been parsed, in seconds; 0.0 where none is."""
        return now - self.since if self.page is not None else 0.0


def code_of(function: Any) -> CodeType | None:
    """The code that runs when a function is called; None where it is not Python."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not hasattr(function, "__code__") and not hasattr(function, "__func__"):
        function = getattr(type(function), "__call__", function)  # noqa: B004 - the method itself is wanted
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def name_of(function: Any) -> str:
    """A function's name for messages."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__qualname__)


def look(slots: list[Slot], function: Any, now: float, told: Callable[[SlowParse], None]) -> None:
    """Name the calls that have been running for long, each once.

    Args:
        slots: what the threads and tasks are at.
        function: the program's function.
        now: the monotonic time, in seconds.
        told: takes what was seen.
    """
    for slot in slots:
        page, seconds = slot.page, slot.busy_for(now)
        if page is None or seconds < PATIENCE_S or slot.told is page:
            continue
        slot.told = page
        frame = slot.frame() if slot.frame is not None else _frame_in(slot.thread, code_of(function))
        if slot.page is not page:
            continue
        slow = _slow(page, function, frame, seconds)
        _tell(slow)
        told(slow)


def _frame_in(thread: int, code: CodeType | None) -> FrameType | None:
    """The frame of the function's own code in a thread, or else the innermost one."""
    innermost = sys._current_frames().get(thread)
    frame = innermost
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame or innermost


def _slow(page: Page, function: Any, frame: FrameType | None, seconds: float) -> SlowParse:
    code = code_of(function)
    if frame is not None:
        file, line = frame.f_code.co_filename, frame.f_lineno
    else:
        file, line = (code.co_filename, code.co_firstlineno) if code is not None else ("?", 0)
    return SlowParse(page.url, name_of(function), file, line, seconds)


def _tell(slow: SlowParse) -> None:
    source = linecache.getline(slow.file, slow.line).strip()
    shown = f": {source}" if source else ""
    text = (
        f"threefold.crawl: {slow.function} has been at {slow.url} for {slow.seconds:.0f} s, "
        f"{os.path.relpath(slow.file) if os.path.isabs(slow.file) else slow.file}, line {slow.line}{shown}\n"
    )
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        # Nobody can be told; the report still says so.
        pass

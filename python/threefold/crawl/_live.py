"""The crawls of this process: they are ended before the interpreter is."""

from __future__ import annotations

import atexit
import os
import weakref

from threefold._threefold import CrawlEngine
from threefold.crawl._errors import StoreError
from threefold.crawl._options import Checked
from threefold.crawl._report import Report, report_of

# How long an abandoned crawl gets to keep what it has recorded; seconds.
FLUSH_PATIENCE_S = 10.0

_engines: weakref.WeakSet[CrawlEngine] = weakref.WeakSet()


def start(checked: Checked, takes_pages: bool, answers: bool) -> CrawlEngine:
    """Start a crawl.

    Args:
        checked: the options.
        takes_pages: whether a program takes its pages.
        answers: whether the program says what it made of each.
    """
    engine = CrawlEngine(checked.engine, checked.buffer_bytes if takes_pages else None, answers)
    _engines.add(engine)
    return engine


def finish(engine: CrawlEngine, checked: Checked, **found: object) -> Report:
    """Wait for the end of a crawl and report on it.

    Args:
        engine: the crawl.
        checked: its options.
        **found: what the program's side has found.

    Raises:
        StoreError: the state or the output could not be written.
    """
    text = engine.wait()
    assert text is not None
    report = report_of(text, **found)
    if report.ending == "failed":
        raise StoreError(report.error or "the crawl has failed", report)
    if checked.parquet is not None:
        from threefold.crawl._parquet import convert

        convert(checked.engine["output"], checked.parquet, keeps_lines=checked.engine["state"] is not None)
    return report


def give_up(engine: CrawlEngine) -> None:
    """End a crawl at once, and wait a moment until what it has recorded is kept."""
    engine.abort()
    engine.wait(FLUSH_PATIENCE_S)


def _end_all() -> None:
    engines = list(_engines)
    for engine in engines:
        engine.abort()
    for engine in engines:
        engine.wait(FLUSH_PATIENCE_S)


def _leave_to_the_parent() -> None:
    _engines.clear()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_leave_to_the_parent)

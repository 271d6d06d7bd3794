"""`crawl.run`: a crawl from beginning to end, whose pages go through the program's function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from threefold._threefold import CrawlEngine
from threefold.crawl import _live
from threefold.crawl._options import check
from threefold.crawl._outcomes import Ledger
from threefold.crawl._report import Report


class Parser(Protocol):
    """Something that takes an engine's pages, and tells what was made of them."""

    def start(self, engine: CrawlEngine) -> None:
        """Begin to take pages."""

    def join(self) -> None:
        """Wait until it has no pages any more; raise what ended it."""


def run_crawl(
    seeds: str | Iterable[str],
    parse: Callable[[Any], Any] | None,
    parse_batch: Callable[[Any], Any] | None,
    workers: int,
    *,
    parse_threads: int,
    parse_tasks: int,
    batch_size: int,
    options: dict[str, Any],
) -> Report:
    """Run a crawl; see `threefold.crawl.run`."""
    checked = check(seeds, options, "crawl.run")
    counts = {"workers": workers, "parse_threads": parse_threads, "parse_tasks": parse_tasks, "batch_size": batch_size}
    _check_parsing(parse, parse_batch, counts)
    function = parse_batch or parse
    if function is None:
        engine = _live.start(checked, takes_pages=False, answers=False)
        try:
            return _live.finish(engine, checked)
        except BaseException:
            _live.give_up(engine)
            raise
    is_kept = checked.engine["output"] is not None or checked.engine["state"] is not None
    ledger = Ledger(collects=not is_kept and checked.engine["frontier"] is None)
    parser = _parser(function, parse_batch is not None, counts, ledger)
    try:
        engine = _live.start(checked, takes_pages=True, answers=True)
        ledger.engine = engine
        try:
            parser.start(engine)
            engine.wait()
        except BaseException:
            _live.give_up(engine)
            raise
    finally:
        parser.join()
    return _live.finish(engine, checked, **ledger.found())


def _check_parsing(
    parse: Callable[[Any], Any] | None, parse_batch: Callable[[Any], Any] | None, counts: dict[str, int]
) -> None:
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"{name} must be a whole number, not {type(count).__name__!r}")
        if count < (0 if name == "workers" else 1):
            raise ValueError(f"{name} must be at least {0 if name == 'workers' else 1}, not {count}")
    if parse is not None and parse_batch is not None:
        raise TypeError("crawl.run() takes parse= or parse_batch=, not both")
    function = parse_batch or parse
    if function is None:
        if counts["workers"]:
            raise TypeError("workers= are for a parse function, and there is none")
        return
    if not callable(function):
        raise TypeError(f"parse must be a function, not {type(function).__name__!r}")
    if _is_async(function) and (counts["workers"] or parse_batch is not None):
        where = "in processes" if counts["workers"] else "with batches"
        raise TypeError(f"a coroutine function can't be called {where}: give a plain one")


def _is_async(function: Callable[..., Any]) -> bool:
    for candidate in (inspect.unwrap(function), getattr(function, "__call__", None)):  # noqa: B004 - the method is looked at
        if inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate):
            return True
    return False


def _parser(function: Callable[[Any], Any], takes_many: bool, counts: dict[str, int], ledger: Ledger) -> Parser:
    if counts["workers"]:
        from threefold.crawl._parse_processes import Processes

        return Processes(
            function, takes_many=takes_many, taken=counts["batch_size"], workers=counts["workers"], ledger=ledger
        )
    if _is_async(function):
        from threefold.crawl._parse_tasks import Tasks

        return Tasks(function, limit=counts["parse_tasks"], ledger=ledger)
    from threefold.crawl._parse_threads import Threads

    return Threads(
        function, takes_many=takes_many, taken=counts["batch_size"], limit=counts["parse_threads"], ledger=ledger
    )

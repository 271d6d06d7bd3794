"""The functions of `threefold.crawl`, and the module's own class, which makes it callable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import ModuleType
from typing import Any, Unpack

from threefold._threefold import Page
from threefold.crawl._options import Options
from threefold.crawl._pages import Pages, Stream
from threefold.crawl._report import Report
from threefold.crawl._run import run_crawl


def crawl(seeds: str | Iterable[str], **options: Unpack[Options]) -> Pages:
    """Give each page of a crawl to a loop as it comes.

    As in: for page in crawl("https://example.org/", depth=3): ...

    Pages that the loop has not taken yet are bounded by `buffer_bytes`; fetching waits when they are more. To leave the loop
    ends the crawl.

    Args:
        seeds: where the crawl begins: one address or several.
        **options: see docs/reference/crawl.md.

    Returns:
        An iterator of pages, which has `report` at its end.

    Raises:
        TypeError, ValueError: an option can't be used.
        StateError: the state is of another crawl, in use, or no state.
        StoreError: the state or the output can't be written.
    """
    return Pages(seeds, dict(options))


def stream(seeds: str | Iterable[str], **options: Unpack[Options]) -> Stream:
    """Crawl, and give each page to a task: `async for page in crawl.stream("https://example.org/")`, on any event loop.

    Args:
        seeds: where the crawl begins: one address or several.
        **options: see docs/reference/crawl.md.

    Returns:
        An asynchronous iterator of pages, which has `report` at its end.

    Raises:
        TypeError, ValueError: an option can't be used.
        StateError: the state is of another crawl, in use, or no state.
        StoreError: the state or the output can't be written.
    """
    return Stream(seeds, dict(options))


def run(
    seeds: str | Iterable[str],
    parse: Callable[[Page], Any] | Callable[[Page], Awaitable[Any]] | None = None,
    *,
    parse_batch: Callable[[list[Page]], Any] | None = None,
    workers: int = 0,
    parse_threads: int = 4,
    parse_tasks: int = 32,
    batch_size: int = 32,
    **options: Unpack[Options],
) -> Report:
    """Crawl to the end, and have a function called with each page.

    The function returns or yields what it makes of the page: items (dictionaries, which are exported), `Request`s (which are
    visited), or None. If it raises, the error is the page's, and the crawl goes on. A call that takes longer than ten seconds is
    named on standard error.

    Args:
        seeds: where the crawl begins: one address or several.
        parse: a function of a page; a coroutine function runs in tasks of an event loop on a thread of its own.
        parse_batch: a function of a list of pages, which returns a list with a result for each.
        workers: how many processes call it; 0 calls it in threads of this one.
        parse_threads: how many threads may call it at a time; there is one until calls block.
        parse_tasks: how many tasks call a coroutine function.
        batch_size: how many pages `parse_batch` gets at most.
        **options: see docs/reference/crawl.md.

    Returns:
        The report. Without `output` and `state` it has the items, too.

    Raises:
        TypeError, ValueError: an option can't be used.
        StateError: the state is of another crawl, in use, or no state.
        StoreError: the state or the output can't be written.
    """
    return run_crawl(
        seeds,
        parse,
        parse_batch,
        workers,
        parse_threads=parse_threads,
        parse_tasks=parse_tasks,
        batch_size=batch_size,
        options=dict(options),
    )


class CrawlModule(ModuleType):
    """A module that can be called: `crawl(...)` is `crawl.crawl(...)`."""

    def __call__(self, seeds: str | Iterable[str], **options: Unpack[Options]) -> Pages:
        """Crawl, and give each page to a loop as it comes; see `crawl.crawl`."""
        return crawl(seeds, **options)

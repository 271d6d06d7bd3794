"""The pages of a crawl, for a loop: `for page in crawl(...)` and `async for page in crawl.stream(...)`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Any, Self

from threefold._threefold import CrawlEngine, Page, Request
from threefold.crawl import _live
from threefold.crawl._options import Checked, check
from threefold.crawl._report import Progress, Report, progress_of

# Pages that are taken at once: as many as cost less than a wake.
TAKEN = 32


class _Running:
    """A crawl whose pages a program takes; ends with its loop, its `with` block, or its last reference."""

    def __init__(self, seeds: str | Iterable[str], given: dict[str, Any], caller: str) -> None:
        self._checked = check(seeds, given, caller)
        self._engine = _live.start(self._checked, takes_pages=True, answers=True)
        self._ended: list[Report] = []

    @property
    def report(self) -> Report | None:
        """The report, once the crawl is over and all its pages were taken; None before."""
        return self._ended[0] if self._ended else None

    def progress(self) -> Progress:
        """The crawl's state."""
        return progress_of(self._engine.progress())

    def add(self, *requests: Request | str, page: Page | None = None) -> None:
        """Add requests to the crawl, while it runs.

        Args:
            *requests: addresses, or `Request`s.
            page: the page that they were found on, against which relative addresses are resolved.

        Raises:
            ValueError: an address is none.
        """
        made = [Request(request) if isinstance(request, str) else request for request in requests]
        self._engine.add(made, page)

    def stop(self) -> None:
        """Have the crawl finish what is in flight; the loop gets those pages, and ends."""
        self._engine.stop()


class Pages(_Running):
    """The pages of a crawl, in the order in which they come.

    A page counts as done when the loop asks for the one after it: a crawl with a state that is resumed gives those again
    that the program had not got to.

    Args:
        seeds: where the crawl begins: one address or several.
        **options: the options of a crawl.

    Raises:
        TypeError, ValueError: an option can't be used.
        StateError: the state is of another crawl, in use, or no state.
        StoreError: the state or the output can't be written.
    """

    def __init__(self, seeds: str | Iterable[str], options: dict[str, Any]) -> None:
        super().__init__(seeds, options, "crawl")
        self._pages = _take(self._engine, self._checked, self._ended)

    def __iter__(self) -> Generator[Page]:
        # The loop has the only reference to it then, so that leaving the loop ends the crawl.
        return self._pages

    def __next__(self) -> Page:
        return next(self._pages)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the crawl at once; what is not done stays to be done."""
        self._pages.close()
        if not self._ended:
            _live.give_up(self._engine)


class Stream(_Running):
    """The pages of a crawl, for tasks of any event loop; else as `Pages`.

    Args:
        seeds: where the crawl begins: one address or several.
        **options: the options of a crawl.
    """

    def __init__(self, seeds: str | Iterable[str], options: dict[str, Any]) -> None:
        super().__init__(seeds, options, "crawl.stream")
        self._pages = _take_async(self._engine, self._checked, self._ended)

    def __aiter__(self) -> AsyncGenerator[Page]:
        return self._pages

    async def __anext__(self) -> Page:
        return await anext(self._pages)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the crawl at once; what is not done stays to be done."""
        await self._pages.aclose()
        if not self._ended:
            self._engine.abort()
            await self._engine.wait_async(_live.FLUSH_PATIENCE_S)


def _take(engine: CrawlEngine, checked: Checked, ended: list[Report]) -> Generator[Page]:
    batch: list[Page] | None = None
    seen = 0
    try:
        while (batch := engine.take(TAKEN)) is not None:
            seen = 0
            for page in batch:
                yield page
                seen += 1
            engine.done(batch)
        ended.append(_live.finish(engine, checked))
    finally:
        if not ended:
            # The page that the loop was left at was not asked beyond, and is not done.
            if batch:
                engine.done(batch[:seen])
            _live.give_up(engine)


async def _take_async(engine: CrawlEngine, checked: Checked, ended: list[Report]) -> AsyncGenerator[Page]:
    batch: list[Page] | None = None
    seen = 0
    try:
        while (batch := await engine.take_async(TAKEN)) is not None:
            seen = 0
            for page in batch:
                yield page
                seen += 1
            engine.done(batch)
        await engine.wait_async()
        ended.append(_live.finish(engine, checked))
    finally:
        if not ended:
            if batch:
                engine.done(batch[:seen])
            engine.abort()
            await engine.wait_async(_live.FLUSH_PATIENCE_S)

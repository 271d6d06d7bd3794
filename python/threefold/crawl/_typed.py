"""What type checkers take `threefold.crawl` for: they know no module that can be called, so they see a class of pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, Unpack

from threefold import _threefold
from threefold.crawl import _errors, _module, _pages, _report
from threefold.crawl._options import Options


class crawl(_pages.Pages):  # noqa: N801 - the module's name
    """Crawl, and give each page to a loop as it comes; see `crawl.crawl`."""

    crawl = staticmethod(_module.crawl)
    stream = staticmethod(_module.stream)
    run = staticmethod(_module.run)
    CrawlError: TypeAlias = _errors.CrawlError
    Element: TypeAlias = _threefold.Element
    Headers: TypeAlias = _threefold.Headers
    Page: TypeAlias = _threefold.Page
    Pages: TypeAlias = _pages.Pages
    ParseError: TypeAlias = _report.ParseError
    Progress: TypeAlias = _report.Progress
    Report: TypeAlias = _report.Report
    Request: TypeAlias = _threefold.Request
    SlowParse: TypeAlias = _report.SlowParse
    StateError: TypeAlias = _errors.StateError
    StoreError: TypeAlias = _errors.StoreError
    Stream: TypeAlias = _pages.Stream

    def __init__(self, seeds: str | Iterable[str], **options: Unpack[Options]) -> None:
        super().__init__(seeds, dict(options))

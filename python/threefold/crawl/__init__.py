"""A polite, resumable crawler whose pages pass only through Rust.

    from threefold import crawl

    for page in crawl("https://example.org/", depth=3): ...
    async for page in crawl.stream("https://example.org/"): ...
    report = crawl.run("https://example.org/", parse=parse, workers=4)

The module itself can be called. docs/guides/crawling.md shows what it is good for, docs/reference/crawl.md has every option.
"""

import sys

from threefold._threefold import Element, Headers, Page, Request
from threefold.crawl._errors import CrawlError, StateError, StoreError
from threefold.crawl._module import CrawlModule, crawl, run, stream
from threefold.crawl._pages import Pages, Stream
from threefold.crawl._report import ParseError, Progress, Report, SlowParse

__all__ = [
    "CrawlError",
    "Element",
    "Headers",
    "Page",
    "Pages",
    "ParseError",
    "Progress",
    "Report",
    "Request",
    "SlowParse",
    "StateError",
    "StoreError",
    "Stream",
    "crawl",
    "run",
    "stream",
]

sys.modules[__name__].__class__ = CrawlModule

"""A type checker sees the crawler's module as what can be called, and its pages with their attributes."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import threefold.crawl
from threefold import crawl
from threefold.crawl import Page, Report, run


def loop(url: str) -> list[crawl.Page]:
    return [page for page in crawl(url, depth=3, scope="host") if page.ok]


async def in_a_task(url: str) -> int:
    count = 0
    async for page in crawl.stream(url, pages=10):
        count += len(assert_type(page.text, str))
    return count


def parse(page: Page) -> Iterator[dict[str, str | None] | crawl.Request]:
    yield {"title": page.title, "lang": page.css("html")[0].get("lang")}
    yield from (crawl.Request(link, data={"from": page.url}) for link in page.links)


async def parse_in_a_task(page: Page) -> AsyncIterator[dict[str, str]]:
    yield {"type": page.headers.get("content-type", "none")}


def to_the_end(url: str) -> Report:
    assert_type(threefold.crawl.run(url, concurrency=16).pages, int)
    assert_type(run([url], parse, workers=2).statuses, dict[int, int])
    assert_type(
        crawl.run(url, parse_batch=lambda pages: [None for _page in pages]).slowest_host, tuple[str, float] | None
    )
    assert_type(run(url).collected, list[dict[str, Any]])
    return run(url, parse_in_a_task, output="items.jsonl", state="state", resume=True)


def misspelt(url: str) -> Report:
    return run(url, dpeth=3)  # type: ignore[call-arg]

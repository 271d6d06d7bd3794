"""The crawlers that are compared, each as a function from a site's start to the number of pages it has visited."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from harness import UnavailableError

# Requests in flight, the same for all.
CONCURRENCY = 16

Crawler = Callable[[str], int]
Links = Callable[[bytes, str], Iterable[str]]


def on_site(url: str, start: str) -> bool:
    """True for a page of the site that the crawl began on."""
    return urlsplit(url)[:2] == urlsplit(start)[:2]


def lxml_links(body: bytes, url: str) -> list[str]:
    """Return a page's links, by lxml."""
    from lxml import etree

    tree = etree.HTML(body)
    if tree is None:
        return []
    return [urldefrag(urljoin(url, link)).url for link in tree.xpath("//a/@href")]


def selectolax_links(body: bytes, url: str) -> list[str]:
    """Return a page's links, by selectolax."""
    from selectolax.lexbor import LexborHTMLParser

    anchors = LexborHTMLParser(body).css("a[href]")
    return [urldefrag(urljoin(url, anchor.attributes["href"] or "")).url for anchor in anchors]


def robots(start: str) -> RobotFileParser:
    """Return the site's rules, by the standard library."""
    rules = RobotFileParser(urljoin(start, "/robots.txt"))
    rules.read()
    return rules


def with_threads(start: str, session: Callable[[], Any], links: Links) -> int:
    """Crawl with threads around a queue, as tutorials do.

    Args:
        start: the first page.
        session: makes a thread's client.
        links: finds them in a page.
    """
    rules, seen, lock = robots(start), {start}, threading.Lock()
    waiting: queue.Queue[str | None] = queue.Queue()
    waiting.put(start)
    visited = []

    def work() -> None:
        client = session()
        while (url := waiting.get()) is not None:
            try:
                found = links(client.get(url).content, url)
                visited.append(url)
                with lock:
                    new = {link for link in found if link not in seen and on_site(link, start)}
                    seen.update(new)
                for link in new:
                    if rules.can_fetch("*", link):
                        waiting.put(link)
            finally:
                waiting.task_done()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(CONCURRENCY)]
    for thread in threads:
        thread.start()
    waiting.join()
    for _ in threads:
        waiting.put(None)
    return len(visited)


async def with_tasks(start: str, get: Callable[[str], Awaitable[bytes]], links: Links) -> int:
    """Crawl with tasks around a queue.

    Args:
        start: the first page.
        get: fetches a page's body.
        links: finds them in it.
    """
    rules, seen = robots(start), {start}
    waiting: asyncio.Queue[str] = asyncio.Queue()
    waiting.put_nowait(start)
    visited = 0

    async def work() -> None:
        nonlocal visited
        while True:
            url = await waiting.get()
            try:
                for link in links(await get(url), url):
                    if link not in seen and on_site(link, start):
                        seen.add(link)
                        if rules.can_fetch("*", link):
                            waiting.put_nowait(link)
                visited += 1
            finally:
                waiting.task_done()

    tasks = [asyncio.create_task(work()) for _ in range(CONCURRENCY)]
    await waiting.join()
    for task in tasks:
        task.cancel()
    return visited


def requests_and_threads(links: Links) -> Crawler:
    """Return the crawler of the tutorials: requests and threads."""

    def crawl(start: str) -> int:
        import requests

        return with_threads(start, requests.Session, links)

    return crawl


def aiohttp_and_tasks(links: Links) -> Crawler:
    """Return a crawler of aiohttp and tasks."""

    def crawl(start: str) -> int:
        import aiohttp

        async def main() -> int:
            connector = aiohttp.TCPConnector(limit=CONCURRENCY)
            async with aiohttp.ClientSession(connector=connector) as session:

                async def get(url: str) -> bytes:
                    async with session.get(url) as answer:
                        return await answer.read()

                return await with_tasks(start, get, links)

        return asyncio.run(main())

    return crawl


def primp_and_threads(start: str) -> int:
    """Crawl with primp's client in threads."""
    import primp

    return with_threads(start, primp.Client, lxml_links)


def pyreqwest_and_tasks(start: str) -> int:
    """Crawl with pyreqwest's client in tasks."""

    async def main() -> int:
        from pyreqwest.client import ClientBuilder

        async with ClientBuilder().build() as client:

            async def get(url: str) -> bytes:
                answer = await client.get(url).build().send()
                return bytes(await answer.bytes())

            return await with_tasks(start, get, lxml_links)

    return asyncio.run(main())


def scrapy(start: str) -> int:
    """Crawl with Scrapy and its link extractor."""
    from scrapy import Request, Spider
    from scrapy.crawler import CrawlerProcess
    from scrapy.linkextractors import LinkExtractor

    extractor = LinkExtractor()
    visited = set()

    class Site(Spider):
        name = "site"
        start_urls = [start]  # noqa: RUF012 - what Scrapy's own documentation writes

        def parse(self, response: Any) -> Any:
            visited.add(response.url)
            if "html" in response.headers.get("Content-Type", b"").decode():
                for link in filter(lambda link: on_site(link.url, start), extractor.extract_links(response)):
                    yield Request(link.url)

    settings = {
        "CONCURRENT_REQUESTS": CONCURRENCY,
        "CONCURRENT_REQUESTS_PER_DOMAIN": CONCURRENCY,
        "DOWNLOAD_DELAY": 0,
        "ROBOTSTXT_OBEY": True,
        "LOG_LEVEL": "ERROR",
        "TELNETCONSOLE_ENABLED": False,
    }
    process = CrawlerProcess(settings)
    process.crawl(Site)
    process.start()
    return len(visited)


def netweir(start: str, *, callback: bool) -> int:
    """Crawl with netweir's spider.

    Args:
        start: the first page.
        callback: True to follow the links in a callback; False to declare that they are followed.
    """
    import netweir as weir

    visited = 0
    limits = weir.Settings(concurrency=CONCURRENCY, per_domain=CONCURRENCY, throttle=False)

    class Declared(weir.Spider):
        start_urls = [start]  # noqa: RUF012
        settings = limits
        rules = [weir.Follow("a")]  # noqa: RUF012

    class Calling(weir.Spider):
        start_urls = [start]  # noqa: RUF012
        settings = limits

        async def parse(self, page: Any) -> Any:
            nonlocal visited
            visited += 1
            for link in page.css("a::attr(href)").getall():
                if not link.startswith("mailto:"):
                    yield page.follow(link)

    spider = (Calling if callback else Declared)()
    stats = spider.run()
    return visited if callback else int(stats["fetched"])


def threefold(start: str, **options: Any) -> int:
    """Crawl with ours.

    Args:
        start: the first page.
        **options: of `threefold.crawl.run`.
    """
    try:
        from threefold import crawl
    except ImportError as error:
        raise UnavailableError(str(error)) from error
    report = crawl.run(start, concurrency=CONCURRENCY, per_host=CONCURRENCY, **options)
    return int(report.pages)


def threefold_with_callback(start: str) -> int:
    """Crawl with ours, and follow the links in a callback."""
    from threefold import crawl

    async def parse(page: Any) -> Any:
        for link in page.links:
            yield crawl.Request(link)

    return threefold(start, parse=parse, follow=False)

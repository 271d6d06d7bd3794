"""Crawls of a site on loopback to exhaustion, robots.txt obeyed, 16 requests at a time; and what plain fetching can reach."""

import functools
import re
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import crawl_ends
import crawl_site
from crawl_ends import Crawler
from harness import Figures, UnavailableError, WrongResultError, case, expect, load

UNITS = {"rate": "pages/s", "CPU per page": "ms", "peak memory": "bytes"}

OURS = {
    "threefold": "threefold.crawl",
    "threefold, SQLite": "threefold.crawl+sqlite",
    "threefold, async callback": "threefold.crawl+callback",
}
PEERS = {
    "requests + threads + lxml": "requests+lxml",
    "aiohttp + selectolax": "aiohttp+selectolax",
    "primp + lxml": "primp",
    "pyreqwest + lxml": "pyreqwest",
    "Scrapy": "scrapy",
    "netweir": "netweir",
    "netweir, async callback": "netweir+callback",
}
CEILING = {"wrk, the same addresses": "wrk"}


def in_sqlite(start: str) -> int:
    """Crawl with our frontier in a file."""
    with tempfile.TemporaryDirectory() as folder:
        return crawl_ends.threefold(start, state=str(Path(folder, "state")))


CRAWLERS: dict[str, Crawler] = {
    "requests+lxml": crawl_ends.requests_and_threads(crawl_ends.lxml_links),
    "aiohttp+selectolax": crawl_ends.aiohttp_and_tasks(crawl_ends.selectolax_links),
    "primp": crawl_ends.primp_and_threads,
    "pyreqwest": crawl_ends.pyreqwest_and_tasks,
    "scrapy": crawl_ends.scrapy,
    "netweir": functools.partial(crawl_ends.netweir, callback=False),
    "netweir+callback": functools.partial(crawl_ends.netweir, callback=True),
    "threefold.crawl": crawl_ends.threefold,
    "threefold.crawl+sqlite": in_sqlite,
    "threefold.crawl+callback": crawl_ends.threefold_with_callback,
}


MODULES = {
    "requests+lxml": "requests lxml.etree",
    "aiohttp+selectolax": "aiohttp selectolax.lexbor",
    "primp": "primp lxml.etree",
    "pyreqwest": "pyreqwest.client lxml.etree",
    "scrapy": "scrapy scrapy.crawler scrapy.linkextractors",
    "netweir": "netweir",
    "netweir+callback": "netweir",
    "threefold.crawl": "threefold.crawl",
    "threefold.crawl+sqlite": "threefold.crawl",
    "threefold.crawl+callback": "threefold.crawl",
}


def wrk(root: Path) -> Figures:
    """Fetch a site's pages in turn with wrk, which looks at none of them."""
    program = shutil.which("wrk")
    if program is None:
        raise UnavailableError("wrk is not installed")
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.html"))
    with tempfile.TemporaryDirectory() as folder, crawl_site.served(root) as url:
        names, script = Path(folder, "paths"), Path(folder, "paths.lua")
        names.write_text("\n".join(paths))
        script.write_text(
            f'local paths, next = {{}}, 0\nfor path in io.lines("{names}") do paths[#paths + 1] = "/" .. path end\n'
            'request = function() next = next % #paths + 1; return wrk.format("GET", paths[next]) end\n'
        )
        command = [program, "-t1", f"-c{crawl_ends.CONCURRENCY}", "-d3s", "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout:
        raise WrongResultError(done.stdout)
    return {"rate": float(found[1])}


def measured(peer: str, root: Path, start: str, pages: int) -> Figures:
    """Crawl a site in this process.

    Args:
        peer: the crawler's address.
        root: the site's folder.
        start: its first page.
        pages: how many must be visited.
    """
    if peer == "wrk":
        return wrk(root)
    # Not part of the crawl: a program that crawls has imported what it crawls with.
    for module in MODULES[peer].split():
        load(module)
    crawler = CRAWLERS[peer]
    with crawl_site.served(root) as url:
        before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        count = crawler(url + start)
        took_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    expect(count, pages, "pages")
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": count / took_s, "CPU per page": spent_s / count * 1e3, "peak memory": after.ru_maxrss * 1024}


@case("crawl, 5,000 pages of 20 KiB", UNITS, PEERS | OURS | CEILING)
def tree(peer: str) -> Figures:
    """Crawl the site that is made for it."""
    return measured(peer, crawl_site.generated(), "0.html", crawl_site.PAGES)


@case("crawl, the manual of PostgreSQL", UNITS, PEERS | OURS | CEILING)
def manual(peer: str) -> Figures:
    """Crawl documentation as people write it."""
    root = crawl_site.package("postgresql-doc-15", "usr/share/doc/postgresql-doc-15/html")
    return measured(peer, root, "index.html", 1_169)

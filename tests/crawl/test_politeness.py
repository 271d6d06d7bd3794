"""The server's own log shows that a crawl is polite: so many requests at once, so far apart, and when it said to come again."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from crawl_command import crawl
from site_server import Site, tree

# What the log rounds to: nginx tells times in whole milliseconds, of an end and of a duration.
ROUNDING_S = 0.003


def most_at_once(requests: list[dict]) -> int:
    """Return how many requests were answered at the same time at most."""
    steps = sorted([(row["end"] - ROUNDING_S, -1) for row in requests] + [(row["start"], 1) for row in requests])
    most = running = 0
    for _, change in steps:
        running += change
        most = max(most, running)
    return most


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[Site]:
    """A site that sends each page over a tenth of a second or so, so that requests overlap as far as they may."""
    root = tree(tmp_path / "site", 60)
    for page in root.glob("*.html"):
        page.write_text(page.read_text() + " " * 3000)
    with Site(root, "limit_rate 16k; limit_rate_after 0;") as site:
        yield site


@pytest.mark.parametrize("per_host", [1, 3])
def test_no_more_requests_than_allowed_are_in_flight(slow_site: Site, tmp_path: Path, per_host: int) -> None:
    done = crawl(tmp_path, slow_site.url + "0.html", "--concurrency=32", f"--per-host={per_host}")
    assert done.code == 0, done.errors
    assert len(done.urls()) == 60
    assert most_at_once(slow_site.requests()) <= per_host


def test_requests_start_no_closer_than_the_delay(tmp_path: Path) -> None:
    with Site(tree(tmp_path / "site", 12)) as site:
        done = crawl(tmp_path, site.url + "0.html", "--delay=0.2", "--concurrency=32")
        starts = sorted(row["start"] for row in site.requests())
    assert done.code == 0, done.errors
    assert len(starts) == 13  # robots.txt is one of them
    assert min(later - earlier for earlier, later in itertools.pairwise(starts)) > 0.2 - ROUNDING_S


def test_the_crawl_delay_of_robots_txt_is_kept(tmp_path: Path) -> None:
    root = tree(tmp_path / "site", 8)
    (root / "robots.txt").write_text("User-agent: *\nCrawl-delay: 0.25\nDisallow: /3.html\n")
    with Site(root) as site:
        done = crawl(tmp_path, site.url + "0.html", "--concurrency=32")
        requests = site.requests()
    assert done.code == 0, done.errors
    # What is under the page that may not be visited is not found.
    assert sorted(row["path"] for row in requests) == [
        "/0.html",
        "/1.html",
        "/2.html",
        "/4.html",
        "/5.html",
        "/6.html",
        "/robots.txt",
    ]
    starts = sorted(row["start"] for row in requests if row["path"] != "/robots.txt")
    assert min(later - earlier for earlier, later in itertools.pairwise(starts)) > 0.25 - ROUNDING_S
    assert done.report["refusals"]["robots"] == 1

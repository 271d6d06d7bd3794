"""The hostile site is as its description says, and a crawl of it ends with all that is real and a count of what is not."""

import http.client
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import hostile_site
import pytest
from crawl_command import crawl

SEED = 5
PORT_LIMIT_S = 30.0
BUSY_PATHS = ["/seconds.html", "/date.html"]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a running site."""
    port_file = tmp_path / "port"
    site = subprocess.Popen([sys.executable, Path(hostile_site.__file__), port_file, str(SEED), tmp_path / "log"])
    end = time.monotonic() + PORT_LIMIT_S
    while not port_file.exists():
        assert site.poll() is None
        assert time.monotonic() < end, "the site does not start"
        time.sleep(0.02)
    yield int(port_file.read_text())
    site.kill()
    site.wait()


def status(url: str, cookie: str) -> int:
    """Ask for an address as simply as can be."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers={"Cookie": cookie})
        return connection.getresponse().status
    except http.client.RemoteDisconnected:
        return 0
    finally:
        connection.close()


def test_each_page_is_there_at_the_second_time_at_the_latest(port: int, tmp_path: Path) -> None:
    expected = hostile_site.expected(port, SEED)
    passed = "seen=yes; passed=yes"
    # This client takes a 103 for the answer.
    pages = [url for url in expected["pages"] if not url.endswith("/early.html")]
    wrong = [url for url in pages if status(url, passed) != 200 and status(url, passed) != 200]
    assert wrong == []
    # What was asked for before this is in the log now: the site does one thing at a time.
    status(pages[0], passed)
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {f"http://{row['host']}:{port}{row['path']}" for row in rows} == set(pages)
    assert all(row["start"] <= row["end"] for row in rows)


def test_what_is_never_to_be_asked_for_is_no_page(port: int) -> None:
    expected = hostile_site.expected(port, SEED)
    pages = expected["pages"]
    assert set(pages).isdisjoint([*expected["never"], *expected["failing"]])


def test_a_crawl_that_did_nothing_is_found_wanting() -> None:
    expected = hostile_site.expected(1, SEED)
    asked = [
        {"host": f"127.0.0.{hostile_site.hosts.BUSY}", "path": path, "start": 1.0, "end": 1.0} for path in BUSY_PATHS
    ]
    nothing = hostile_site.shortcomings(1, SEED, [], asked, {"refusals": {}, "errors": {}})
    assert len(nothing) == len(expected["pages"]) + len(expected["refusals"]) + len(expected["errors"])


def test_a_crawl_that_did_everything_right_lacks_nothing() -> None:
    expected = hostile_site.expected(1, SEED)
    rows = [{"url": url, "status": 200, "title": expected["titles"].get(url)} for url in expected["pages"]]
    counted = {
        "refusals": dict.fromkeys(expected["refusals"], 1),
        "errors": {"timeout": 1, "protocol": 1, "too_large": 1},
    }
    asked = [
        {"host": f"127.0.0.{hostile_site.hosts.BUSY}", "path": path, "start": 1.0, "end": 1.0} for path in BUSY_PATHS
    ]
    again = [{**row, "start": 3.5} for row in asked]
    assert hostile_site.shortcomings(1, SEED, rows, asked + again, counted) == []
    hasty = [{**row, "start": 1.5} for row in asked]
    assert len(hostile_site.shortcomings(1, SEED, rows, asked + hasty, counted)) == 2


def test_a_seed_decides_the_names() -> None:
    one, same, other = (hostile_site.expected(1, seed)["pages"] for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert len(one) == len(other)


def test_the_description_has_every_area_host_and_reason(tmp_path: Path) -> None:
    text = (Path(hostile_site.__file__).parent / "hostile" / "README.md").read_text()
    expected = hostile_site.expected(1, SEED)
    places = [f"| `{area.path}` |" for area in hostile_site.areas(SEED)] + [
        f"127.0.0.{number}" for number in range(1, 13)
    ]
    names = [
        f"`{name}`"
        for name in [*expected["refusals"], *{kind for kinds in expected["errors"].values() for kind in kinds}]
    ]
    assert [name for name in [*places, *names] if name not in text] == []


@pytest.mark.timeout(300)
def test_a_crawl_of_it_ends_with_every_real_page_and_names_what_it_refused(port: int, tmp_path: Path) -> None:
    first, *others = hostile_site.seeds(port)
    # A server that never goes on costs so many seconds, a few times in turn.
    done = crawl(tmp_path, first, *others, "--retries=1", "--timeout=6", limit_s=280)
    assert done.code == 0, done.errors
    log = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert hostile_site.shortcomings(port, SEED, done.pages, log, done.report) == []

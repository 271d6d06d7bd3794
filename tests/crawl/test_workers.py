"""Several crawls share a frontier in Postgres: together they visit what one visits, nothing twice, each host one at a time."""

import itertools
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crawl_command import arguments, environment
from site_server import Site, tree

from servers import Postgres

PAGES, HOSTS = 120, 6
# What the log rounds to, see `test_politeness`.
ROUNDING_S = 0.003


@pytest.fixture(scope="module")
def postgres() -> Iterator[Any]:
    """A database without anything in it."""
    with Postgres() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Six hosts with the same pages, each of which leads to the next host, too."""
    site = Site(tree(tmp_path / "site", PAGES), hosts=HOSTS)
    for page in site.root.glob("*.html"):
        others = "".join(f'<a href="http://{host}:{site.port}/{page.name}">there</a>' for host in site.hosts)
        page.write_text(page.read_text() + others)
    with site:
        yield site


def start(number: int, folder: Path, site: Site, postgres: Any, crawl: str) -> "subprocess.Popen[str]":
    """Start one worker, which calls itself by its number."""
    place = f"postgres://postgres@localhost:{postgres.port}/postgres?crawl={crawl}&lease=3"
    mine = folder / f"worker-{number}"
    mine.mkdir()
    command = arguments(
        mine,
        site.url + "0.html",
        f"--frontier={place}",
        f"--scope=regex:http://127[.]0[.]0[.][0-9]+:{site.port}/",
        "--allow-private",
        f"--user-agent=worker{number}",
        # No more hosts at a time than keep so many requests busy: the others are for the other workers.
        "--concurrency=8",
        "--per-host=4",
        "--rate=250",
    )
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)


def expected(site: Site) -> list[tuple[str, str]]:
    """Return each page that there is: host and path."""
    return sorted(itertools.product(site.hosts, (f"/{number}.html" for number in range(PAGES))))


def pages(site: Site) -> list[dict[str, Any]]:
    """Return what the server was asked for, but for its rules."""
    return [row for row in site.requests() if row["path"] != "/robots.txt"]


def shared_hosts(requests: list[dict[str, Any]]) -> list[str]:
    """Return what happened at a host while another worker was at it."""
    stories = []
    for host, rows in itertools.groupby(
        sorted(requests, key=lambda row: (row["host"], row["start"])), lambda row: row["host"]
    ):
        for earlier, later in itertools.pairwise(rows):
            if earlier["agent"] != later["agent"] and later["start"] < earlier["end"] - 2 * ROUNDING_S:
                stories.append(f"{later['agent']} came to {host} while {earlier['agent']} was there")
    return stories


@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_workers_visit_together_what_one_visits(site: Site, postgres: Any, tmp_path: Path, count: int) -> None:
    workers = [start(number, tmp_path, site, postgres, f"crawl{count}") for number in range(count)]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    requests = pages(site)
    assert sorted((row["host"], row["path"]) for row in requests) == expected(site)
    assert shared_hosts(requests) == []


@pytest.mark.timeout(180)
def test_others_finish_what_a_killed_worker_had(site: Site, postgres: Any, tmp_path: Path) -> None:
    workers = [start(number, tmp_path, site, postgres, "killed") for number in range(3)]
    deadline = time.monotonic() + 60
    while not (seen := pages(site)):
        assert time.monotonic() < deadline, "no worker asked for anything"
        time.sleep(0.02)
    first = seen[0]["agent"]
    killed = workers.pop(int(first.removeprefix("worker")))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    requests = pages(site)
    visited = [(row["host"], row["path"]) for row in requests]
    assert sorted(set(visited)) == expected(site)
    # Only what the killed one had not told of is asked for again.
    twice = {place for place in visited if visited.count(place) > 1}
    assert twice <= {(row["host"], row["path"]) for row in requests if row["agent"] == first}

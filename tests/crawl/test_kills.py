"""A crawl that is killed at any moment and resumed visits what an uninterrupted one visits, and exports each page once."""

import random
import subprocess
import time
from pathlib import Path

import pytest
from crawl_command import Crawl, arguments, crawl, environment
from site_server import Site, tree

PAGES = 3000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    """A site whose crawl takes long enough to be killed many times."""
    with Site(tree(tmp_path_factory.mktemp("tree"), PAGES)) as site:
        yield site


@pytest.mark.timeout(300)
def test_twenty_kills_lose_nothing_and_repeat_nothing(site: Site, tmp_path: Path) -> None:
    start, chance = site.url + "0.html", random.Random(5)
    # Slow enough for twenty interruptions, whatever the machine: at most so many pages a second.
    options = ["--concurrency=16", "--per-host=16", "--rate=400"]
    kills = 0
    while kills < 20:
        more = ["--resume"] if (tmp_path / "state").exists() else []
        process = subprocess.Popen(
            arguments(tmp_path, start, *options, *more), env=environment(), stderr=subprocess.PIPE, text=True
        )
        try:
            _, errors = process.communicate(timeout=chance.uniform(0.05, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, errors
        break
    done = crawl(tmp_path, start, "--concurrency=16", "--per-host=16", "--resume")
    assert done.code == 0, done.errors
    assert kills == 20, f"the crawl was done after {kills} kills"
    assert set(done.urls()) ^ {f"{site.url}{number}.html" for number in range(PAGES)} == set()
    assert len(done.pages) == PAGES


@pytest.mark.timeout(120)
def test_ctrl_c_keeps_what_is_done(site: Site, tmp_path: Path) -> None:
    start = site.url + "0.html"
    process = subprocess.Popen(
        arguments(tmp_path, start, "--rate=300"), env=environment(), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    output = tmp_path / "pages.jsonl"
    while not output.exists() or output.stat().st_size == 0:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(2)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    first = Crawl(subprocess.CompletedProcess([], 130, "", errors), tmp_path)
    assert 0 < len(first.pages) < PAGES
    done = crawl(tmp_path, start, "--resume")
    assert done.code == 0, done.errors
    assert set(done.urls()) ^ {f"{site.url}{number}.html" for number in range(PAGES)} == set()
    assert len(done.pages) == PAGES

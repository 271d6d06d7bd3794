"""A crawl of a real site visits exactly the pages that an independent walk over its files finds."""

import shutil
import subprocess
from pathlib import Path

import oracle
import pytest
from crawl_command import crawl
from site_server import Site

from servers import is_gate


@pytest.mark.timeout(240)
@pytest.mark.parametrize("concurrency", [1, 64])
def test_the_manual_of_postgresql_is_visited_whole(postgresql_manual: Site, tmp_path: Path, concurrency: int) -> None:
    start = postgresql_manual.url + "index.html"
    there, missing = oracle.walk(postgresql_manual.root, start)
    assert (len(there), len(missing)) == (1169, 0)
    done = crawl(tmp_path, start, f"--concurrency={concurrency}", f"--per-host={concurrency}")
    assert done.code == 0, done.errors
    assert set(done.urls()) ^ there == set()
    assert len(done.pages) == len(there)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("concurrency", [1, 64])
def test_the_documentation_of_python_is_visited_whole(python_manual: Site, tmp_path: Path, concurrency: int) -> None:
    start = python_manual.url + "index.html"
    there, missing = oracle.walk(python_manual.root, start)
    done = crawl(tmp_path, start, f"--concurrency={concurrency}", f"--per-host={concurrency}")
    assert done.code == 0, done.errors
    assert set(done.urls()) ^ there == set()
    assert set(done.urls(404)) ^ missing == set()
    assert len(done.pages) == len(there | missing)


@pytest.mark.timeout(240)
def test_wget_visits_the_same_pages(postgresql_manual: Site, tmp_path: Path) -> None:
    if shutil.which("wget") is None and not is_gate():
        pytest.skip("the program wget is not installed: apt-get install wget")
    start = postgresql_manual.url + "index.html"
    there, _ = oracle.walk(postgresql_manual.root, start)
    before = len(postgresql_manual.requests())
    subprocess.run(
        ["wget", "--recursive", "--level=inf", "--no-proxy", "--quiet", f"--directory-prefix={tmp_path}", start],
        timeout=200,
    )
    asked = {row["path"] for row in postgresql_manual.requests()[before:] if row["agent"].startswith("Wget")}
    pages = {f"{postgresql_manual.url}{path[1:]}" for path in asked if path.endswith(".html")}
    assert pages == {url for url in there if url.endswith(".html")}

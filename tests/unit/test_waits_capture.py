"""`threefold waits` sees through examples/stuck.py, and the captures in the pages are what it prints."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT = 50.0  # seconds, for everything
PAGES = [*ROOT.glob("README*.md"), *(ROOT / "docs" / "tutorial").glob("08-*.md")]
CAPTURE = re.compile(
    r"<!-- like threefold waits on examples/stuck\.py -->\n```console\n\$ threefold waits \d+\n(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


def shape(report: str) -> list[str]:
    """A report without what differs from run to run: numbers, paths, the order of the two threads, column widths."""
    report = re.sub(r"(?m)^(process \d+) .*  (\d+ waiting)$", r"\1 \2", report)
    report = re.sub(r"to-(wallet|savings)", "NAME", re.sub(r"\S*/", "", report))
    return sorted(re.sub(r" +", " ", re.sub(r"[\d.]+", "0", line)) for line in report.splitlines())


@pytest.fixture(scope="module")
def report():
    """What `threefold waits` says once all three threads of the example wait."""
    begin = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "threefold", "run", str(ROOT / "examples" / "stuck.py"), str(TIME_LIMIT)],
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert f"threefold waits {program.pid}" in program.stdout.readline()
            waits = [sys.executable, "-m", "threefold", "waits", str(program.pid)]
            text = ""
            # They are about to wait: look until they do.
            while not ("deadlock" in text and "MainThread" in text) and time.monotonic() - begin < TIME_LIMIT / 2:
                text = subprocess.run(waits, capture_output=True, text=True, timeout=TIME_LIMIT).stdout
            return text
        finally:
            program.kill()


def test_the_deadlock_is_named_with_its_threads_and_lines(report):
    assert re.search(
        r"^deadlock: to-(\w+) waits for an RLock held by to-(?!\1)(\w+), which waits", report, re.MULTILINE
    )
    assert len(re.findall(r"stuck\.py:17$", report, re.MULTILINE)) == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_capture_in_a_page_is_what_is_printed(report, page):
    captures = CAPTURE.findall(page.read_text(encoding="utf-8"))
    assert [shape(capture) for capture in captures] == [shape(report)]

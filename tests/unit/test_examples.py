"""Every example prints the same under plain Python and on the engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TIME_LIMIT = 60.0  # seconds for one program; each needs less than 3

PLAIN = [sys.executable]
ON_THE_ENGINE = [sys.executable, "-m", "threefold", "run"]


def output_of(command: list[str]) -> str:
    """What a command writes to stdout; it must end well and say nothing on stderr."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.stderr == ""
    return done.stdout


def test_the_seven_parts_of_the_chapter_are_there():
    names = [path.name for path in sorted(EXAMPLES.glob("[0-9]*.py"))]
    assert [name[:2] for name in names] == ["01", "02", "03", "04", "05", "06", "07"]


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("[0-9]*.py"))])
def test_an_example_prints_the_same_with_and_without_the_engine(name):
    plain = output_of([*PLAIN, str(EXAMPLES / name)])
    assert plain
    assert output_of([*ON_THE_ENGINE, str(EXAMPLES / name)]) == plain


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("[0-9]*.py"))])
def test_a_textbook_example_needs_nothing_of_threefold(name):
    assert "threefold" not in (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [PLAIN, ON_THE_ENGINE], ids=["plain", "on the engine"])
def test_one_queue_serves_a_thread_and_a_task(command):
    output = output_of([*command, str(EXAMPLES / "one_queue_for_threads_and_tasks.py")])
    assert [int(degrees) for degrees in re.findall(r"\d+", output)] == [19, 20, 21, 22, 23]


@pytest.mark.parametrize("command", [PLAIN, ON_THE_ENGINE], ids=["plain", "on the engine"])
def test_the_stuck_example_gives_up_by_itself(command):
    output = output_of([*command, str(EXAMPLES / "stuck.py"), "0.2"])
    assert "giving up" in output


@pytest.mark.parametrize("command", [PLAIN, ON_THE_ENGINE], ids=["plain", "on the engine"])
def test_the_crawler_example_visits_its_site(command):
    lines = output_of([*command, str(EXAMPLES / "crawl_a_site.py")]).splitlines()
    assert [line.split()[0] for line in lines[:8]] == ["200"] * 6 + ["404", "200"]
    assert lines[-1] == "4 pages at depth 0 and 1"

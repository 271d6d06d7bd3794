"""The figures that the README and the performance page show are those that the benches have kept; and the benches run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "benches" / "results"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the project with this Python."""
    command = [sys.executable, str(ROOT / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_the_pages_show_the_kept_figures():
    done = run("scripts/results.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_changed_figure_is_noticed(tmp_path):
    for path in KEPT.glob("*.tsv"):
        shutil.copy(path, tmp_path)
    line = "put + get, one thread\t{}\tns\t{}\t1\t9\t5\t\t2026-01-01\n"
    (tmp_path / "queues-3.11.tsv").write_text(
        "# machine: one\n# python: 3.11.0\n# date: 2026-01-01\n"
        "case\tpeer\tunit\tmedian\tleast\tmost\tsamples\tnote\tdate\n"
        + line.format("queue.Queue", "8")
        + line.format("threefold", "2")
    )
    done = run("scripts/results.py", "--check", "--results", str(tmp_path))
    assert done.returncode == 1
    assert "README.md: out of date" in done.stdout


@pytest.mark.timeout(120)
def test_a_bench_measures_us_and_the_standard_library():
    peers = "queue.Queue,queue,threading,concurrent.futures,asyncio.Queue,call_soon_threadsafe,asyncio,threefold"
    done = run("benches/run.py", "--quick", "--peers", peers)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 7][1:]
    assert {row[1] for row in rows} >= {"queue.Queue", "threading", "threefold"}
    # uvloop may be missing; nothing else may.
    assert [row for row in rows if row[6] != "1" and "uvloop" not in row[7]] == []


def test_an_unknown_case_is_refused():
    done = run("benches/run.py", "--only", "no such case")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such case" in done.stderr

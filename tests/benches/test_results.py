"""The figures that the README and the performance page show are those that the benches have kept; and the benches run."""

import os
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


PROGRAMS = {
    "queues,locks,threads,tasks,waiters,memory": (
        "queue.Queue,queue,threading,multiprocessing,concurrent.futures,asyncio.Queue,call_soon_threadsafe,asyncio"
    ),
    # multiprocessing.Pool would hang where jobs take their workers with them.
    "process_queues,process_locks,process_pools,pool_deaths": (
        "multiprocessing.Queue,multiprocessing,ProcessPoolExecutor,threefold.ProcessPoolExecutor"
    ),
    "loops,loop_tasks": "asyncio,uvloop",
}
# The gate builds it; to build it here takes longer than a test may.
LOAD = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "load" / "release" / "threefold-load"
SERVERS = (
    "TCP, Protocol, 10 KiB x 10",
    "TCP, streams by readexactly",
    "sock_recv_into",
    "TLS, streams, 1 KiB",
    "UDP, 1 KiB x 1",
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("programs", PROGRAMS)
def test_a_bench_measures_us_and_the_standard_library(programs):
    peers = PROGRAMS[programs]
    only = [word for program in programs.split(",") for word in ("--only", program)]
    done = run("benches/run.py", "--quick", "--peers", f"{peers},threefold", *only)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 7][1:]
    assert {row[1] for row in rows} >= {*peers.split(",")[:2], "threefold"}
    # Something may be missing; nothing that is there may fail, or hang.
    assert [row for row in rows if row[6] != "1" and not row[7].startswith("not available")] == []


@pytest.mark.timeout(120)
@pytest.mark.skipif(not LOAD.exists(), reason="benches/load is not built")
def test_an_event_loop_answers_the_load_program():
    only = [word for name in SERVERS for word in ("--only", name)]
    done = run("benches/run.py", "--quick", "--peers", "asyncio,plain epoll,threefold", *only)
    assert done.returncode == 0, done.stdout + done.stderr
    rates = [line.split("\t") for line in done.stdout.splitlines() if ": rate\t" in line]
    assert {row[1] for row in rates} == {"asyncio", "plain epoll", "threefold"}
    assert [row for row in rates if row[6] != "1" and not row[7].startswith("not available")] == []


def test_what_becomes_of_a_pool_is_told_in_both_languages(tmp_path):
    (tmp_path / "pool_deaths-3.13.tsv").write_text(
        "# machine: one\n# python: 3.13.0\n# date: 2026-01-01\n"
        "case\tpeer\tunit\tmedian\tleast\tmost\tsamples\tnote\tdate\n"
        "SIGKILL\tmultiprocessing.Pool\tms\t\t\t\t0\tHANG: 5 of 8 jobs, the pool hangs\t2026-01-01\n"
        "SIGKILL\tthreefold\tms\t12\t9\t15\t3\tonly the guilty job fails (WorkerDied)\t2026-01-01\n"
    )
    show = (
        "import sys; from pathlib import Path; from measured import read_all; import death_tables as tables\n"
        "measured = read_all(Path(sys.argv[1]))\n"
        "print(*tables.death_tables(measured))\n"
        "print(tables.short_table(measured['3.13'], is_chinese=True))"
    )
    command = [sys.executable, "-c", show, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "| threefold | only the guilty job fails (WorkerDied), 12 ms |" in done.stdout
    assert (
        "| SIGKILL | 挂死：8 个任务中 5 个永无结果，进程池挂死 | - | 只有出错的任务失败（WorkerDied），12 ms |"
        in done.stdout
    )


def test_an_unknown_case_is_refused():
    done = run("benches/run.py", "--only", "no such case")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such case" in done.stderr

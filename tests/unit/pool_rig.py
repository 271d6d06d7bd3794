"""What the tests of the process pool share: pools that are taken down, the record of what ran, and programs to be killed."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from threefold import futures
from threefold._threefold import waits_report

sys.path.insert(0, str(Path(__file__).parent))
import pool_programs as programs
import process_rig as rig

METHODS, context, context_of = rig.METHODS, rig.context, rig.context_of
LIMIT_S = programs.LIMIT_S
# What a death, a kill or an end may take to be noticed.
SOON_S = 1.0
WORKERS = 2
PARENTS = Path(__file__).with_name("pool_parents.py")


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Offer the context whose workers start in no time, for what does not depend on the start method."""
    return context_of("fork", monkeypatch)


@pytest.fixture
def make_pool() -> Generator[Callable[..., Any]]:
    """Make pools, of two workers unless told otherwise; take them down after the test."""
    pools = []

    def make(context: Any, workers: int = WORKERS, **options: Any) -> Any:
        pool = context.Pool(workers, **options)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.terminate()
        pool.join()


@pytest.fixture
def make_executor() -> Generator[Callable[..., Any]]:
    """Make executors, of two workers unless told otherwise; take them down after the test."""
    executors = []

    def make(context: Any, workers: int = WORKERS, **options: Any) -> Any:
        executor = futures.ProcessPoolExecutor(workers, mp_context=context, **options)
        executors.append(executor)
        return executor

    yield make
    for executor in executors:
        executor.shutdown(wait=True, cancel_futures=True)


def recorded(directory: Path) -> list[list[str]]:
    """Return the words of each line of the record."""
    path = directory / "record"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def pids(directory: Path) -> set[int]:
    """Return the pids that the record's lines begin with."""
    return {int(words[0]) for words in recorded(directory)}


def counts(directory: Path) -> Counter[int]:
    """Return how often each number was begun."""
    return Counter(int(words[0]) for words in recorded(directory))


def until(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Return what the condition returns, once that is true."""
    end = time.monotonic() + limit_s
    while not (result := condition()):
        if time.monotonic() > end:
            pytest.fail(f"not within {limit_s} s: {what}")
        time.sleep(0.002)
    return result


def is_alive(pid: int) -> bool:
    """Say whether the process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until_asleep(pids: Iterable[int]) -> None:
    """Return once the processes sleep in the kernel; a signal just before that would not end a sleep."""
    for pid in pids:
        for _ in range(3):
            until(lambda pid=pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S", "sleep")
            time.sleep(0.002)


def until_gone(pids: Iterable[int], limit_s: float = SOON_S) -> None:
    """Return once none of the processes runs."""
    pids = list(pids)
    until(lambda: not any(map(is_alive, pids)), f"end of {[pid for pid in pids if is_alive(pid)]} of {pids}", limit_s)


def until_idle(pid: int) -> None:
    """Return once the process's table of waits shows that it waits for a job."""

    def waits() -> bool:
        try:
            found = json.loads(waits_report(pid, True))["processes"]
        except (OSError, ValueError):
            return False  # It has not waited for anything yet.
        return any(process["waiting"] for process in found)

    until(waits, f"process {pid} waits for a job")


def workers_at_once(pool: Any, directory: Path, count: int = WORKERS) -> set[int]:
    """Return the pids of as many workers, which were all at work at the same time."""
    place = directory / f"meeting{len(list(directory.glob('meeting*')))}"
    place.mkdir()
    if hasattr(pool, "submit"):
        futures = [pool.submit(programs.meet, str(place), count) for _ in range(count)]
        return {future.result(LIMIT_S) for future in futures}
    results = [pool.apply_async(programs.meet, (str(place), count)) for _ in range(count)]
    return {result.get(LIMIT_S) for result in results}


def assert_full_strength(pool: Any, directory: Path, count: int = WORKERS) -> None:
    """Check that all workers are there."""
    assert len(workers_at_once(pool, directory, count)) == count


def descriptors() -> int:
    """Return how many files are open here, without those of pools of earlier tests that nobody has any more."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def run_parent(tmp_path: Path) -> Generator[Callable[..., subprocess.Popen[str]]]:
    """Start programs of `pool_parents`, each the head of a group; who is left of the group is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        # Files, as the others of the group may keep a pipe open.
        with (tmp_path / "output").open("w") as output, (tmp_path / "errors").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, str(PARENTS), *arguments, str(tmp_path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                env=environment,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield run
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(LIMIT_S)

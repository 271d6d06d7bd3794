"""What a pool costs its program after hundreds of deaths, pools and large arguments: the same as before them."""

import ctypes
import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from threefold import multiprocessing

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import pool_payloads as payloads
import pool_programs as programs
import pool_rig as rig

fork, make_pool, run_parent = rig.fork, rig.make_pool, rig.run_parent
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = [pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"), pytest.mark.timeout(300)]

# What the interpreter's own allocator may keep; one forgotten page for each of the rounds is more.
SLACK_KIB = 3 * 1024
GIB = 2**30


def field(name: str) -> int:
    """Return a figure of this process in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def children() -> set[int]:
    """Return the processes that this one has not waited for."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set(map(int, (task / "children").read_text().split()))
    return found


def assert_constant(round_trip: Callable[[], None], rounds: int) -> None:
    """See that rounds change nothing of what this process has."""
    for _ in range(max(20, rounds // 10)):
        round_trip()
    figures = []
    for count in (0, rounds):
        for _ in range(count):
            round_trip()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        mappings = len(Path("/proc/self/maps").read_text().splitlines())
        figures.append((rig.descriptors(), threading.active_count(), len(children()), mappings, field("RssAnon")))
    before, after = figures
    assert before[:3] == after[:3]
    # The allocators' own arenas come and go.
    assert after[3] - before[3] < 20
    assert after[4] - before[4] < SLACK_KIB


def test_deaths_cost_a_pool_nothing_for_long(fork: Any, make_pool: Any, full_stress: bool) -> None:
    pool = make_pool(fork)

    def round_trip() -> None:
        results = [pool.apply_async(programs.same, (number,)) for number in range(5)]
        with pytest.raises(multiprocessing.WorkerDied):
            pool.apply(programs.be_killed)
        assert [result.get(rig.LIMIT_S) for result in results] == list(range(5))
        rig.until(lambda: len(children()) >= len(pool._pool) == rig.WORKERS, "the next worker")

    assert_constant(round_trip, 1000 if full_stress else 200)


def test_time_limits_cost_a_pool_nothing_for_long(fork: Any, make_pool: Any, full_stress: bool) -> None:
    pool = make_pool(fork)

    def round_trip() -> None:
        with pytest.raises(multiprocessing.TaskTimeout):
            pool.apply(programs.be_stuck, timeout=0.005)
        assert pool.apply(programs.same, (1,)) == 1
        rig.until(lambda: len(children()) >= len(pool._pool) == rig.WORKERS, "the next worker")

    assert_constant(round_trip, 1000 if full_stress else 100)


def test_calls_cost_a_pool_nothing_for_long(fork: Any, make_pool: Any, full_stress: bool) -> None:
    pool = make_pool(fork)

    def round_trip() -> None:
        assert pool.map(programs.same, range(20), 3) == list(range(20))
        assert next(pool.imap(programs.same, iter(range(10**6)))) == 0
        assert len(pool.apply(bytearray, (100_000,))) == 100_000
        with pytest.raises(ValueError, match="guilty"):
            pool.apply(programs.raise_value_error)

    assert_constant(round_trip, 5000 if full_stress else 500)


def test_pools_that_have_ended_cost_nothing(fork: Any, full_stress: bool) -> None:
    def round_trip() -> None:
        with fork.Pool(rig.WORKERS) as pool:
            assert pool.map(programs.same, range(4)) == list(range(4))
        with fork.Pool(1) as pool:
            pool.apply_async(programs.be_stuck)
        pool = fork.Pool(1)
        pool.close()
        pool.join()

    assert_constant(round_trip, 300 if full_stress else 30)


def test_large_messages_give_their_memory_back(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)

    def round_trip() -> None:
        assert len(pool.apply(programs.same, (bytearray(8 * 2**20),))) == 8 * 2**20

    assert_constant(round_trip, 20)
    # A link keeps its memory for the next message, but not for long.
    rig.until(lambda: field("RssShmem") < 8 * 1024, "the links' memory is given back", 5)


def shared_files(pid: object) -> set[str]:
    """Return what a process has mapped or open in the memory that containers keep small."""
    mapped = {line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/dev/shm/" in line}
    opened = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    return mapped | {path for path in opened if path.startswith("/dev/shm/")}


def test_nothing_is_in_the_small_memory_of_a_container(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    # Other tests of this process may have used the standard library's objects, which are there.
    before = shared_files("self")
    pool = make_pool(fork)
    assert len(pool.apply(programs.same, (bytearray(100 * 2**20),))) == 100 * 2**20
    for pid in ("self", *rig.workers_at_once(pool, tmp_path)):
        assert shared_files(pid) <= before


def test_no_tracker_process_is_started_for_a_pool(run_parent: Any, tmp_path: Path) -> None:
    parent = run_parent("have_no_tracker", "fork")
    assert parent.wait(rig.LIMIT_S) == 0, (tmp_path / "errors").read_text()
    assert (tmp_path / "output").read_text().split() == ["None", str(rig.WORKERS)]


def test_an_argument_of_three_gibibytes_goes_there_and_back(fork: Any, make_pool: Any, full_stress: bool) -> None:
    if not full_stress:
        pytest.skip("only in the full length: it needs 20 GiB")
    available = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    if int(available.split()[1]) * 1024 < 16 * GIB:
        pytest.skip(f"needs 16 GiB; {available}")
    large = bytearray(3 * GIB)
    large[-1] = 7
    assert make_pool(fork, 1).apply(payloads.ends, (large,)) == (3 * GIB, 0, 7)
    del large
    returned = make_pool(fork, 1).apply(bytearray, (3 * GIB,))
    assert len(returned) == 3 * GIB

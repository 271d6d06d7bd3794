"""Workers are killed at random while many tasks run: each task ends once, none runs twice unless it may, none is lost."""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from threefold import multiprocessing

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import pool_programs as programs
import pool_rig as rig

fork, make_pool, make_executor = rig.fork, rig.make_pool, rig.make_executor
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = [pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"), pytest.mark.timeout(600)]

# The longest pause between two kills, in seconds: about as long as a worker takes to come on a machine with nothing else to do.
# Where it takes longer, the pauses are, too: a pool most of whose workers die before they take a task gives up.
PAUSE_S = {"fork": 0.03, "forkserver": 0.15, "spawn": 0.4}
# What shows something: a run goes on until there were as many.
KILLS = 6
DIED = "died"


class Killer:
    """Kills a random worker now and then, until told to end."""

    def __init__(self, workers: Callable[[], list[Any]], pause_s: float) -> None:
        self.workers, self.pause_s = workers, pause_s
        self.kills = 0
        self.is_over = threading.Event()
        self.chance = random.Random(7)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.is_over.wait(self.chance.uniform(0, self.pause_s)):
            victims = [process.pid for process in self.workers() if process.pid]
            if not victims:
                continue
            victim = self.chance.choice(victims)
            try:
                kind = self.chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
                os.kill(victim, kind)
                if kind == signal.SIGSTOP:
                    self.is_over.wait(self.chance.uniform(0, 0.01))
                    os.kill(victim, signal.SIGKILL)
                self.kills += 1
            except ProcessLookupError:
                pass  # It has gone by itself, or by the last kill.

    def end(self) -> None:
        self.is_over.set()
        self.thread.join()


@pytest.fixture
def make_context(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return the context of a start method."""
    return lambda method: rig.context_of(method, monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the tasks record themselves."""
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture
def kill_at_random(place: Path) -> Generator[Callable[..., Killer]]:
    """Kill workers of a pool at full strength, until the test is over."""
    killers = []

    def start(pool: Any, method: str) -> Killer:
        def workers() -> list[Any]:
            return list(pool._pool if hasattr(pool, "_pool") else pool._processes.values())

        rig.assert_full_strength(pool, place.parent, 3)
        began = time.monotonic()
        os.kill(workers()[0].pid, signal.SIGKILL)
        rig.assert_full_strength(pool, place.parent, 3)
        pause_s = max(PAUSE_S[method], time.monotonic() - began)
        killers.append(Killer(workers, pause_s))
        return killers[-1]

    yield start
    for killer in killers:
        killer.end()


def batch_size(method: str, full_stress: bool) -> int:
    return {"fork": 10_000, "forkserver": 4_000, "spawn": 2_000}[method] * (10 if full_stress else 1)


def end_of(get: Callable[[], Any]) -> Any:
    try:
        return get()
    except multiprocessing.WorkerDied as death:
        # Else it is of the pool, which has given up.
        if death.task is None:
            raise
        return DIED


def apply_all(pool: Any, directory: str, numbers: range, retries: int) -> list[Any]:
    call = programs.count_one
    results = [pool.apply_async(call, (directory, number), retries=retries) for number in numbers]
    return [end_of(lambda result=result: result.get(rig.LIMIT_S * 5)) for result in results]


def stream_all(pool: Any, directory: str, numbers: range, retries: int) -> list[Any]:
    stream = pool.imap(programs.count_item, ((directory, number) for number in numbers), retries=retries)
    return [end_of(stream.__next__) for _ in numbers]


def stream_unordered(pool: Any, directory: str, numbers: range, retries: int) -> list[Any]:
    items = ((directory, number) for number in numbers)
    stream = pool.imap_unordered(programs.count_item, items, retries=retries)
    ends: dict[int, Any] = {}
    for number in [end_of(stream.__next__) for _ in numbers]:
        if number != DIED:
            assert number not in ends, f"the result of {number} has come twice"
            ends[number] = number
    return [ends.get(number, DIED) for number in numbers]


def submit_all(executor: Any, directory: str, numbers: range, _retries: int) -> list[Any]:
    futures = [executor.submit(programs.count_one, directory, number) for number in numbers]
    return [end_of(lambda future=future: future.result(rig.LIMIT_S * 5)) for future in futures]


def run(way: Callable[..., list[Any]], pool: Any, killer: Killer, place: Path, size: int, retries: int) -> list[Any]:
    """Do batches of tasks until there were enough kills; return the end of each task."""
    ends: list[Any] = []
    while not ends or killer.kills < KILLS:
        ends += way(pool, str(place), range(len(ends), len(ends) + size), retries)
    killer.end()
    return ends


WAYS = {"apply_async": apply_all, "imap": stream_all, "imap_unordered": stream_unordered}


def check(ends: list[Any], begun: Counter[int], kills: int) -> None:
    """See that each task has its own result, having run once, or has died, having run at most once."""
    assert [end for number, end in enumerate(ends) if end not in (number, DIED)] == []
    assert [number for number, count in begun.items() if count > 1] == []
    assert [number for number, end in enumerate(ends) if end != DIED and begun[number] != 1] == []
    assert ends.count(DIED) <= kills


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", rig.METHODS)
def test_each_task_runs_at_most_once_and_ends_once(
    method: str, way: str, make_pool: Any, kill_at_random: Any, place: Path, full_stress: bool, make_context: Any
) -> None:
    pool = make_pool(make_context(method), 3)
    killer = kill_at_random(pool, method)
    ends = run(WAYS[way], pool, killer, place, batch_size(method, full_stress), 0)
    check(ends, rig.counts(place), killer.kills)
    rig.assert_full_strength(pool, place.parent, 3)


@pytest.mark.parametrize("way", WAYS)
def test_with_retries_each_task_has_its_result(
    way: str, fork: Any, make_pool: Any, kill_at_random: Any, place: Path, full_stress: bool
) -> None:
    pool = make_pool(fork, 3)
    killer = kill_at_random(pool, "fork")
    ends = run(WAYS[way], pool, killer, place, batch_size("fork", full_stress), 10)
    assert ends == list(range(len(ends)))
    begun = rig.counts(place)
    assert set(begun) == set(range(len(ends)))
    # Each extra run is the work of a kill.
    assert begun.total() - len(ends) <= killer.kills
    rig.assert_full_strength(pool, place.parent, 3)


def test_each_call_of_an_executor_ends_once(
    fork: Any, make_executor: Any, kill_at_random: Any, place: Path, full_stress: bool
) -> None:
    executor = make_executor(fork, 3)
    killer = kill_at_random(executor, "fork")
    ends = run(submit_all, executor, killer, place, batch_size("fork", full_stress), 0)
    check(ends, rig.counts(place), killer.kills)
    rig.assert_full_strength(executor, place.parent, 3)


def test_chunks_share_their_end(fork: Any, make_pool: Any, kill_at_random: Any, place: Path, full_stress: bool) -> None:
    pool, count, size = make_pool(fork, 3), batch_size("fork", full_stress), 10
    killer = kill_at_random(pool, "fork")
    stream = pool.imap_unordered(programs.count_item, ((str(place), number) for number in range(count)), size)
    results, deaths = [], 0
    while len(results) + deaths * size < count:
        end = end_of(stream.__next__)
        if end == DIED:
            deaths += 1
        else:
            results.append(end)
    killer.end()
    assert [number for number, times in Counter(results).items() if times > 1] == []
    chunks = Counter(number // size for number in results)
    assert set(chunks.values()) == {size}
    assert len(chunks) == count // size - deaths
    assert set(rig.counts(place).values()) == {1}
    assert deaths <= killer.kills


def test_time_limits_and_kills_together_leave_exact_counts(
    fork: Any, make_pool: Any, kill_at_random: Any, place: Path, full_stress: bool
) -> None:
    pool, count = make_pool(fork, 3), 2_000 if full_stress else 200
    killer = kill_at_random(pool, "fork")
    results = [pool.apply_async(programs.nap, (str(place), number), timeout=0.02) for number in range(count)]
    ends = []
    for number, result in enumerate(results):
        try:
            assert result.get(rig.LIMIT_S * 5) == number
            ends.append("done")
        except multiprocessing.TaskTimeout:
            ends.append("too late")
        except multiprocessing.WorkerDied:
            ends.append(DIED)
    killer.end()
    begun = rig.counts(place)
    assert [number for number, times in begun.items() if times > 1] == []
    assert [number for number, end in enumerate(ends) if end == "done" and begun[number] != 1] == []
    assert ends.count(DIED) <= killer.kills
    rig.assert_full_strength(pool, place.parent, 3)

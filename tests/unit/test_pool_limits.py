"""Limits of tasks and workers: time, memory, tasks per worker, retries, and initializers that fail."""

import os
import pickle
import signal
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from threefold import Error, multiprocessing
from threefold._pool import memory_watch
from threefold._pool.errors import NoWorker
from threefold.futures import ProcessPoolExecutor

sys.path.insert(0, str(Path(__file__).parent))
import pool_misuse as misuse
import pool_programs as programs
import pool_rig as rig

context, fork, make_pool, make_executor = rig.context, rig.fork, rig.make_pool, rig.make_executor
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

# How long a task of these tests may run.
SHORT_S = 0.3
# What a hopeless initializer may take to be reported.
REPORT_S = 2.0


def fails_with(kind: Any, call: Any) -> Any:
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def test_a_task_that_takes_too_long_is_killed_and_named(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    rig.assert_full_strength(pool, tmp_path)
    result = pool.apply_async(programs.begin_and_sleep, (str(tmp_path),), timeout=SHORT_S)
    worker = rig.until(lambda: rig.pids(tmp_path), "a worker at work").pop()
    error = fails_with(multiprocessing.TaskTimeout, lambda: result.get(SHORT_S + rig.SOON_S))
    assert isinstance(error, TimeoutError)
    assert isinstance(error, Error)
    for word in (str(worker), str(SHORT_S), "begin_and_sleep", "pool_programs.py", "time.sleep(seconds)"):
        assert word in str(error)
    rig.until_gone([worker])
    rig.assert_full_strength(pool, tmp_path)


@pytest.mark.parametrize(
    "program",
    [
        programs.begin_and_spin,
        programs.begin_deaf,
        programs.begin_and_hold_the_interpreter,
        misuse.be_stuck_with_other_descriptors,
    ],
)
def test_no_task_escapes_its_time_limit(fork: Any, make_pool: Any, tmp_path: Path, program: Any) -> None:
    pool = make_pool(fork)
    error = fails_with(multiprocessing.TaskTimeout, lambda: pool.apply(program, (str(tmp_path),), timeout=SHORT_S))
    (worker,) = rig.pids(tmp_path)
    assert error.pid == worker
    assert program.__name__ in str(error)
    rig.until_gone([worker])
    rig.assert_full_strength(pool, tmp_path)


def test_a_stopped_worker_does_not_escape_a_time_limit(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)
    result = pool.apply_async(programs.begin_and_sleep, (str(tmp_path),), timeout=SHORT_S)
    worker = rig.until(lambda: rig.pids(tmp_path), "a worker at work").pop()
    os.kill(worker, signal.SIGSTOP)
    fails_with(multiprocessing.TaskTimeout, lambda: result.get(SHORT_S + rig.SOON_S))
    rig.until_gone([worker])


@pytest.mark.parametrize("way", ["map", "imap", "imap_unordered", "starmap"])
def test_one_item_that_takes_too_long_costs_no_other(fork: Any, make_pool: Any, way: str, tmp_path: Path) -> None:
    pool = make_pool(fork)
    items = [(str(tmp_path), programs.be_stuck if number == programs.GUILTY else None, number) for number in range(8)]
    if way == "starmap":
        fails_with(multiprocessing.TaskTimeout, lambda: pool.starmap(programs.live, items, 1, timeout=SHORT_S))
    elif way == "map":
        fails_with(multiprocessing.TaskTimeout, lambda: pool.map(programs.live_one, items, 1, timeout=SHORT_S))
    else:
        iterator, results, errors = getattr(pool, way)(programs.live_one, items, timeout=SHORT_S), [], []
        while len(results) + len(errors) < len(items):
            try:
                results.append(next(iterator))
            except multiprocessing.TaskTimeout as error:
                errors.append(error)
        assert (sorted(results), len(errors)) == ([0, 1, 2, 4, 5, 6, 7], 1)
        fails_with(StopIteration, lambda: next(iterator))
    assert rig.counts(tmp_path) == dict.fromkeys(range(8), 1)
    rig.assert_full_strength(pool, tmp_path)


def test_a_time_limit_counts_from_the_start_of_the_task(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork, 1)
    results = [pool.apply_async(time.sleep, (SHORT_S,), timeout=4 * SHORT_S) for _ in range(6)]
    assert [result.get(rig.LIMIT_S) for result in results] == [None] * 6


def test_many_time_limits_hit_only_their_own(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    # Tasks that end about when their time does: whatever is right, each is begun once and has one end.
    pool = make_pool(fork)
    results = [pool.apply_async(programs.nap, (str(tmp_path), number), timeout=0.02) for number in range(100)]
    patient = [pool.apply_async(programs.same, (number,)) for number in range(100)]
    ends = []
    for result in results:
        try:
            ends.append(result.get(rig.LIMIT_S))
        except multiprocessing.TaskTimeout:
            ends.append("killed")
    assert [result.get(rig.LIMIT_S) for result in patient] == list(range(100))
    assert all(end in (number, "killed") for number, end in enumerate(ends))
    assert rig.counts(tmp_path) == dict.fromkeys(range(100), 1)
    rig.assert_full_strength(pool, tmp_path)


@pytest.mark.parametrize("death", [programs.be_killed, programs.exit_at_once, programs.fault, programs.exit_in_order])
def test_a_task_is_retried_as_often_as_asked(fork: Any, make_pool: Any, tmp_path: Path, death: Any) -> None:
    pool = make_pool(fork)
    assert pool.apply(programs.fail_at_first, (str(tmp_path), 1, 2, death), retries=2) == 1
    call = lambda: pool.apply(programs.fail_at_first, (str(tmp_path), 2, 3, death), retries=2)  # noqa: E731
    fails_with(multiprocessing.WorkerDied, call)
    assert rig.counts(tmp_path) == {1: 3, 2: 3}
    rig.assert_full_strength(pool, tmp_path)


@pytest.mark.parametrize("way", ["starmap", "imap"])
def test_a_map_retries_what_died_and_nothing_else(context: Any, make_pool: Any, way: str, tmp_path: Path) -> None:
    pool = make_pool(context)
    items = [(str(tmp_path), number, 1 if number % 4 == 0 else 0, programs.be_killed) for number in range(12)]
    if way == "starmap":
        assert pool.starmap(programs.fail_at_first, items, 1, retries=1) == list(range(12))
    else:
        assert list(pool.imap(programs.fail_one_at_first, items, retries=1)) == list(range(12))
    assert rig.counts(tmp_path) == {number: 2 if number % 4 == 0 else 1 for number in range(12)}


def test_an_exception_is_an_answer_and_not_retried(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)
    item = (str(tmp_path), programs.raise_value_error, programs.GUILTY)
    fails_with(ValueError, lambda: pool.apply(programs.live, item, retries=5))
    assert rig.counts(tmp_path) == {programs.GUILTY: 1}


def test_a_worker_that_has_grown_too_large_is_replaced(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    pool = make_pool(fork, 1, max_memory_per_worker=resident + 100 * 2**20)
    first = pool.apply(programs.pid)
    assert {pool.apply(programs.pid) for _ in range(20)} == {first}
    assert pool.apply(programs.eat, (200 * 2**20,)) == first
    rig.until_gone([first], rig.LIMIT_S)
    second = pool.apply(programs.pid)
    assert {pool.apply(programs.pid) for _ in range(20)} == {second} != {first}


def test_a_call_that_takes_more_memory_than_it_may_is_ended(fork: Any, make_pool: Any) -> None:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    pool = make_pool(fork, 2, max_memory_per_worker=resident + 100 * 2**20)
    greedy = pool.apply_async(programs.eat_and_wait, (200 * 2**20,))
    others = [pool.apply_async(programs.same, (number,)) for number in range(100)]
    error = fails_with(multiprocessing.WorkerDied, lambda: greedy.get(rig.LIMIT_S))
    assert (error.is_out_of_memory, error.signal) == (True, signal.SIGKILL)
    assert error.task == f"eat_and_wait({200 * 2**20})"
    assert [other.get(rig.LIMIT_S) for other in others] == list(range(100))
    assert pool.map(programs.same, range(20), 1) == list(range(20))


def test_only_what_grows_and_stays_too_large_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_watch, "PERIOD_S", 0)
    forked_large = memory_watch.MemoryWatch(1)
    forked_large.add(0, os.getpid())
    assert [forked_large.look() for _ in range(3)] == [[], [], []]
    sizes = iter([1, 3, 2, 3, 3, 3])
    monkeypatch.setattr(memory_watch, "_resident_bytes", lambda _pid: next(sizes))
    watch = memory_watch.MemoryWatch(2)
    watch.add(7, os.getpid())
    assert [watch.look() for _ in range(4)] == [[], [], [], [7]]
    watch.remove(7)
    assert watch.look() == []


def test_between_two_looks_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = memory_watch.MemoryWatch(2**60)
    watch.add(7, os.getpid())
    monkeypatch.setattr(memory_watch, "_resident_bytes", lambda _pid: pytest.fail("it has looked"))
    assert watch.look() == []
    assert 0 < watch.patience() <= memory_watch.PERIOD_S


def test_two_hundred_workers_for_two_hundred_tasks(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork, maxtasksperchild=1)
    items = [(str(tmp_path), None, number) for number in range(200)]
    assert pool.starmap(programs.live, items, 1) == list(range(200))
    assert rig.counts(tmp_path) == dict.fromkeys(range(200), 1)
    workers = {words[1] for words in rig.recorded(tmp_path)}
    assert len(workers) == 200


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_fresh_interpreters_have_few_tasks_each(
    method: str, make_pool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(rig.context_of(method, monkeypatch), maxtasksperchild=2)
    workers = pool.map(programs.pid, range(12), 1)
    assert max(workers.count(worker) for worker in workers) == 2


def test_tasks_per_worker_may_be_limited_where_workers_die(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork, maxtasksperchild=2)
    items = [(str(tmp_path), programs.be_killed if number % 5 == 3 else None, number) for number in range(40)]
    ends = []
    for result in [pool.apply_async(programs.live_or_die, item) for item in items]:
        try:
            ends.append(result.get(rig.LIMIT_S))
        except multiprocessing.WorkerDied:
            ends.append(None)
    assert ends == [None if number % 5 == 3 else number for number in range(40)]
    assert rig.counts(tmp_path) == dict.fromkeys(range(40), 1)
    workers = [words[1] for words in rig.recorded(tmp_path)]
    assert max(workers.count(worker) for worker in workers) <= 2


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_calls_are_told_why_no_worker_can_be_had(method: str) -> None:
    context = multiprocessing.get_context(method)
    unpicklable = lambda: None  # noqa: E731 - a function that a fresh interpreter cannot find
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        context.Pool(2, unpicklable)
    with ProcessPoolExecutor(2, context, unpicklable) as executor:
        future = executor.submit(programs.same, 1)
        with pytest.raises(NoWorker, match="lambda") as failure:
            future.result(rig.LIMIT_S)
    assert isinstance(failure.value.__cause__, (pickle.PicklingError, AttributeError))


def test_a_failing_initializer_is_reported_with_its_reason(context: Any, make_pool: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    pool = make_pool(context, initializer=misuse.fail_to_prepare, initargs=(str(tmp_path),))
    results = [pool.apply_async(programs.same, (1,)), pool.map_async(programs.same, range(10))]
    for result in results:
        error = fails_with(multiprocessing.InitializerFailed, lambda result=result: result.get(rig.LIMIT_S))
        assert isinstance(error, RuntimeError)
        text = f"{error} {error.__cause__}"
        assert "there is no such model" in text
        assert "fail_to_prepare" in text
    # A fresh interpreter takes its time to come, on a busy machine.
    if context.get_start_method() == "fork":
        assert time.monotonic() - began < REPORT_S
    # Later calls are told the same, and nobody is started for them.
    fails_with(multiprocessing.InitializerFailed, lambda: pool.apply(programs.same, (1,)))
    fails_with(multiprocessing.InitializerFailed, lambda: list(pool.imap(programs.same, [1])))
    assert len(rig.recorded(tmp_path)) <= 4
    pool.close()
    pool.join()


@pytest.mark.parametrize("death", [programs.be_killed, programs.exit_at_once, programs.exit_in_order])
def test_an_initializer_under_which_all_workers_die_is_reported(
    fork: Any, make_pool: Any, tmp_path: Path, death: Any
) -> None:
    began = time.monotonic()
    pool = make_pool(fork, initializer=misuse.die_preparing, initargs=(str(tmp_path), 10**9, death))
    result = pool.map_async(programs.same, range(10))
    fails_with((multiprocessing.InitializerFailed, multiprocessing.WorkerDied), lambda: result.get(rig.LIMIT_S))
    assert time.monotonic() - began < REPORT_S
    assert len(rig.recorded(tmp_path)) <= 8


def test_a_failing_initializer_breaks_an_executor(context: Any, make_executor: Any, tmp_path: Path) -> None:
    executor = make_executor(context, initializer=misuse.fail_to_prepare, initargs=(str(tmp_path),))
    future = executor.submit(programs.same, 1)
    error = fails_with(BrokenProcessPool, lambda: future.result(REPORT_S))
    assert "there is no such model" in f"{error} {error.__cause__}"
    fails_with(BrokenProcessPool, lambda: executor.submit(programs.same, 1))

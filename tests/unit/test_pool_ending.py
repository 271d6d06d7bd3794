"""A pool ends when it is told to: nothing that its tasks, sources, callbacks and threads do keeps it, or a caller, waiting."""

import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import pool_programs as programs
import pool_rig as rig

context, fork, make_pool, make_executor = rig.context, rig.fork, rig.make_pool, rig.make_executor
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_time(*functions: Callable[[], object]) -> None:
    """Run all of them at once, each in a thread, to their ends."""
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(rig.LIMIT_S / 2)
    assert [thread.is_alive() for thread in threads] == [False] * len(threads)
    assert errors == []


def close_and_join(pool: Any) -> None:
    pool.close()
    pool.join()


def terminate_and_join(pool: Any) -> None:
    pool.terminate()
    pool.join()


def leave(pool: Any) -> None:
    with pool:
        pass


def leave_in_the_middle(pool: Any) -> None:
    pool.__exit__(None, None, None)


def workers_of(pool: Any) -> list[int]:
    return [process.pid for process in pool._pool]


ENDS = [close_and_join, terminate_and_join, leave]
QUICK_ENDS = [terminate_and_join, leave]


@pytest.mark.parametrize("end", ENDS)
def test_an_idle_pool_ends(context: Any, make_pool: Any, end: Any) -> None:
    pool = make_pool(context)
    workers = workers_of(pool)
    assert len(workers) == rig.WORKERS
    in_time(lambda: end(pool))
    rig.until_gone(workers)


@pytest.mark.parametrize("end", ENDS)
def test_a_pool_may_end_as_soon_as_it_is_there(fork: Any, make_pool: Any, end: Any) -> None:
    for _ in range(20):
        in_time(lambda: end(make_pool(fork)))


def test_what_was_called_before_close_is_done(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    items = [(str(tmp_path), None, number) for number in range(30)]
    results = [pool.starmap_async(programs.live, items[:10], 1), pool.imap(programs.live_one, items[10:20])]
    results += [pool.apply_async(programs.live, item) for item in items[20:]]
    in_time(lambda: close_and_join(pool))
    assert results[0].get(0) == list(range(10))
    assert list(results[1]) == list(range(10, 20))
    assert [result.get(0) for result in results[2:]] == list(range(20, 30))
    assert rig.counts(tmp_path) == dict.fromkeys(range(30), 1)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("end", ENDS)
def test_a_pool_ends_after_a_half_read_imap(context: Any, make_pool: Any, name: str, end: Any) -> None:
    pool = make_pool(context)
    numbers = getattr(pool, name)(programs.same, range(1000))
    taken = list(itertools.islice(numbers, 3))
    in_time(lambda: end(pool))
    if end is close_and_join:
        # As the standard library has it: the rest is there.
        assert sorted([*taken, *numbers]) == list(range(1000))


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.parametrize("keeps_the_iterator", [True, False])
@pytest.mark.parametrize("end", ENDS)
def test_a_pool_ends_though_a_source_does_not(
    fork: Any, make_pool: Any, name: str, chunk_size: int, keeps_the_iterator: bool, end: Any
) -> None:
    pool = make_pool(fork)
    numbers = getattr(pool, name)(programs.same, itertools.count(), chunk_size)
    assert len(list(itertools.islice(numbers, 3))) == 3
    if not keeps_the_iterator:
        del numbers
        gc.collect()
    in_time(lambda: end(pool))
    if keeps_the_iterator:
        # Whoever reads on is not left waiting either.
        in_time(lambda: drain(numbers))


def drain(iterator: Any) -> None:
    with contextlib.suppress(Exception):
        for _ in iterator:
            pass


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_an_imap_without_an_end_that_nobody_reads_holds_up_no_other(fork: Any, make_pool: Any, name: str) -> None:
    pool = make_pool(fork)
    for _ in range(10):
        next(getattr(pool, name)(programs.same, itertools.count()))
    assert pool.map(programs.same, range(100), 1) == list(range(100))


@pytest.mark.parametrize("end", QUICK_ENDS)
@pytest.mark.parametrize(
    "program",
    [
        programs.begin_and_sleep,
        programs.begin_and_spin,
        programs.begin_deaf,
        programs.begin_and_hold_the_interpreter,
    ],
)
def test_tasks_that_run_do_not_keep_a_terminated_pool(
    fork: Any, make_pool: Any, tmp_path: Path, program: Any, end: Any
) -> None:
    pool = make_pool(fork)
    results = [pool.apply_async(program, (str(tmp_path),)) for _ in range(4)]
    workers = rig.until(lambda: len(rig.pids(tmp_path)) == 2 and rig.pids(tmp_path), "two workers at work")
    began = time.monotonic()
    in_time(lambda: end(pool))
    assert time.monotonic() - began < rig.SOON_S
    rig.until_gone(workers)
    assert rig.pids(tmp_path) == workers
    for result in results:
        # Whoever asks is told, instead of waiting for ever.
        with pytest.raises(Exception, match=r"(?i)terminat|cancel|not running|closed"):
            result.get(rig.LIMIT_S)


def test_who_waits_for_a_result_is_told_of_the_end(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    call = (programs.begin_and_sleep, [str(tmp_path)] * 4, 1)
    results = [pool.map_async(*call), pool.imap(*call), pool.imap_unordered(*call)]
    heard: list[str] = []

    def ask(get: Callable[[], object]) -> None:
        try:
            get()
        except Exception as error:
            heard.append(type(error).__name__)

    gets = [results[0].get, results[1].__next__, results[2].__next__]
    threads = [threading.Thread(target=ask, args=(get,), daemon=True) for get in gets]
    for thread in threads:
        thread.start()
    rig.until(lambda: len(rig.pids(tmp_path)) == 2, "two workers at work")
    in_time(lambda: terminate_and_join(pool))
    in_time(*[thread.join for thread in threads])
    assert len(heard) == 3


@pytest.mark.parametrize("end", QUICK_ENDS)
def test_stopped_workers_do_not_keep_a_terminated_pool(fork: Any, make_pool: Any, tmp_path: Path, end: Any) -> None:
    pool = make_pool(fork)
    workers = rig.workers_at_once(pool, tmp_path)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    in_time(lambda: end(pool))
    rig.until_gone(workers)


@pytest.mark.parametrize("end", QUICK_ENDS)
def test_workers_that_still_prepare_do_not_keep_a_terminated_pool(
    fork: Any, make_pool: Any, tmp_path: Path, end: Any
) -> None:
    pool = make_pool(fork, initializer=programs.begin_and_sleep, initargs=(str(tmp_path),))
    pool.map_async(programs.same, range(10))
    workers = rig.until(lambda: len(rig.pids(tmp_path)) == 2 and rig.pids(tmp_path), "two workers that prepare")
    in_time(lambda: end(pool))
    rig.until_gone(workers)


@pytest.mark.parametrize("end", QUICK_ENDS)
def test_a_source_that_blocks_does_not_keep_a_terminated_pool(fork: Any, make_pool: Any, end: Any) -> None:
    pool, go = make_pool(fork), threading.Event()

    def source() -> Any:
        yield 1
        go.wait(rig.LIMIT_S)

    numbers = pool.imap(programs.same, source())
    assert next(numbers) == 1
    began = time.monotonic()
    in_time(lambda: end(pool))
    assert time.monotonic() - began < rig.SOON_S
    go.set()


def test_all_ends_may_come_twice_and_together(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)
    for end in (close_and_join, close_and_join, terminate_and_join, terminate_and_join, close_and_join):
        in_time(lambda end=end: end(pool))
    for _ in range(10):
        pool = make_pool(fork)
        pool.imap(programs.same, itertools.count())
        ends = [close_and_join, terminate_and_join, leave_in_the_middle]
        in_time(*[lambda end=end, pool=pool: end(pool) for end in ends * 2])


def test_a_join_in_another_thread_ends_with_terminate(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)
    pool.apply_async(programs.begin_and_sleep, (str(tmp_path),))
    rig.until(lambda: rig.pids(tmp_path), "a worker at work")
    joiner = threading.Thread(target=close_and_join, args=(pool,), daemon=True)
    joiner.start()
    # It has come to wait, or will: either is an end.
    in_time(pool.terminate)
    in_time(joiner.join)


@pytest.mark.parametrize("end", ["close", "terminate"])
def test_a_callback_may_end_its_pool(context: Any, make_pool: Any, end: str) -> None:
    pool, ended = make_pool(context), threading.Event()

    def callback(_: object) -> None:
        getattr(pool, end)()
        ended.set()

    pool.apply_async(programs.same, (1,), callback=callback)
    assert ended.wait(rig.LIMIT_S / 2)
    in_time(pool.join)


def test_a_callback_that_raises_does_no_harm(fork: Any, make_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: raised.append(arguments.exc_type))
    pool = make_pool(fork)
    for _ in range(3):
        pool.apply_async(programs.same, (1,), callback=lambda _: {}["missing"]).wait(rig.LIMIT_S)
        assert pool.map(programs.same, range(10), 1) == list(range(10))
    in_time(lambda: close_and_join(pool))
    assert raised == [KeyError] * 3


def test_an_ended_pool_refuses(fork: Any, make_pool: Any) -> None:
    for end in ENDS:
        pool = make_pool(fork)
        end(pool)
        calls: list[Any] = [pool.apply, pool.map, pool.imap, pool.imap_unordered, pool.starmap]
        calls += [pool.apply_async, pool.map_async, pool.starmap_async]
        for call in calls:
            with pytest.raises(ValueError, match="Pool not running"):
                call(programs.same, [1])
        with pytest.raises(ValueError, match="Pool not running"), pool:
            pass


def test_a_running_pool_cannot_be_joined(fork: Any, make_pool: Any) -> None:
    with pytest.raises(ValueError, match="Pool is still running"):
        make_pool(fork).join()


def test_an_error_in_the_block_ends_the_pool(context: Any, make_pool: Any, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="mine"), make_pool(context) as pool:
        pool.apply_async(programs.begin_and_sleep, (str(tmp_path),))
        workers = rig.until(lambda: rig.pids(tmp_path), "a worker at work")
        raise LookupError("mine")
    rig.until_gone(workers)


def test_a_forgotten_pool_warns_and_its_workers_end(fork: Any) -> None:
    pool = fork.Pool(rig.WORKERS)
    assert pool.map(programs.same, range(4)) == list(range(4))
    workers, reference = workers_of(pool), weakref.ref(pool)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del pool
        gc.collect()
    assert [str(warning.message)[:38] for warning in caught] == ["unclosed running multiprocessing pool "]
    assert [warning.category for warning in caught] == [ResourceWarning]
    # A recorded warning holds what it is about.
    caught.clear()
    gc.collect()
    assert reference() is None
    rig.until_gone(workers, rig.LIMIT_S)


def test_a_pool_that_was_ended_is_forgotten_without_a_warning(fork: Any) -> None:
    for end in ENDS:
        pool = fork.Pool(rig.WORKERS)
        end(pool)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del pool
            gc.collect()
        assert [warning.message for warning in caught if warning.category is ResourceWarning] == []


def test_an_executor_ends_with_calls_outstanding(context: Any, make_executor: Any, tmp_path: Path) -> None:
    executor = make_executor(context)
    done = [executor.submit(programs.same, number) for number in range(20)]
    in_time(executor.shutdown)
    assert [future.result(0) for future in done] == list(range(20))
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(programs.same, 1)


def test_an_executor_cancels_what_has_not_begun(fork: Any, make_executor: Any, tmp_path: Path) -> None:
    executor, go = make_executor(fork), tmp_path / "go"
    running = [executor.submit(programs.wait_until_it_exists, str(go)) for _ in range(2)]
    rig.until(lambda: all(future.running() for future in running), "two calls that run")
    waiting = [executor.submit(programs.live, str(tmp_path), None, number) for number in range(20)]
    executor.shutdown(wait=False, cancel_futures=True)
    go.touch()
    in_time(lambda: executor.shutdown(wait=True))
    assert [future.result(0) for future in running] == [True, True]
    # At most what was already on its way to the workers is done.
    begun = {number for number, future in enumerate(waiting) if not future.cancelled()}
    assert set(rig.counts(tmp_path)) == begun
    assert len(begun) <= rig.WORKERS + 1

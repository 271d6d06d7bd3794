"""The results of a pool, driven as its engine drives them: who waits, who is called back, and what is said of failures."""

import asyncio
import gc
import io
import os
import pickle
import threading
import time
from collections.abc import Callable
from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing import pool as standard
from typing import Any

import pytest

import threefold
from threefold._pool import describe, errors, progress
from threefold._pool.call_future import CallFuture
from threefold._pool.callbacks import Callbacks
from threefold._pool.results import ApplyResult, MapResult
from threefold._pool.streams import IMapIterator, IMapUnorderedIterator
from threefold.futures import CancelledError, as_completed, wait
from threefold.threading import Event, Thread

SOON_S = 20.0


class FakeSupervisor:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.cancels = True

    def reads(self, map: int) -> None:
        pass

    def took(self, map: int) -> None:
        self.told.append(("took", map))

    def leave(self, map: int, *, cancel: bool) -> None:
        self.told.append(("leave", map, cancel))

    def cancel(self, job: int, *, kill: bool = False) -> bool:
        self.told.append(("cancel", job))
        return self.cancels


class FakePool:
    """What results know of their pool."""

    def __init__(self) -> None:
        self._cache: dict[int, Any] = {}
        self._callbacks = Callbacks()
        self._supervisor = FakeSupervisor()


@pytest.fixture
def pool() -> Any:
    """Offer a pool; its callbacks are over after the test."""
    made = FakePool()
    yield made
    made._callbacks.join()


def later(action: Callable[[], Any]) -> Thread:
    thread = Thread(target=action)
    thread.start()
    return thread


def stream_of(pool: FakePool, *chunks: Any, kind: Any = IMapIterator) -> Any:
    results = kind(pool)
    results._map = 7
    for chunk in chunks:
        results._stream._add(not isinstance(chunk, Exception), chunk, 1)
    results._stream._end_map(None)
    return results


def test_a_result_says_whether_it_is_there(pool: FakePool) -> None:
    result = ApplyResult(pool, None, None)
    assert isinstance(result, standard.ApplyResult)
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    with pytest.raises(PoolTimeoutError):
        result.get(0.001)
    assert result.wait(0) is None
    assert list(pool._cache.values()) == [result]
    result._end(True, 5)
    assert (result.ready(), result.successful(), result.get(), result.get(0)) == (True, True, 5, 5)
    assert pool._cache == {}
    assert result._pool is None


def test_a_failure_is_raised_each_time(pool: FakePool) -> None:
    result = ApplyResult(pool, None, None)
    result._end(False, KeyError("x"))
    assert result.ready()
    assert not result.successful()
    for _ in range(2):
        with pytest.raises(KeyError, match="x"):
            result.get()


def test_a_failure_that_was_raised_keeps_nobody_alive(pool: FakePool) -> None:
    result = ApplyResult(pool, None, None)
    result._end(False, KeyError("x"))
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(KeyError):
            result.get()
        before = len(gc.get_referrers(result))
    finally:
        gc.enable()
    assert before <= 2


@pytest.mark.parametrize("ask", [lambda result: result.get(), lambda result: result.wait(SOON_S)])
def test_a_thread_waits_for_a_result(pool: FakePool, ask: Any) -> None:
    result, waits = ApplyResult(pool, None, None), Event()

    def bring() -> None:
        waits.wait(SOON_S)
        result._end(True, 5)

    thread = later(bring)
    waits.set()
    ask(result)
    assert result.get() == 5
    thread.join()


def test_a_callback_is_made_before_the_result_is_there(pool: FakePool) -> None:
    heard: list[Any] = []
    result = ApplyResult(pool, lambda value: heard.append((value, result.ready())), None)
    result._end(True, 5)
    assert result.get(SOON_S) == 5
    assert heard == [(5, False)]


def test_an_error_callback_hears_of_failures_only(pool: FakePool) -> None:
    heard: list[Any] = []
    good = ApplyResult(pool, None, heard.append)
    bad = ApplyResult(pool, heard.append, heard.append)
    error = KeyError("x")
    good._end(True, 5)
    bad._end(False, error)
    bad.wait(SOON_S)
    assert heard == [error]


def test_a_terminated_pool_calls_nobody_back(pool: FakePool) -> None:
    heard: list[Any] = []
    result = ApplyResult(pool, None, heard.append)
    result._end(False, errors.PoolTerminated())
    with pytest.raises(errors.PoolTerminated):
        result.get(SOON_S)
    pool._callbacks.join()
    assert heard == []


def test_a_callback_that_raises_is_reported_and_the_result_comes(
    pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reports.append)
    results = [ApplyResult(pool, lambda value: 1 / value, None) for _ in range(2)]
    for number, result in enumerate(results):
        result._end(True, number)
    assert [result.get(SOON_S) for result in results] == [0, 1]
    assert [report.exc_type for report in reports] == [ZeroDivisionError]


def test_a_callback_that_takes_its_time_holds_up_no_other_result(pool: FakePool) -> None:
    go_on = Event()
    slow, quick = ApplyResult(pool, lambda _: go_on.wait(SOON_S), None), ApplyResult(pool, None, None)
    slow._end(True, 1)
    quick._end(True, 2)
    assert quick.get(0) == 2
    assert not slow.ready()
    go_on.set()
    assert slow.get(SOON_S) == 1


def test_callbacks_may_be_joined_by_one_of_them(pool: FakePool) -> None:
    result = ApplyResult(pool, lambda _: pool._callbacks.join(), None)
    result._end(True, 1)
    assert result.get(SOON_S) == 1


def test_a_map_of_nothing_is_over_at_once_and_calls_nobody(pool: FakePool) -> None:
    heard: list[Any] = []
    result = MapResult(pool, 0, 0, heard.append, heard.append)
    assert isinstance(result, standard.MapResult)
    assert result.get(0) == []
    pool._callbacks.join()
    assert heard == []


def test_a_task_awaits_a_result(pool: FakePool) -> None:
    result, failing = ApplyResult(pool, None, None), ApplyResult(pool, None, None)

    async def main() -> None:
        thread = later(lambda: (result._end(True, 5), failing._end(False, KeyError("x"))))
        assert await result == 5
        assert await result == 5
        with pytest.raises(KeyError):
            await failing
        await asyncio.to_thread(thread.join)

    asyncio.run(main())


def test_many_tasks_and_threads_await_the_same_result(pool: FakePool) -> None:
    result = ApplyResult(pool, None, None)

    async def one() -> Any:
        return await result

    async def main() -> list[Any]:
        tasks = [asyncio.create_task(one()) for _ in range(5)]
        threads = [asyncio.create_task(asyncio.to_thread(result.get, SOON_S)) for _ in range(2)]
        await asyncio.sleep(0)
        later(lambda: result._end(True, 5)).join()
        return await asyncio.gather(*tasks, *threads)

    assert asyncio.run(main()) == [5] * 7


def test_a_task_that_is_cancelled_while_it_waits_cancels_nothing_else(pool: FakePool) -> None:
    result = ApplyResult(pool, None, None)

    async def main() -> Any:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(result, 0.001)
        result._end(True, 5)
        return await result

    assert asyncio.run(main()) == 5
    assert pool._supervisor.told == []


def test_a_stream_gives_the_items_of_its_chunks(pool: FakePool) -> None:
    results = stream_of(pool, [1, 2], [3])
    assert isinstance(results, standard.IMapIterator)
    assert list(results) == [1, 2, 3]
    with pytest.raises(StopIteration):
        next(results)
    assert isinstance(stream_of(pool, kind=IMapUnorderedIterator), standard.IMapUnorderedIterator)


def test_who_has_taken_the_last_item_is_through_with_a_chunk(pool: FakePool) -> None:
    results, told = stream_of(pool, [1, 2], [3], KeyError("x")), pool._supervisor.told
    assert (next(results), told) == (1, [])
    assert (next(results), told) == (2, [("took", 7)])
    assert (next(results), told) == (3, [("took", 7)] * 2)
    with pytest.raises(KeyError):
        next(results)
    assert told == [("took", 7)] * 3


def test_a_stream_goes_on_after_a_chunk_that_failed(pool: FakePool) -> None:
    results = stream_of(pool, [1], KeyError("x"), [2])
    assert next(results) == 1
    with pytest.raises(KeyError):
        next(results)
    assert list(results) == [2]


def test_the_error_of_a_whole_map_is_told_once(pool: FakePool) -> None:
    results = IMapIterator(pool)
    results._stream._end_map(errors.PoolTerminated())
    with pytest.raises(errors.PoolTerminated):
        next(results)
    assert list(results) == []


def test_a_stream_is_waited_for_as_long_as_asked(pool: FakePool) -> None:
    results = IMapIterator(pool)
    for timeout in (0.001, 0, -1):
        with pytest.raises(PoolTimeoutError):
            results.next(timeout)
    thread = later(lambda: results._stream._add(True, [5], 1))
    assert results.next() == 5
    thread.join()


def test_many_threads_share_a_stream(pool: FakePool) -> None:
    results, taken = stream_of(pool, *([number, -number] for number in range(1, 200))), []
    threads = [later(lambda: taken.extend(results)) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert sorted(taken) == [*range(-199, 0), *range(1, 200)]


def test_a_task_takes_from_a_stream(pool: FakePool) -> None:
    results = IMapIterator(pool)

    async def main() -> list[Any]:
        def bring() -> None:
            for number in range(3):
                results._stream._add(True, [number, -number], 2)
            results._stream._end_map(None)

        thread = later(bring)
        taken = [number async for number in results]
        await asyncio.to_thread(thread.join)
        return taken

    assert asyncio.run(main()) == [0, 0, 1, -1, 2, -2]


def test_a_task_that_is_cancelled_loses_no_item_of_a_stream(pool: FakePool) -> None:
    results = IMapIterator(pool)

    async def main() -> list[Any]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(results), 0.001)
        results._stream._add(True, [1, 2], 2)
        results._stream._end_map(None)
        return [number async for number in results]

    assert asyncio.run(main()) == [1, 2]


def test_a_stream_that_nobody_holds_is_done_for_its_effects(pool: FakePool) -> None:
    results = IMapIterator(pool)
    results._map = 7
    del results
    assert pool._supervisor.told == [("leave", 7, False)]


def test_a_stream_that_is_closed_cancels_what_is_left(pool: FakePool) -> None:
    results = IMapIterator(pool)
    results._map = 7
    results._stream._add(True, [1], 1)
    results.close()
    assert pool._supervisor.told == [("leave", 7, True)]
    assert list(results) == [1]


def test_a_future_takes_its_result(pool: FakePool) -> None:
    pending: dict[int, CallFuture] = {}
    good, bad = CallFuture(pool._supervisor, pending, 0), CallFuture(pool._supervisor, pending, 1)
    assert pending == {0: good, 1: bad}
    heard: list[Any] = []
    good.add_done_callback(heard.append)
    good._end(True, 5)
    bad._end(False, KeyError("x"))
    assert (good.result(), heard, pending) == (5, [good], {})
    with pytest.raises(KeyError):
        bad.result()
    assert wait([good, bad], SOON_S).done == {good, bad}


@pytest.mark.parametrize("is_first", [True, False])
def test_a_future_is_cancelled_once_whoever_says_so_first(pool: FakePool, is_first: bool) -> None:
    future = CallFuture(pool._supervisor, {}, 0)
    future._job = 3
    if is_first:
        assert future.cancel()
    future._end(False, errors.TaskCancelled())
    assert future.cancel()
    assert future.cancelled()
    assert list(as_completed([future], SOON_S)) == [future]
    with pytest.raises(CancelledError):
        future.result()


def test_a_call_that_runs_cannot_be_cancelled(pool: FakePool) -> None:
    future = CallFuture(pool._supervisor, {}, 0)
    future._job, pool._supervisor.cancels = 3, False
    assert not future.cancel()
    future._end(True, 5)
    assert not future.cancel()
    assert future.result() == 5


def test_a_time_limit_that_was_reached_is_named() -> None:
    error = errors.TaskTimeout("f(5)", 0.5, 12, "app.py:3 in f: x = 1")
    assert str(error) == (
        "f(5) took longer than 0.5 s; worker process 12, which was at app.py:3 in f: x = 1, was ended"
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            errors.WorkerDied(12, -9, True, "f(5)"),
            "worker process 12 died (SIGKILL, probably killed because it needed too much memory) while it ran f(5)",
        ),
        (errors.WorkerDied(12, 3, False, "f(5)"), "worker process 12 died (exit code 3) while it ran f(5)"),
        (errors.WorkerDied(12, -99), "worker process 12 died (signal 99) before it took a task"),
        (errors.TaskTimeout("f(5)", 0.5, 12), "f(5) took longer than 0.5 s; worker process 12 was ended"),
        (errors.InitializerFailed(12, KeyError("x")), "the initializer failed in worker process 12: KeyError: 'x'"),
        (errors.NoWorker(11), f"no worker process could be started: {os.strerror(11)}"),
        (
            errors.RemoteError("m.E", "E(1)", "Traceback", TypeError("two")),
            "a task raised E(1), which cannot be unpickled here (TypeError: two)",
        ),
        (errors.PoolTerminated(), "the pool was terminated before the task was over"),
        (errors.TaskCancelled(), "the task was cancelled"),
    ],
)
def test_an_error_says_what_happened_and_survives_pickling(error: Any, text: str) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert str(error) == str(again) == text
    assert isinstance(again, threefold.Error)
    assert type(again) is type(error)


def test_a_death_by_signal_and_one_by_exit_are_told_apart() -> None:
    assert (errors.WorkerDied(1, -9).signal, errors.WorkerDied(1, -9).exitcode) == (9, -9)
    assert (errors.WorkerDied(1, 3).signal, errors.WorkerDied(1, 3).exitcode) == (None, 3)


def test_the_engine_is_given_the_error_of_each_outcome() -> None:
    call = ((max, (1, 2), {"key": abs}), None, None, False)
    died = errors.from_outcome("worker_died", 12, -9, False, call, None, None, None)
    assert died.task == "max(1, 2, key=<built-in function abs>)"
    chunk = (abs, [4, 5, 6], (1, 2), False)
    late = errors.from_outcome("timed_out", 12, -9, False, chunk, 0.5, f"{__file__}:1 in f", None)
    assert (late.task, late.limit, late.line) == ("abs(5)", 0.5, f'{__file__}:1 in f: """{__doc__}"""')
    cause = KeyError("x")
    cause.__cause__ = standard.RemoteTraceback("there")
    failed = errors.from_outcome("initializer_failed", 12, None, False, None, None, None, cause)
    assert (failed.reason, failed.__cause__) == (cause, cause.__cause__)
    kinds = [
        type(errors.from_outcome(kind, None, None, False, None, None, None, None))
        for kind in ("cancelled", "terminated")
    ]
    assert kinds == [errors.TaskCancelled, errors.PoolTerminated]


class Loud:
    def __repr__(self) -> str:
        raise KeyError("no words")


def test_a_call_is_described_in_few_words_whatever_its_arguments_are() -> None:
    assert describe.call(len, ("abc",)) == "len('abc')"
    assert describe.call(len, (b"x" * 10**6,)) == "len(<bytes of 1000000>)"
    assert describe.call(len, (Loud(),)).startswith("len(<Loud instance")
    assert len(describe.call(max, ["some words " * 9] * 100)) <= 120
    assert describe.chunk(abs, range(10, 20)) == "abs for 10 items, from 10 to 19"
    assert describe.task(None) is None
    assert describe.task((abs, [], (3, 4), False)) is None
    assert describe.task((max, [(1, 2), (3, 4)], (1, 2), True)) == "max(3, 4)"
    assert describe.task((max, [(1, 2), (3, 4)], None, True)) == "max for 2 items, from (1, 2) to (3, 4)"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_on_a_terminal(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    result = MapResult(pool, 1, 4, None, None)
    result._show_progress(progress.start(4))
    result._progress(3)
    deadline = time.monotonic() + SOON_S
    while "3/4" not in terminal.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    result._progress(4)
    result._end(True, [1, 2, 3, 4])
    assert result.get() == [1, 2, 3, 4]
    text = terminal.getvalue()
    assert "\r3/4 items" in text
    assert "\r4/4 items" in text
    assert text.endswith("\n")
    assert text.count("\n") == 1


def test_progress_is_silent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), None):
        monkeypatch.setattr("sys.stderr", stream)
        assert progress.start(4) is None


def test_progress_counts_and_says_what_is_left() -> None:
    assert progress.describe(0, 10, 0.0) == "0/10 items, 0.0/s"
    assert progress.describe(5, 10, 2.0) == "5/10 items, 2.5/s, 2 s left"
    assert progress.describe(10, 10, 2.0) == "10/10 items, 5.0/s"
    assert progress.describe(5000, None, 2.0) == "5000 items, 2500/s"
    assert progress.describe(1, 7300, 1.0) == "1/7300 items, 1.0/s, 2 h 1 min left"

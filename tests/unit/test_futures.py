"""Our thread pool behaves as the standard one, loses no call, and says at exit whom it waits for."""

import asyncio
import concurrent.futures
import contextvars
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Generator
from concurrent.futures import CancelledError, InvalidStateError
from typing import Any

import pytest

from threefold.futures import BrokenThreadPool, Future, ThreadPoolExecutor, as_completed, wait
from threefold.threading import Barrier, Event

SOON_S = 30.0


@pytest.fixture
def pool() -> Generator[ThreadPoolExecutor]:
    """Offer a pool of two threads."""
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def blocked() -> Generator[tuple[ThreadPoolExecutor, Event, Future]]:
    """Offer a pool of one thread that is busy until the event is set."""
    go_on, has_begun = Event(), Event()
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(lambda: (has_begun.set(), go_on.wait(SOON_S)))
        assert has_begun.wait(SOON_S)
        yield executor, go_on, future
        go_on.set()


def test_it_is_a_standard_executor_with_standard_futures(pool: ThreadPoolExecutor) -> None:
    assert isinstance(pool, concurrent.futures.ThreadPoolExecutor)
    assert isinstance(pool.submit(int), concurrent.futures.Future)


def test_a_call_returns_or_raises_through_its_future(pool: ThreadPoolExecutor) -> None:
    future = pool.submit(divmod, 7, 3)
    assert future.result(SOON_S) == (2, 1)
    assert future.exception() is None
    assert (future.done(), future.running(), future.cancelled(), future.cancel()) == (True, False, False, False)
    failing = pool.submit(divmod, 7, 0)
    with pytest.raises(ZeroDivisionError):
        failing.result(SOON_S)
    assert isinstance(failing.exception(), ZeroDivisionError)


def test_every_call_is_made_exactly_once(pool: ThreadPoolExecutor) -> None:
    counts = [0] * 5_000

    def count(index: int) -> int:
        counts[index] += 1
        return index

    futures = [pool.submit(count, index) for index in range(len(counts))]
    assert [future.result(SOON_S) for future in futures] == list(range(len(counts)))
    assert set(counts) == {1}


def test_a_future_that_is_not_done_says_so_and_times_out(blocked: Any) -> None:
    executor, _go_on, running = blocked
    waiting = executor.submit(int)
    assert (running.running(), running.done(), running.cancel()) == (True, False, False)
    assert (waiting.running(), waiting.done()) == (False, False)
    for ask in (running.result, running.exception, waiting.result):
        with pytest.raises(concurrent.futures.TimeoutError):
            ask(0.001)
    assert repr(running).endswith("state=running>")


def test_a_call_that_has_not_begun_can_be_cancelled(blocked: Any) -> None:
    executor, go_on, _running = blocked
    calls: list[Any] = []
    future = executor.submit(calls.append, 1)
    told: list[Future] = []
    future.add_done_callback(told.append)
    assert future.cancel()
    assert future.cancel()
    assert future.cancelled()
    assert told == [future]
    go_on.set()
    executor.shutdown()
    assert calls == []
    with pytest.raises(CancelledError):
        future.result()
    assert wait([future], SOON_S).done == {future}


def test_cancelling_while_workers_take_calls_decides_each_call_once(pool: ThreadPoolExecutor) -> None:
    made: list[int] = []
    futures = [pool.submit(made.append, number) for number in range(3_000)]
    is_cancelled = [future.cancel() for future in futures]
    wait(futures, SOON_S)
    assert sorted(made) == [number for number, was in enumerate(is_cancelled) if not was]
    assert [future.cancelled() for future in futures] == is_cancelled


def test_callbacks_run_whether_added_before_or_after_the_end(blocked: Any) -> None:
    _executor, go_on, running = blocked
    told: list[str] = []
    before = Event()
    running.add_done_callback(lambda _future: (told.append("before"), before.set()))
    go_on.set()
    assert before.wait(SOON_S)
    running.add_done_callback(lambda _future: told.append("after"))
    assert told == ["before", "after"]


def test_a_slow_callback_does_not_hold_up_the_result(blocked: Any) -> None:
    _executor, go_on, running = blocked
    got_it = Event()
    running.add_done_callback(lambda _future: got_it.wait(SOON_S))
    go_on.set()
    assert running.result(SOON_S)
    got_it.set()


def test_a_result_is_set_only_once(pool: ThreadPoolExecutor) -> None:
    future = pool.submit(int)
    future.result(SOON_S)
    with pytest.raises(InvalidStateError):
        future.set_result(1)
    with pytest.raises(InvalidStateError):
        future.set_exception(ValueError())
    assert future.result() == 0


@pytest.mark.parametrize("return_when", ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"])
def test_wait_sees_every_end(pool: ThreadPoolExecutor, return_when: str) -> None:
    for _ in range(200):
        futures = [pool.submit(int) for _ in range(5)]
        done = wait(futures, SOON_S, return_when).done
        assert len(done) >= (1 if return_when == "FIRST_COMPLETED" else 5)


def test_as_completed_yields_each_future_once(pool: ThreadPoolExecutor) -> None:
    for _ in range(200):
        futures = [pool.submit(int) for _ in range(5)]
        seen = list(as_completed(futures, SOON_S))
        assert len(seen) == 5
        assert set(seen) == set(futures)


def test_many_may_wait_for_the_same_result(blocked: Any) -> None:
    _executor, go_on, running = blocked
    with ThreadPoolExecutor(5) as waiting:
        results = [waiting.submit(running.result, SOON_S) for _ in range(5)]
        go_on.set()
        assert len({id(future.result(SOON_S)) for future in results}) == 1


def test_a_task_can_await_a_call(pool: ThreadPoolExecutor) -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(pool)
        return [
            await asyncio.wrap_future(pool.submit(pow, 2, 5)),
            await loop.run_in_executor(None, pow, 2, 6),
            *await asyncio.gather(*(loop.run_in_executor(pool, abs, -number) for number in range(50))),
        ]

    assert asyncio.run(main()) == [32, 64, *range(50)]


def test_map_keeps_the_order_and_its_time_limit(blocked: Any) -> None:
    executor, go_on, _running = blocked
    with pytest.raises(concurrent.futures.TimeoutError):
        list(executor.map(abs, range(3), timeout=0.001))
    go_on.set()
    assert list(executor.map(pow, [2, 3], [3, 2], timeout=SOON_S)) == [8, 9]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="map() has a buffer size from Python 3.14 on")
def test_map_reads_no_further_ahead_than_its_buffer(pool: ThreadPoolExecutor) -> None:
    numbers = iter(range(100))
    results = pool.map(abs, numbers, buffersize=3)
    assert next(numbers) == 3
    assert list(results) == [0, 1, 2, *range(4, 100)]


def test_idle_threads_are_used_before_new_ones_are_made() -> None:
    with ThreadPoolExecutor(10) as executor:
        for _ in range(20):
            executor.submit(int).result(SOON_S)
            # Idle is who waits for a call, a moment after the last one's end.
            assert executor._idle_semaphore.acquire(timeout=SOON_S)
            executor._idle_semaphore.release()
        assert len(executor._threads) == 1


def test_there_are_as_many_threads_as_calls_at_once_and_no_more() -> None:
    barrier = Barrier(4)
    with ThreadPoolExecutor(4, thread_name_prefix="pool") as executor:
        futures = [executor.submit(barrier.wait, SOON_S) for _ in range(12)]
        for future in futures:
            future.result(SOON_S)
        assert sorted(thread.name for thread in executor._threads) == ["pool_0", "pool_1", "pool_2", "pool_3"]


def test_wrong_arguments_are_refused_as_by_the_standard_class() -> None:
    with pytest.raises(ValueError, match="max_workers must be greater than 0"):
        ThreadPoolExecutor(0)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        ThreadPoolExecutor(initializer=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ThreadPoolExecutor(unknown=1)


def test_a_failing_initializer_breaks_the_pool() -> None:
    go_on = Event()

    def fail() -> None:
        go_on.wait(SOON_S)
        raise ValueError("no")

    executor = ThreadPoolExecutor(1, initializer=fail)
    futures = [executor.submit(int) for _ in range(3)]
    cancelled = executor.submit(int)
    cancelled.cancel()
    go_on.set()
    for future in futures:
        with pytest.raises(BrokenThreadPool):
            future.result(SOON_S)
    executor.shutdown()
    assert cancelled.cancelled()
    with pytest.raises(BrokenThreadPool):
        executor.submit(int)


def test_an_initializer_runs_in_each_thread() -> None:
    local = threading.local()

    def begin(value: int) -> None:
        local.value = value

    with ThreadPoolExecutor(2, initializer=begin, initargs=(7,)) as executor:
        assert {executor.submit(lambda: local.value).result(SOON_S) for _ in range(20)} == {7}


def test_shutdown_makes_the_calls_that_are_left(blocked: Any) -> None:
    executor, go_on, _running = blocked
    futures = [executor.submit(abs, -number) for number in range(10)]
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(int)
    go_on.set()
    executor.shutdown()
    assert [future.result(0) for future in futures] == list(range(10))
    assert not any(thread.is_alive() for thread in executor._threads)


def test_shutdown_can_cancel_the_calls_that_are_left(blocked: Any) -> None:
    executor, go_on, running = blocked
    futures = [executor.submit(int) for _ in range(10)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert wait(futures, SOON_S).done == set(futures)
    assert all(future.cancelled() for future in futures)
    go_on.set()
    assert running.result(SOON_S)


def test_threads_end_when_the_executor_is_gone() -> None:
    executor = ThreadPoolExecutor(2)
    future = executor.submit(int)
    threads = list(executor._threads)
    gone = weakref.ref(executor)
    del executor
    gc.collect()
    assert gone() is None
    assert future.result(SOON_S) == 0
    for thread in threads:
        thread.join(SOON_S)
    assert not any(thread.is_alive() for thread in threads)


def test_nothing_of_a_call_outlives_it(pool: ThreadPoolExecutor) -> None:
    class Argument:
        """Something that can be referred to weakly."""

    has_gone = Event()
    argument = Argument()
    weakref.finalize(argument, has_gone.set)
    pool.submit(lambda _argument: None, argument).result(SOON_S)
    del argument
    pool.submit(int).result(SOON_S)
    gc.collect()
    assert has_gone.wait(SOON_S)


def test_context_variables_of_the_submitter_are_seen_if_asked_for() -> None:
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("mine")
    with ThreadPoolExecutor(1, propagate_context=True) as executor:
        assert executor.submit(variable.get).result(SOON_S) == "mine"
        executor.submit(variable.set, "theirs").result(SOON_S)
        assert executor.submit(variable.get).result(SOON_S) == "mine"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="worker contexts exist from Python 3.14 on")
def test_a_subclass_with_worker_contexts_makes_its_calls_its_own_way() -> None:
    from concurrent.futures.thread import WorkerContext

    class Doubling(WorkerContext):
        def run(self, task: Any) -> Any:
            return 2 * super().run(task)

    class DoublingPool(ThreadPoolExecutor):
        @classmethod
        def prepare_context(cls, initializer: Any, initargs: Any) -> Any:
            return Doubling.prepare(initializer, initargs)

    with DoublingPool(1) as executor:
        assert executor.submit(abs, -4).result(SOON_S) == 8


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system cannot send a signal to one thread")
def test_a_call_can_be_submitted_by_a_signal_handler(pool: ThreadPoolExecutor) -> None:
    submitted: list[Future] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: submitted.append(pool.submit(int)))
    try:
        for _ in range(500):
            signal.raise_signal(signal.SIGUSR1)
            submitted.append(pool.submit(int))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert {future.result(SOON_S) for future in submitted} == {0}
    assert len(submitted) == 1_000


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_pool_works_in_a_forked_child(blocked: Any) -> None:
    executor, _go_on, _running = blocked
    child = os.fork()
    if child == 0:
        os._exit(executor.submit(abs, -5).result(SOON_S))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5


def run_program(text: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
        env={**os.environ, **environment},
    )


def test_calls_that_are_pending_at_exit_are_made() -> None:
    program = """if True:
        from threefold.futures import ThreadPoolExecutor
        executor = ThreadPoolExecutor(1)
        for number in range(100):
            executor.submit(print, number)
    """
    done = run_program(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(number) for number in range(100)]


def test_a_call_submitted_after_the_end_of_the_program_is_refused() -> None:
    program = """if True:
        import atexit
        from threefold.futures import ThreadPoolExecutor
        executor = ThreadPoolExecutor(1)
        executor.submit(int).result()
        @atexit.register
        def last():
            try:
                executor.submit(int)
            except RuntimeError as error:
                print(error)
    """
    assert run_program(program).stdout == "cannot schedule new futures after shutdown\n"


def test_at_exit_it_says_whom_it_waits_for_and_goes_on_waiting() -> None:
    program = """if True:
        from threefold import _pool_exit
        from threefold.futures import ThreadPoolExecutor
        from threefold.threading import Event
        _pool_exit.REPORT_AFTER_S = 0.01
        go_on = Event()
        def wait_long():
            go_on.wait(20)
            print("done")
        report = _pool_exit._report
        _pool_exit._report = lambda late: (report(late), go_on.set())
        ThreadPoolExecutor(1, "slow").submit(wait_long)
    """
    done = run_program(program)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.splitlines() == [
        "threefold: at exit, still waiting for 1 thread of a ThreadPoolExecutor:",
        "  slow_0 is at <string>:8 in wait_long",
    ]


def test_the_interpreter_need_not_wait_for_a_pool() -> None:
    program = """if True:
        from threefold.futures import ThreadPoolExecutor
        from threefold.threading import Event
        ThreadPoolExecutor(1, wait_at_exit=False).submit(Event().wait)
        print("main")
    """
    done = run_program(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "main\n", "")

"""`threefold.futures.ProcessPoolExecutor` behaves as the standard one, and goes on when a process dies."""

import asyncio
import concurrent.futures
import gc
import itertools
import multiprocessing as standard
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

import threefold
from threefold import futures
from threefold.futures import ProcessPoolExecutor, as_completed, wait

sys.path.insert(0, str(Path(__file__).parent))
import front_programs as programs

# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

SOON_S = 20.0
fork = standard.get_context("fork")


@pytest.fixture
def make() -> Generator[Callable[..., Any]]:
    """Make executors of two forked processes, or of as many as said; they are shut down after the test."""
    executors = []

    def make(workers: int = 2, **options: Any) -> Any:
        executors.append(ProcessPoolExecutor(workers, **{"mp_context": fork, **options}))
        return executors[-1]

    yield make
    for executor in executors:
        executor.shutdown(cancel_futures=True)


@pytest.fixture
def executor(make: Any) -> Any:
    """Offer an executor of two processes."""
    return make()


@pytest.fixture
def spawning(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Offer the context of fresh interpreters, which need not import pytest as the main program of their parent."""
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    return standard.get_context("spawn")


def test_it_is_a_standard_executor_with_standard_futures(executor: Any) -> None:
    assert isinstance(executor, concurrent.futures.ProcessPoolExecutor)
    assert isinstance(executor.submit(programs.square, 2), concurrent.futures.Future)
    assert futures.BrokenProcessPool is BrokenProcessPool


def test_a_call_returns_or_raises_through_its_future(executor: Any) -> None:
    future = executor.submit(programs.add, 1, 2, third=3)
    assert future.result(SOON_S) == 6
    assert (future.done(), future.running(), future.cancelled(), future.cancel()) == (True, False, False, False)
    failing = executor.submit(programs.fail, "there")
    with pytest.raises(KeyError, match="there") as caught:
        failing.result(SOON_S)
    assert type(caught.value.__cause__) is concurrent.futures.process._RemoteTraceback
    assert isinstance(failing.exception(), KeyError)
    with pytest.raises(SystemExit):
        executor.submit(sys.exit, 3).result(SOON_S)


def test_the_arguments_are_the_functions_own(executor: Any) -> None:
    assert executor.submit(dict, self=2, fn=3).result(SOON_S) == {"self": 2, "fn": 3}
    with pytest.raises(TypeError):
        executor.submit(fn=dict)


def test_many_futures_are_waited_for_at_once(executor: Any) -> None:
    pending = [executor.submit(programs.square, number) for number in range(100)]
    assert sorted(future.result() for future in as_completed(pending, SOON_S)) == [n**2 for n in range(100)]
    assert wait(pending, SOON_S).not_done == set()
    assert executor._pending_work_items == {}
    assert executor._queue_count == 100


def test_callbacks_and_tasks_hear_of_the_end(executor: Any) -> None:
    heard = threading.Event()
    executor.submit(programs.square, 3).add_done_callback(lambda _: heard.set())
    assert heard.wait(SOON_S)

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        wrapped = asyncio.wrap_future(executor.submit(programs.square, 4))
        return await asyncio.gather(loop.run_in_executor(executor, programs.square, 3), wrapped)

    assert asyncio.run(main()) == [9, 16]


def test_map_gives_the_results_in_order(executor: Any) -> None:
    squares = [number**2 for number in range(40)]
    assert list(executor.map(programs.square, range(40))) == squares
    assert list(executor.map(programs.square, iter(range(40)), chunksize=6)) == squares
    assert list(executor.map(programs.square, range(40), buffersize=3, chunksize=2)) == squares
    assert list(executor.map(programs.add, range(5), itertools.count())) == [0, 2, 4, 6, 8]
    assert list(executor.map(programs.square, [])) == []


def test_map_raises_what_a_call_raises_in_its_place(executor: Any) -> None:
    results = executor.map(divmod, [1, 1, 1, 1], [2, 3, 0, 5])
    assert [next(results), next(results)] == [(0, 1), (0, 1)]
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_map_waits_as_long_as_asked(executor: Any, tmp_path: Path) -> None:
    results = executor.map(programs.wait_for, [str(tmp_path), str(tmp_path / "go")], timeout=0.3)
    assert next(results) == str(tmp_path)
    with pytest.raises(TimeoutError):
        next(results)
    programs.touch(str(tmp_path / "go"))


def test_map_refuses_wrong_sizes(executor: Any) -> None:
    with pytest.raises(ValueError, match="chunksize must be >= 1"):
        executor.map(programs.square, [1], chunksize=0)
    with pytest.raises(ValueError, match="buffersize must be None or > 0"):
        executor.map(programs.square, [1], buffersize=0)
    with pytest.raises(TypeError, match="buffersize must be an integer or None"):
        executor.map(programs.square, [1], buffersize="1")


def test_a_buffered_map_reads_no_further(executor: Any) -> None:
    read = itertools.count()
    results = executor.map(programs.square, read, buffersize=4)
    assert list(itertools.islice(results, 10)) == [number**2 for number in range(10)]
    assert next(read) <= 10 + 4 + 1


@pytest.mark.parametrize("taken", [0, 1])
def test_a_shutdown_does_not_wait_for_arguments_without_an_end(make: Any, taken: int) -> None:
    executor, read = make(), itertools.count()
    results = executor.map(programs.square, read, buffersize=3)
    assert list(itertools.islice(results, taken)) == [0] * taken
    executor.shutdown()
    made = []
    with pytest.raises(RuntimeError, match="after shutdown"):
        made.extend(iter(results.__next__, None))
    count = taken + len(made)
    assert made == [number**2 for number in range(taken, count)]
    assert 3 <= count <= next(read) <= 3 + taken


def test_a_buffer_is_filled_at_once(executor: Any) -> None:
    read = itertools.count()
    results = executor.map(programs.square, read, buffersize=2, chunksize=3)
    assert next(read) == 6
    with pytest.raises(ZeroDivisionError):
        executor.map(programs.square, (1 // number for number in [1, 0]), buffersize=3)
    assert list(executor.map(programs.square, [1, 2], buffersize=2)) == [1, 4]
    results.close()


def test_a_process_that_was_ended_can_still_be_asked(make: Any) -> None:
    executor = make(1)
    executor.submit(programs.square, 1).result()
    (process,) = executor._processes.values()
    executor.kill_workers()
    executor.shutdown()
    assert not process.is_alive()
    # It may have ended by itself, as it had nothing to do.
    assert process.exitcode in (0, -signal.SIGKILL)


def test_a_map_that_nobody_takes_is_done_and_one_that_is_left_is_cancelled(make: Any, tmp_path: Path) -> None:
    executor, places = make(1), [tmp_path / name for name in ("done", "left", "last")]
    executor.map(programs.touch, [str(places[0])])
    left = executor.map(programs.wait_for, [str(tmp_path), *[str(places[1])] * 400])
    assert next(left) == str(tmp_path)
    left.close()
    programs.touch(str(places[1]))
    assert executor.submit(programs.wait_for, str(places[0])).result(SOON_S)
    executor.shutdown()
    assert places[0].exists()


def test_a_result_of_a_map_is_kept_by_nobody_else(executor: Any) -> None:
    results = executor.map(list, [(1, 2)] * 3, chunksize=3)
    first = next(results)
    gc.collect()
    assert sys.getrefcount(first) <= 2


def test_a_death_costs_one_call(executor: Any) -> None:
    doomed = executor.submit(programs.exit_at_once)
    with pytest.raises(BrokenProcessPool, match=r"died \(exit code 7\) while it ran exit_at_once\(\)") as caught:
        doomed.result(SOON_S)
    assert isinstance(caught.value, threefold.WorkerDied)
    assert executor.submit(programs.square, 3).result(SOON_S) == 9
    assert not executor._broken


def test_what_cannot_be_pickled_fails_its_own_call(executor: Any) -> None:
    lock = threading.Lock()
    for call in (executor.submit(programs.square, lock).result, executor.submit(lock.acquire).result):
        with pytest.raises(TypeError):
            call(SOON_S)
    for results in (executor.map(programs.square, [lock]), executor.map(lock.acquire, [1])):
        with pytest.raises(TypeError):
            next(results)
    assert executor.submit(programs.square, 3).result(SOON_S) == 9


def test_a_failing_initializer_breaks_it(make: Any) -> None:
    executor = make(initializer=programs.refuse_to_prepare)
    with pytest.raises(BrokenProcessPool, match="there is no model"):
        executor.submit(programs.square, 1).result(SOON_S)
    with pytest.raises(BrokenProcessPool, match="there is no model"):
        executor.submit(programs.square, 1)
    with pytest.raises(BrokenProcessPool, match="there is no model"):
        executor.map(programs.square, [1])
    assert "there is no model" in str(executor._broken)


def test_an_initializer_prepares_each_process(make: Any) -> None:
    assert make(initializer=programs.keep, initargs=("a",)).submit(programs.kept).result(SOON_S) == ["a"]


def test_calls_have_the_executors_limits(make: Any, tmp_path: Path) -> None:
    executor = make(task_timeout=0.2, task_retries=1)
    assert executor.submit(programs.die_once, str(tmp_path / "a")).result(SOON_S) == "done"
    with pytest.raises(threefold.TaskTimeout, match=r"sleep_long\(\) took longer than 0\.2 s"):
        executor.submit(programs.sleep_long).result(SOON_S)
    with pytest.raises(threefold.TaskTimeout, match=r"took longer than 0\.2 s"):
        next(executor.map(programs.sleep_long, [1]))


def test_calls_that_have_not_begun_can_be_cancelled(make: Any, tmp_path: Path) -> None:
    executor, go = make(1), str(tmp_path / "go")
    running = executor.submit(programs.wait_for, go)
    waiting = [executor.submit(programs.square, number) for number in range(50)]
    last = waiting.pop()
    assert last.cancel()
    assert last.cancel()
    assert last.cancelled()
    assert list(as_completed([last], SOON_S)) == [last]
    programs.touch(go)
    assert running.result(SOON_S) == go
    assert not running.cancel()
    assert [future.result(SOON_S) for future in waiting] == [number**2 for number in range(49)]


def test_shutdown_finishes_the_calls_and_takes_no_more(make: Any) -> None:
    executor = make()
    pending = [executor.submit(programs.square, number) for number in range(50)]
    results = executor.map(programs.square, range(50))
    processes, thread, queue = executor._processes, executor._executor_manager_thread, executor._call_queue
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(programs.square, 1)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.map(programs.square, [1])
    thread.join()
    queue.join_thread()
    assert [future.result(0) for future in pending] == list(results) == [number**2 for number in range(50)]
    assert len(processes) == 0
    executor.shutdown()


def test_shutdown_cancels_what_has_not_begun_where_asked(make: Any, tmp_path: Path) -> None:
    executor, go = make(1), str(tmp_path / "go")
    running = executor.submit(programs.wait_for, go)
    waiting = [executor.submit(programs.square, number) for number in range(50)]
    results = executor.map(programs.square, range(50))
    threading.Timer(0.1, programs.touch, (go,)).start()
    executor.shutdown(cancel_futures=True)
    assert running.result(0) == go
    assert sum(future.cancelled() for future in waiting) > 20
    assert all(future.done() for future in waiting)
    with pytest.raises(concurrent.futures.CancelledError):
        list(results)


def test_an_executor_that_nobody_holds_makes_its_calls() -> None:
    executor = ProcessPoolExecutor(2, mp_context=fork)
    results = executor.map(programs.square, range(20))
    thread, processes = executor._executor_manager_thread, executor._processes
    del executor
    gc.collect()
    thread.join()
    assert not thread.is_alive()
    assert dict(processes) == {}
    assert list(results) == [number**2 for number in range(20)]


@pytest.mark.parametrize("way", ["terminate_workers", "kill_workers"])
def test_workers_are_ended_by_force(make: Any, way: str) -> None:
    executor = make()
    running = executor.submit(programs.sleep_long)
    pids = list(executor._processes)
    getattr(executor, way)()
    with pytest.raises(BrokenProcessPool):
        running.result(SOON_S)
    with pytest.raises(RuntimeError):
        executor.submit(programs.square, 1)
    executor.shutdown()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_forked_processes_are_there_at_once_and_others_on_demand(make: Any, spawning: Any, tmp_path: Path) -> None:
    executor = make(3)
    assert len(executor._processes) == 0
    assert executor._executor_manager_thread is None
    executor.submit(programs.square, 1).result(SOON_S)
    assert len(executor._processes) == 3
    fresh = make(3, mp_context=spawning)
    for number in range(3):
        assert fresh.submit(programs.square, number).result(SOON_S) == number**2
    assert len(fresh._processes) == 1
    go = str(tmp_path / "go")
    waiting = [fresh.submit(programs.wait_for, go) for _ in range(10)]
    assert len(fresh._processes) == 3
    programs.touch(go)
    assert wait(waiting, SOON_S).not_done == set()


def test_processes_are_replaced_after_so_many_calls(make: Any, spawning: Any) -> None:
    executor = make(1, mp_context=spawning, max_tasks_per_child=2)
    assert len({executor.submit(programs.pid).result(SOON_S) for _ in range(4)}) == 2
    with pytest.raises(ValueError, match="incompatible with the 'fork' multiprocessing start method"):
        make(max_tasks_per_child=2)
    for count in (0, -1):
        with pytest.raises(ValueError, match="max_tasks_per_child must be >= 1"):
            make(mp_context=spawning, max_tasks_per_child=count)
    with pytest.raises(TypeError, match="max_tasks_per_child must be an integer"):
        make(mp_context=spawning, max_tasks_per_child="2")
    assert ProcessPoolExecutor(1, max_tasks_per_child=2)._mp_context.get_start_method() == "spawn"


def test_wrong_arguments_are_refused(make: Any) -> None:
    for count in (0, -1):
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            make(count)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        make(initializer=5)
    with pytest.raises(ValueError, match="timeout must be positive"):
        make(task_timeout=-1)
    with pytest.raises(ValueError, match="max_memory_per_worker"):
        make(max_memory_per_worker=0)


def test_in_a_forked_child_it_is_empty_and_works(executor: Any) -> None:
    assert executor.submit(programs.square, 2).result(SOON_S) == 4
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(executor.submit(programs.square, 3).result(SOON_S) != 9)
            executor.shutdown()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert executor.submit(programs.square, 2).result(SOON_S) == 4


def test_at_exit_the_calls_are_made(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import multiprocessing\n"
        "import front_programs as programs\n"
        "from threefold.futures import ProcessPoolExecutor\n"
        "executor = ProcessPoolExecutor(1, multiprocessing.get_context('fork'))\n"
        f"for number in range(20): executor.submit(programs.touch, {str(tmp_path)!r} + f'/{{number}}')\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SOON_S)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert len(list(tmp_path.iterdir())) == 20
    assert time.monotonic() - began < SOON_S


def _give_way_until(path: str, begun: str) -> None:
    """Wait for a file in a process that runs only when nobody else on its processor does."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    Path(begun).touch()
    while not Path(path).exists():
        time.sleep(0.001)


def test_a_call_behind_large_ones_that_were_cancelled_is_made(make: Any, tmp_path: Path) -> None:
    processors = os.sched_getaffinity(0)
    executor = make(1)
    executor.submit(int).result(SOON_S)
    large = bytes(2 << 20)
    try:
        # The parent hears of the first call before the worker has skipped the large ones.
        os.sched_setaffinity(0, {min(processors)})
        for number in range(5):
            go, begun = tmp_path / f"go {number}", tmp_path / f"begun {number}"
            first = executor.submit(_give_way_until, str(go), str(begun))
            cancelled = [executor.submit(len, large) for _ in range(2)]
            last = executor.submit(len, b"last")
            while not begun.exists():
                time.sleep(0.001)
            assert all(future.cancel() for future in cancelled)
            go.touch()
            first.result(SOON_S)
            assert last.result(SOON_S) == 4
    finally:
        os.sched_setaffinity(0, processors)


def test_a_process_that_another_thread_is_starting_is_among_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = ProcessPoolExecutor(2, mp_context=standard.get_context("spawn"))
    executor.submit(programs.square, 1).result()
    supervisor = executor._supervisor
    launch, is_launching, may_go_on = supervisor._launch, threading.Event(), threading.Event()

    def launch_slowly(number: int) -> Any:
        is_launching.set()
        may_go_on.wait(30)
        return launch(number)

    monkeypatch.setattr(supervisor, "_launch", launch_slowly)
    starter = threading.Thread(target=lambda: [executor.submit(time.sleep, 0.2) for _ in range(2)])
    starter.start()
    try:
        assert is_launching.wait(30)
        before = len(supervisor.processes)
        threading.Timer(0.05, may_go_on.set).start()
        assert len(executor._processes) == before + 1
    finally:
        may_go_on.set()
        starter.join()
        executor.shutdown()

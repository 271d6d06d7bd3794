"""`threefold.multiprocessing.Pool` as a program uses it: the standard library's methods, and what is ours beside them."""

import asyncio
import gc
import inspect
import itertools
import multiprocessing as standard
import multiprocessing.pool
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import threefold
from threefold import multiprocessing
from threefold.multiprocessing import pool as ours

sys.path.insert(0, str(Path(__file__).parent))
import front_programs as programs

# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

SOON_S = 20.0
fork = multiprocessing.get_context("fork")


@pytest.fixture
def make() -> Generator[Callable[..., Any]]:
    """Make pools of two forked processes, or of as many as said; they are ended after the test."""
    pools = []

    def make(*arguments: Any, **options: Any) -> Any:
        pools.append(fork.Pool(*(arguments or (2,)), **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.terminate()
        pool.join()


@pytest.fixture
def pool(make: Any) -> Any:
    """Offer a pool of two processes."""
    return make()


def test_every_public_name_of_the_standard_module_is_there() -> None:
    assert ours.__all__ == multiprocessing.pool.__all__
    names = [name for name in vars(standard.pool) if not name.startswith("__")]
    assert [name for name in names if not hasattr(ours, name)] == []
    assert ours.ThreadPool is standard.pool.ThreadPool
    assert ours.RemoteTraceback is standard.pool.RemoteTraceback


@pytest.mark.parametrize("name", ["apply", "apply_async", "map", "map_async", "starmap", "starmap_async", "imap"])
def test_the_standard_arguments_come_first_and_ours_by_name(name: str) -> None:
    theirs = list(inspect.signature(getattr(standard.pool.Pool, name)).parameters.values())
    mine = list(inspect.signature(getattr(ours.Pool, name)).parameters.values())
    theirs = [parameter for parameter in theirs if parameter.name != "buffersize"]
    assert [(p.name, p.default, p.kind) for p in mine[: len(theirs)]] == [(p.name, p.default, p.kind) for p in theirs]
    assert {p.kind for p in mine[len(theirs) :]} == {inspect.Parameter.KEYWORD_ONLY}


def test_calls_and_maps_return_what_the_functions_return(pool: Any) -> None:
    assert isinstance(pool, standard.pool.Pool)
    assert pool.apply(programs.add, (1, 2), {"third": 3}) == 6
    assert pool.apply(programs.add, [1, 2]) == 3
    assert pool.apply_async(programs.square, (5,)).get(SOON_S) == 25
    assert pool.map(programs.square, range(10)) == [number**2 for number in range(10)]
    assert pool.map(programs.square, iter(range(10)), 3) == [number**2 for number in range(10)]
    assert pool.map(programs.square, {3, 4}) == [programs.square(number) for number in {3, 4}]
    assert pool.starmap(programs.add, [(1, 2), [3, 4]]) == [3, 7]
    assert pool.map_async(programs.square, [2]).get(SOON_S) == [4]
    assert pool.starmap_async(programs.add, zip([1, 2], [3, 4], strict=True)).get(SOON_S) == [4, 6]
    assert list(pool.imap(programs.square, range(10), 3)) == [number**2 for number in range(10)]
    assert sorted(pool.imap_unordered(programs.square, range(10), 3)) == [number**2 for number in range(10)]


def test_what_a_call_raises_comes_with_its_traceback(pool: Any) -> None:
    with pytest.raises(KeyError, match="there") as caught:
        pool.apply(programs.fail, ("there",))
    assert isinstance(caught.value.__cause__, standard.pool.RemoteTraceback)
    assert "raise KeyError(what)" in caught.value.__cause__.tb
    with pytest.raises(KeyError):
        pool.map(programs.fail, ["there"] * 3)
    with pytest.raises(KeyError):
        next(pool.imap(programs.fail, ["there"]))


def test_callbacks_are_made_here(pool: Any) -> None:
    heard: list[Any] = []
    results = [
        pool.apply_async(programs.square, (3,), callback=heard.append),
        pool.map_async(programs.square, [1, 2], 1, heard.append),
        pool.apply_async(programs.fail, ("x",), {}, heard.append, lambda error: heard.append(type(error))),
    ]
    for result in results:
        result.wait(SOON_S)
    assert sorted(map(str, heard)) == ["9", "<class 'KeyError'>", "[1, 4]"]


def test_a_callback_may_use_and_end_its_pool(make: Any) -> None:
    pool, heard = make(), []

    def ask_again(value: int) -> None:
        heard.append(pool.apply(programs.square, (value,)))
        pool.terminate()

    pool.apply_async(programs.square, (3,), callback=ask_again).wait(SOON_S)
    pool.join()
    assert heard == [81]


def test_join_waits_for_the_callbacks(make: Any) -> None:
    pool, heard = make(), []
    for number in range(50):
        pool.apply_async(programs.square, (number,), callback=heard.append)
    pool.close()
    pool.join()
    assert sorted(heard) == [number**2 for number in range(50)]


@pytest.mark.parametrize("arguments", [(0,), (-1,), (2, None, (), 0), (2, None, (), 0.5)])
def test_wrong_sizes_are_refused_in_the_standard_words(arguments: Any) -> None:
    with pytest.raises(ValueError, match="must be") as ours_raised:
        fork.Pool(*arguments)
    with pytest.raises(ValueError, match="must be") as theirs_raised:
        standard.get_context("fork").Pool(*arguments)
    assert str(ours_raised.value) == str(theirs_raised.value)


def test_wrong_options_are_refused(pool: Any) -> None:
    with pytest.raises(TypeError, match="initializer must be a callable"):
        fork.Pool(1, 5)
    for size in (0, -5, 1.5, "1"):
        with pytest.raises(ValueError, match="max_memory_per_worker"):
            fork.Pool(1, max_memory_per_worker=size)
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        fork.Pool(1, speed=5)
    with pytest.raises(ValueError, match="backend must be one of 'local', 'ray', 'dask', not 'slurm'"):
        multiprocessing.Pool(1, backend="slurm")
    for call in (pool.map, pool.imap, pool.imap_unordered, pool.map_async, pool.starmap):
        with pytest.raises(ValueError, match="Chunksize must be 1"):
            call(programs.square, [1], chunksize=0)
        with pytest.raises(ValueError, match="timeout must be positive"):
            call(programs.square, [1], timeout=0)
        with pytest.raises(ValueError, match="retries must not be negative"):
            call(programs.square, [1], retries=-1)
    with pytest.raises(TypeError, match="timeout must be a number"):
        pool.apply(programs.square, (1,), timeout="1")


def test_a_closed_pool_finishes_and_takes_no_more(make: Any) -> None:
    pool = make()
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    result = pool.map_async(programs.square, range(100), 1)
    stream = pool.imap(programs.square, range(100))
    pool.close()
    pool.close()
    for call in (pool.apply, pool.apply_async, pool.map, pool.imap, pool.imap_unordered, pool.starmap):
        with pytest.raises(ValueError, match="Pool not running"):
            call(programs.square, [1])
    pool.join()
    assert sum(result.get(0)) == sum(stream) == sum(number**2 for number in range(100))
    assert pool._cache == {}
    assert repr(pool) == "<threefold.multiprocessing.pool.Pool state=CLOSE pool_size=0>"


def test_a_terminated_pool_tells_those_who_wait(make: Any) -> None:
    pool = make()
    result, stream = pool.apply_async(programs.sleep_long), pool.imap(programs.sleep_long, range(5))
    pool.terminate()
    pool.terminate()
    pool.join()
    assert pool._pool == []
    for ask in (result.get, stream.__next__):
        with pytest.raises(multiprocessing.PoolTerminated):
            ask()
    assert pool._cache == {}


def test_a_with_block_ends_its_pool(make: Any) -> None:
    with make() as pool:
        processes = pool._pool
        pool.apply_async(programs.sleep_long)
        assert len(processes) == 2
        pids = [process.pid for process in processes]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(ValueError, match="Pool not running"), pool:
        pass


def test_a_pool_that_is_forgotten_is_reported_and_ended() -> None:
    pool = fork.Pool(1)
    (process,) = pool._pool
    pid = process.pid
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        del pool
        gc.collect()
    assert [str(warning.message) for warning in caught] == [
        "unclosed running multiprocessing pool <threefold.multiprocessing.pool.Pool state=RUN pool_size=1>"
    ]
    # A message holds whom it is about.
    caught.clear()
    process_is_there = Path(f"/proc/{pid}")
    end = time.monotonic() + SOON_S
    while process_is_there.exists() and time.monotonic() < end:
        time.sleep(0.005)
    assert not process_is_there.exists()


def test_a_pool_lives_until_its_results_are_there(tmp_path: Path) -> None:
    pool = fork.Pool(1)
    forgotten = weakref.ref(pool)
    result = pool.apply_async(programs.wait_for, (str(tmp_path / "go"),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del pool
        gc.collect()
        assert forgotten() is not None
        programs.touch(str(tmp_path / "go"))
        assert result.get(SOON_S) == str(tmp_path / "go")
        end = time.monotonic() + SOON_S
        while forgotten() is not None and time.monotonic() < end:
            gc.collect()
    assert forgotten() is None


def test_a_pool_cannot_be_pickled_nor_used_by_a_child(pool: Any) -> None:
    with pytest.raises(NotImplementedError, match="cannot be passed between processes"):
        pickle.dumps(pool)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pool.apply(programs.square, (1,))
        except ValueError as error:
            os.write(writer, str(error).encode())
        pool.close()
        pool.terminate()
        pool.join()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.close(writer)
    assert os.read(reader, 100) == b"Pool not running"
    os.close(reader)
    assert pool.apply(programs.square, (3,)) == 9


def test_an_initializer_prepares_each_process(make: Any) -> None:
    assert make(1, programs.keep, ("a", 5)).apply(programs.kept) == ["a", 5]


def test_a_subclass_may_make_the_processes() -> None:
    made = []

    class Own(ours.Pool):
        @staticmethod
        def Process(ctx: Any, *arguments: Any, **keywords: Any) -> Any:  # noqa: N802
            made.append(ctx.Process(*arguments, **keywords))
            return made[-1]

    with Own(2, context=fork) as pool:
        assert pool.apply(programs.pid) in {process.pid for process in made}
        assert len(made) == 2


def test_a_worker_may_have_a_pool(pool: Any) -> None:
    assert pool.map(programs.nested, [2, 3]) == [[0, 1], [0, 1, 4]]


def test_processes_are_replaced_after_so_many_calls(make: Any) -> None:
    pool = make(1, maxtasksperchild=2)
    pids = [pool.apply(programs.pid) for _ in range(6)]
    assert len(set(pids)) == 3


def test_a_death_costs_one_call(pool: Any) -> None:
    with pytest.raises(multiprocessing.WorkerDied, match=r"died \(exit code 7\) while it ran exit_for_three\(3\)"):
        pool.map(programs.exit_for_three, range(8), 1)
    results, errors = [], []
    stream = pool.imap(programs.exit_for_three, range(8))
    while len(results) + len(errors) < 8:
        try:
            results.append(next(stream))
        except threefold.Error as error:
            errors.append(error)
    assert results == [0, 1, 2, 4, 5, 6, 7]
    assert [(type(error), error.exitcode) for error in errors] == [(multiprocessing.WorkerDied, 7)]


def test_a_call_that_dies_is_made_again_where_asked(pool: Any, tmp_path: Path) -> None:
    assert pool.apply(programs.die_once, (str(tmp_path / "a"),), retries=1) == "done"
    assert pool.map(programs.die_once, [str(tmp_path / "b")], retries=1) == ["done"]


def test_a_call_that_takes_too_long_is_ended_and_named(pool: Any) -> None:
    with pytest.raises(multiprocessing.TaskTimeout) as caught:
        pool.apply(programs.sleep_long, timeout=0.1)
    assert (caught.value.task, caught.value.limit) == ("sleep_long()", 0.1)
    assert "time.sleep(60)" in str(caught.value)
    with pytest.raises(multiprocessing.TaskTimeout, match=r"took longer than 0\.1 s"):
        pool.map(programs.sleep_long, [1], timeout=0.1)
    with pytest.raises(multiprocessing.TaskTimeout, match=r"took longer than 0\.1 s"):
        next(pool.imap(programs.sleep_long, [1], timeout=0.1))
    with pytest.raises(multiprocessing.TaskTimeout) as caught:
        pool.starmap(time.sleep, [(60,)], timeout=0.25)
    assert (caught.value.task, caught.value.limit) == ("sleep(60)", 0.25)


def test_a_failing_initializer_is_reported_to_all_calls(make: Any) -> None:
    pool = make(2, programs.refuse_to_prepare)
    for call in (
        lambda: pool.apply(programs.square, (1,)),
        lambda: pool.map(programs.square, [1]),
        lambda: list(pool.imap(programs.square, [1])),
    ):
        with pytest.raises(multiprocessing.InitializerFailed, match="LookupError: there is no model") as caught:
            call()
        assert "refuse_to_prepare" in str(caught.value.__cause__)


def test_a_source_without_an_end_is_read_a_little_ahead(pool: Any) -> None:
    read = itertools.count()
    results = pool.imap(programs.square, read)
    assert list(itertools.islice(results, 20)) == [number**2 for number in range(20)]
    assert next(read) <= 20 + 2 * 2 + 1


def test_a_source_that_raises_is_reported_in_its_place(pool: Any) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    results = pool.imap(programs.square, source())
    assert next(results) == 1
    for raising in (results, pool.imap(programs.square, 5)):
        with pytest.raises((LookupError, TypeError)):
            next(raising)
    with pytest.raises(LookupError):
        pool.map(programs.square, source())


class Unreliable:
    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[int]:
        raise LookupError("no more")


def test_a_collection_that_cannot_be_read_fails_its_map(pool: Any) -> None:
    result = pool.map_async(programs.square, Unreliable())
    with pytest.raises(LookupError):
        result.get(SOON_S)


def test_what_cannot_be_pickled_fails_its_own_call(pool: Any) -> None:
    lock = threading.Lock()
    for call in (
        lambda: pool.apply(programs.square, (lock,)),
        lambda: pool.map(programs.square, [lock]),
        lambda: next(pool.imap(programs.square, [lock])),
        lambda: pool.map(lock.acquire, [1]),
        lambda: next(pool.imap(lock.acquire, [1])),
        lambda: pool.apply(programs.square, 5),
    ):
        with pytest.raises(TypeError):
            call()
    assert pool.apply(programs.square, (3,)) == 9


def test_a_stream_that_is_half_read_hinders_no_end(make: Any) -> None:
    pool = make()
    stream = pool.imap(programs.square, range(1000))
    assert next(stream) == 0
    pool.close()
    pool.join()
    assert len(list(stream)) == 999


def test_what_nobody_reads_is_done_all_the_same(make: Any, tmp_path: Path) -> None:
    pool = make()
    pool.imap_unordered(programs.touch, [str(tmp_path / str(number)) for number in range(200)])
    pool.close()
    pool.join()
    assert len(list(tmp_path.iterdir())) == 200


def test_tasks_await_results_and_streams(pool: Any) -> None:
    async def main() -> Any:
        with pytest.raises(KeyError):
            await pool.apply_async(programs.fail, ("x",))
        squares = await asyncio.gather(*(pool.apply_async(programs.square, (number,)) for number in range(20)))
        streamed = [number async for number in pool.imap_async(programs.square, range(20), 3)]
        unordered = [number async for number in pool.imap_unordered_async(programs.square, iter(range(20)))]
        return squares, streamed, sorted(unordered), await pool.map_async(programs.square, range(20))

    assert asyncio.run(main()) == ([number**2 for number in range(20)],) * 4


def test_awaiting_blocks_no_other_task(pool: Any, tmp_path: Path) -> None:
    async def main() -> str:
        result = asyncio.ensure_future(pool.apply_async(programs.wait_for, (str(tmp_path / "go"),)))
        await asyncio.sleep(0)
        programs.touch(str(tmp_path / "go"))
        return await result

    assert asyncio.run(main()) == str(tmp_path / "go")


def test_a_pool_says_what_it_promises(pool: Any) -> None:
    assert "at most once" in pool.guarantees


def test_ctrl_c_ends_a_wait_at_once(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, threading\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import front_programs as programs\n"
        "from threefold import multiprocessing\n"
        "pool = multiprocessing.get_context('fork').Pool(1)\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    with pool: pool.map(programs.sleep_long, [1])\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SOON_S)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
    assert time.monotonic() - began < SOON_S / 2


def test_a_program_that_forgets_its_pool_ends_quietly() -> None:
    program = (
        "from threefold import multiprocessing\n"
        "pool = multiprocessing.get_context('fork').Pool(2)\n"
        "print(pool.map(abs, [-1, 2]))\n"
        "pool.map_async(abs, range(10**6), 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SOON_S)
    assert (done.stdout, done.stderr, done.returncode) == ("[1, 2]\n", "", 0)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="subinterpreters have this way in from Python 3.13 on")
def test_a_subinterpreter_is_refused_in_clear_words() -> None:
    import _interpreters

    interpreter = _interpreters.create()
    try:
        # What an interpreter has printed cannot be caught from here, but what it raises can.
        program = "from threefold import multiprocessing\nmultiprocessing.Pool(1)"
        failure = _interpreters.exec(interpreter, program)
    finally:
        _interpreters.destroy(interpreter)
    assert failure is not None
    assert "subinterpreter" in str(failure.msg)


def test_progress_is_written_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    program = (
        "from threefold import multiprocessing\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    pool.map(abs, range(50), 1, progress=True)\n"
        "    list(pool.imap(abs, iter(range(30)), progress=True))\n"
    )
    master, terminal = os.openpty()
    subprocess.run([sys.executable, "-c", program], stderr=terminal, timeout=SOON_S, check=True)
    os.close(terminal)
    text = os.read(master, 10_000).decode()
    os.close(master)
    assert "\r50/50 items, " in text
    assert "\r30 items, " in text
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SOON_S)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)

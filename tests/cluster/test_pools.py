"""One pool on three backends: the same results everywhere, and every option of the table works or is refused by name."""

import asyncio
import itertools
import multiprocessing

import cluster_tasks as tasks
import pytest
from cluster_running import is_installed, require

import threefold.multiprocessing
from threefold.cluster import Capabilities, UnsupportedOnBackend
from threefold.cluster.capabilities import BACKENDS, FEATURES
from threefold.multiprocessing.pool import Pool

pytestmark = pytest.mark.timeout(120)

# What each option of the table is tried with, and how its effect is seen.
OPTIONS = {feature.option: name for name, feature in FEATURES.items() if feature.option}


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, opened):
    """The name of each backend; the clusters are those of the session where they can be shared."""
    require(request.param)
    if request.param == "ray" and "ray" not in opened:
        from threefold.cluster import open_backend

        opened["ray"] = open_backend("ray", processes=2)
    return request.param


@pytest.fixture(scope="module")
def pool(backend):
    with Pool(2, backend=backend) as pool:
        yield pool


def test_maps_give_the_results_in_order(pool):
    assert pool.map(tasks.square, range(20)) == [number * number for number in range(20)]
    assert pool.map(tasks.square, range(7), chunksize=3) == [number * number for number in range(7)]
    assert pool.map(tasks.square, []) == []
    assert pool.starmap(tasks.add, [(1, 2), (3, 4), (5,)], chunksize=2) == [3, 7, 5]


def test_a_call_gets_its_arguments(pool):
    assert pool.apply(tasks.add, (1, 2), {"third": 3}) == 6
    assert pool.apply_async(tasks.add, (1,)).get(60) == 1


def test_streams_come_in_their_order_and_completely(pool):
    assert list(pool.imap(tasks.square, range(10), chunksize=3)) == [number * number for number in range(10)]
    assert sorted(pool.imap_unordered(tasks.square, iter(range(10)))) == [number * number for number in range(10)]
    assert list(pool.imap(tasks.square, [])) == []


def test_a_source_without_end_is_read_as_far_as_results_are_taken(pool):
    taken = []

    def numbers():
        for number in itertools.count():
            taken.append(number)
            yield number

    results = pool.imap(tasks.square, numbers())
    assert list(itertools.islice(results, 10)) == [number * number for number in range(10)]
    assert len(taken) <= 10 + 2 * 2 + 2
    results.close()


def test_a_source_that_raises_ends_the_stream_with_its_exception(pool):
    def numbers():
        yield 1
        raise LookupError("no more")

    results = pool.imap(tasks.square, numbers())
    assert next(results) == 1
    with pytest.raises(LookupError, match="no more"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_an_exception_has_the_workers_traceback(pool):
    with pytest.raises(ValueError, match="three") as caught:
        pool.map(tasks.square_unless_3, range(6), chunksize=1)
    assert "in square_unless_3" in str(caught.value.__cause__)


def test_a_stream_goes_on_after_an_exception(pool):
    results = pool.imap(tasks.square_unless_3, range(5))
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert list(results) == [16]


def test_callbacks_get_the_result_or_the_exception(pool):
    got = []
    results = [
        pool.apply_async(tasks.square_unless_3, (number,), callback=got.append, error_callback=got.append)
        for number in (2, 3)
    ]
    for result in results:
        result.wait(60)
    assert sorted(map(repr, got)) == ["4", "ValueError('three')"]


def test_results_can_be_awaited(pool):
    async def main():
        squares = [square async for square in pool.imap_async(tasks.square, range(3))]
        return await pool.apply_async(tasks.square, (5,)), squares

    assert asyncio.run(main()) == (25, [0, 1, 4])


def test_only_the_task_whose_worker_died_fails(pool):
    results = [pool.apply_async(tasks.exit_unless_even, (number,)) for number in (2, 3, 4, 6)]
    for result in results:
        result.wait(60)
    assert [result.successful() for result in results] == [True, False, True, True]
    with pytest.raises(threefold.WorkerDied, match=r"exit_unless_even\(3\)"):
        results[1].get()


def test_what_cannot_be_pickled_fails_its_task_only(pool):
    with pytest.raises(TypeError, match="this stays here"):
        pool.map(tasks.square, [1, tasks.ResultThatCannotBePickled()], chunksize=1)
    with pytest.raises(Exception, match="this stays here"):
        pool.apply(tasks.return_what_cannot_be_pickled, (2,))
    assert pool.apply(tasks.square, (3,)) == 9


def test_an_exit_in_a_task_fails_the_task_as_a_death(pool):
    with pytest.raises(threefold.WorkerDied):
        pool.apply(tasks.exit_with_3, (0,))
    assert pool.apply(tasks.square, (3,)) == 9


def test_a_closed_pool_finishes_what_it_has_and_takes_no_more(backend):
    pool = Pool(2, backend=backend)
    result = pool.map_async(tasks.square, range(6), chunksize=1)
    pool.close()
    with pytest.raises(ValueError, match="Pool not running"):
        pool.apply(tasks.square, (1,))
    pool.join()
    assert result.get(0) == [0, 1, 4, 9, 16, 25]


def test_a_terminated_pool_gives_up_what_runs(backend, tmp_path):
    pool = Pool(1, backend=backend)
    results = [
        pool.apply_async(tasks.run_until, ((str(tmp_path / f"{number}"), str(tmp_path / "never")),))
        for number in range(3)
    ]
    pool.terminate()
    pool.join()
    for result in results:
        assert not result.successful()


def test_the_guarantee_is_stated(pool):
    assert "at most once" in pool.guarantees


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_works_or_is_refused_by_name(backend, option, tmp_path):
    if Capabilities(backend).of(OPTIONS[option]).is_there:
        USES[option](backend, tmp_path)
    else:
        with pytest.raises(UnsupportedOnBackend, match=f"{option} is not available on {backend}: "):
            USES[option](backend, tmp_path)


def use_initializer(backend, folder):
    with Pool(2, tasks.set_state, (str(folder), "prepared"), backend=backend) as pool:
        assert pool.map(tasks.see_state, range(4), chunksize=1) == [("prepared", number) for number in range(4)]


def use_retries(backend, folder):
    with Pool(2, backend=backend) as pool:
        assert pool.apply(tasks.die_once, (str(folder / "died"),), retries=1) == "alive"


def use_maxtasksperchild(backend, _folder):
    with Pool(2, maxtasksperchild=2, backend=backend) as pool:
        numbers = pool.map(tasks.process_number, range(8), chunksize=1)
    assert max(numbers.count(number) for number in numbers) == 2


def use_timeout(backend, _folder):
    with Pool(2, backend=backend) as pool:
        assert pool.apply(tasks.square, (3,), timeout=60) == 9
        with pytest.raises(threefold.TaskTimeout, match=r"sleep_for\(60\) took longer than 0.2 s"):
            pool.apply(tasks.sleep_for, (60,), timeout=0.2)
        assert pool.apply(tasks.square, (3,)) == 9


def use_memory_limit(backend, _folder):
    with Pool(2, max_memory_per_worker=1 << 40, backend=backend) as pool:
        assert pool.apply(tasks.square, (3,)) == 9


def use_context(backend, _folder):
    with Pool(2, context=multiprocessing.get_context("fork"), backend=backend) as pool:
        assert pool.apply(tasks.square, (3,)) == 9


USES = {
    "initializer": use_initializer,
    "retries": use_retries,
    "maxtasksperchild": use_maxtasksperchild,
    "timeout": use_timeout,
    "max_memory_per_worker": use_memory_limit,
    "context": use_context,
}


def test_lambdas_travel(pool, backend):
    if backend == "local" and not is_installed("cloudpickle"):
        pytest.skip("cloudpickle is not installed")
    assert pool.map(lambda number: number + 1, range(3)) == [1, 2, 3]


def test_a_lock_as_an_argument_is_refused_on_a_cluster(pool, backend):
    if backend == "local":
        pytest.skip("the limit of a cluster")
    with pytest.raises(UnsupportedOnBackend, match=f"passing a Lock to tasks is not available on {backend}"):
        pool.apply(tasks.acquire, (threefold.multiprocessing.Lock(),))


def test_what_no_backend_knows_is_no_option(backend):
    with pytest.raises(TypeError, match="no_such_option"):
        Pool(2, no_such_option=1, backend=backend)

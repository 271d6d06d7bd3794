"""The supervisor of a cluster's pool without a cluster: tasks run in threads of this process, deaths are played."""

import itertools
import pickle
import threading

import pytest
from cluster_tasks import add, raise_with_note, square

import threefold
from threefold._pool.errors import PoolTerminated, TaskCancelled
from threefold.cluster import Capabilities, TaskFailure
from threefold.cluster._arrivals import Arrivals
from threefold.cluster._run_chunk import run_chunk
from threefold.multiprocessing.pool import Pool
from threefold.threading import Event


class PlainPickler(pickle.Pickler):
    def reducer_override(self, item):
        return NotImplemented


class Handle:
    start = None
    result = None


class Threads:
    """A backend whose workers are threads; a death comes from a list, a task that never ends from a function."""

    capabilities = Capabilities("ray")
    guarantees = "at most once"
    pickler = PlainPickler

    def __init__(self):
        self.arrivals = Arrivals()
        self.wake = self.arrivals.wake
        self.deaths = []
        self.error = None
        self.is_closed = False
        self.released = []
        self.submitted = 0

    def capacity(self):
        return 2

    def backlog(self):
        return 2

    def put_shared(self, blob):
        return blob

    def release(self, shared):
        self.released.append(shared)

    def submit(self, shared, chunk, options):
        self.submitted += 1
        handle = Handle()
        death = self.deaths.pop(0) if self.deaths else None
        threading.Thread(target=self.run, args=(handle, death, shared, chunk, options), daemon=True).start()
        return handle

    def run(self, handle, death, shared, chunk, options):
        if death is not None:
            self.end(handle, death)
        else:
            self.end(handle, run_chunk(shared, chunk, options.pool, options.key, options.mode))

    def end(self, handle, result):
        if handle.result is None:
            handle.result = result
            self.arrivals.add(handle)

    def wait(self, handles, timeout):
        if self.error is not None:
            raise self.error
        return self.arrivals.wait(handles, timeout)

    def result(self, handle):
        return handle.result

    def cancel(self, handle, kill):
        self.end(handle, TaskFailure("cancelled", "ended"))

    def close(self):
        self.is_closed = True


DEATH = TaskFailure("worker_died", "it was played")
begun = Event()
never = Event()


def wait_for_ever(_item):
    begun.set()
    never.wait(60)


@pytest.fixture
def backend(monkeypatch):
    threads = Threads()
    monkeypatch.setattr("threefold.cluster.open_backend", lambda name, **options: threads)
    begun.clear()
    never.clear()
    yield threads
    never.set()


@pytest.fixture
def pool(backend):
    with Pool(2, backend="ray") as pool:
        yield pool
    assert backend.is_closed


def test_all_kinds_of_calls_give_their_results(pool):
    assert pool.map(square, range(10), chunksize=3) == [number * number for number in range(10)]
    assert pool.starmap(add, [(1, 2), (3,)]) == [3, 3]
    assert pool.apply(add, (1,), {"third": 2}) == 3
    assert list(pool.imap(square, iter(range(5)), chunksize=2)) == [0, 1, 4, 9, 16]
    assert sorted(pool.imap_unordered(square, range(5))) == [0, 1, 4, 9, 16]


def test_a_functions_blob_is_released_when_its_map_is_over(pool, backend):
    pool.map(square, range(3))
    pool.apply(square, (1,))
    assert len(backend.released) == 1


def test_the_first_exception_of_a_map_is_raised_when_all_is_over(pool):
    with pytest.raises(ValueError, match="bad"):
        pool.map(raise_with_note, range(4), chunksize=1)


def test_a_death_fails_its_call_and_says_what_it_was(pool, backend):
    backend.deaths.append(DEATH)
    with pytest.raises(threefold.WorkerDied, match=r"died while it ran square\(3\): it was played"):
        pool.apply(square, (3,))
    assert pool.apply(square, (3,)) == 9


def test_a_call_is_made_again_as_often_as_it_may(pool, backend):
    backend.deaths += [DEATH, DEATH]
    assert pool.apply(square, (3,), retries=2) == 9
    assert backend.submitted == 3
    backend.deaths += [DEATH, DEATH]
    with pytest.raises(threefold.WorkerDied):
        pool.apply(square, (3,), retries=1)


def test_the_end_of_memory_is_said(pool, backend):
    backend.deaths.append(TaskFailure("out_of_memory", "full"))
    with pytest.raises(threefold.WorkerDied, match="since memory ran out") as caught:
        pool.apply(square, (3,))
    assert caught.value.is_out_of_memory


def test_what_the_engine_cannot_run_fails_its_call(pool, backend):
    backend.deaths.append(TaskFailure("raised", "no such thing"))
    with pytest.raises(threefold.Error, match=r"ray could not run square\(3\): no such thing"):
        pool.apply(square, (3,))


def test_reading_ahead_is_bounded(pool):
    taken = []
    results = pool.imap(square, (taken.append(number) or number for number in itertools.count()))
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(taken) <= 5 + 4 + 1
    results.close()


def test_joining_with_a_half_read_stream_ends(backend):
    pool = Pool(2, backend="ray")
    results = pool.imap(square, itertools.count())
    assert next(results) == 0
    pool.close()
    pool.join()


def test_a_terminated_pool_fails_what_is_not_over(backend):
    pool = Pool(2, backend="ray")
    results = [pool.map_async(wait_for_ever, range(6), chunksize=1), pool.apply_async(wait_for_ever, (0,))]
    stream = pool.imap(wait_for_ever, itertools.count())
    pool.terminate()
    pool.join()
    for result in results:
        with pytest.raises(PoolTerminated):
            result.get(10)
    with pytest.raises(PoolTerminated):
        next(stream)


def test_an_engine_that_fails_altogether_leaves_nobody_waiting(pool, backend):
    result = pool.map_async(wait_for_ever, range(6), chunksize=1)
    backend.error = OSError("the network is gone")
    backend.wake()
    with pytest.raises(threefold.Error, match="OSError: the network is gone"):
        result.get(10)
    with pytest.raises(threefold.Error, match="the network is gone"):
        pool.apply(square, (3,))


def test_a_cancelled_task_that_runs_is_ended(pool, backend):
    supervisor = pool._supervisor
    result = pool.apply_async(wait_for_ever, (0,))
    assert begun.wait(10)
    (job,) = supervisor._ledger.jobs
    assert not supervisor.cancel(job)
    assert supervisor.cancel(job, kill=True)
    with pytest.raises(TaskCancelled):
        result.get(10)

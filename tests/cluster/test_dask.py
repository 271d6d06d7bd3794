"""What Dask does that Ray does not, and whose cluster it is."""

import contextlib
import warnings
from pathlib import Path

import pytest
from cluster_running import Runner, output_of, require
from cluster_tasks import exit_unless_even, process_number, see_state, set_state, square

from threefold.cluster import open_backend
from threefold.cluster._run_chunk import BEGUN_BEFORE, run_chunk

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def distributed():
    require("dask")
    import distributed

    return distributed


@contextlib.contextmanager
def cluster(distributed, **options):
    """A cluster that somebody else has started, in this process."""
    settings = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**(settings | options)) as started:
        yield started


def test_a_foreign_cluster_that_begins_tasks_again_is_warned_of_and_left_alone(distributed):
    with cluster(distributed) as started:
        with pytest.warns(RuntimeWarning, match=r"at least once: .* up to 4 times .*allowed-failures is 3"):
            backend = open_backend("dask", address=started.scheduler_address)
        assert backend.guarantees.startswith("at least once")
        assert [outcome.results for outcome in Runner("dask", backend).run(square, [3])] == [[9]]
        backend.close()
        assert started.status.name == "running"


def test_a_foreign_cluster_that_begins_no_task_again_is_taken_at_its_word(distributed):
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), cluster(distributed) as started:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            backend = open_backend("dask", address=started.scheduler_address)
        with contextlib.closing(backend):
            assert backend.guarantees.startswith("at most once")
            assert "lost with its worker" in backend.guarantees


def test_workers_with_several_threads_are_warned_of_and_initialize_once(distributed, tmp_path):
    initializer = {"initializer": set_state, "initargs": (str(tmp_path), 1)}
    with (
        cluster(distributed, threads_per_worker=3) as started,
        distributed.Client(started, set_as_default=False) as client,
    ):
        with pytest.warns(RuntimeWarning) as caught:
            backend = open_backend("dask", client=client)
        with contextlib.closing(backend):
            assert backend.capacity() == 3
            outcomes = Runner("dask", backend).run(see_state, range(9), **initializer)
        assert client.status == "running"
    assert any("several threads" in str(warning.message) for warning in caught)
    assert [outcome.results for outcome in outcomes] == [[(1, number)] for number in range(9)]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cluster_of_the_current_client_is_used(distributed):
    with cluster(distributed) as started, distributed.Client(started) as client:
        with pytest.warns(RuntimeWarning, match="at least once"):
            backend = open_backend("dask")
        with contextlib.closing(backend):
            (outcome,) = Runner("dask", backend).run(process_number, [0])
        assert client.status == "running"
    assert outcome.kind == "returned"


def test_a_pool_of_fewer_processes_than_the_cluster_has_leaves_room_for_others(distributed):
    with cluster(distributed, n_workers=3) as started, pytest.warns(RuntimeWarning, match="at least once"):
        with contextlib.closing(open_backend("dask", address=started.scheduler_address, processes=2)) as backend:
            assert (backend.capacity(), backend.backlog()) == (2, 0)


def test_closing_ends_running_tasks_and_leaves_no_process_and_no_file(distributed, tmp_path):
    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent)]!r}
import tempfile
tempfile.tempdir = {str(tmp_path)!r}
import cluster_running, cluster_tasks
from threefold.cluster import open_backend
from threefold.cluster._run_chunk import BEGUN_BEFORE, run_chunk

if __name__ == "__main__":
    before = cluster_running.children()
    backend = open_backend("dask", processes=2)
    runner = cluster_running.Runner("dask", backend)
    started = {str(tmp_path / "started")!r}
    runner.submit_all(cluster_tasks.run_until, [(started, {str(tmp_path / "never")!r})])
    cluster_running.wait_until(lambda: cluster_running.Path(started).exists())
    backend.close()
    backend.close()
    cluster_running.wait_until(lambda: not cluster_running.children() - before)
    print("nothing left")
"""
    assert output_of(program, tmp_path) == "nothing left\n"
    assert not list(tmp_path.glob("threefold-dask-*"))


def test_a_cluster_of_ours_keeps_its_workers_however_soon_dask_would_give_them_up(distributed):
    import dask

    import threefold
    from threefold.multiprocessing import Pool

    # Looked at at once, each worker that has died is missing: its nanny has only begun to start the next one.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}),
        Pool(2, backend="dask") as pool,
    ):
        for _ in range(3):
            with pytest.raises(threefold.WorkerDied):
                pool.apply(exit_unless_even, (3,))
        results = [pool.apply_async(exit_unless_even, (number,)) for number in (2, 4, 6)]
        assert [result.get(60) for result in results] == [exit_unless_even(number) for number in (2, 4, 6)]


def test_a_chunk_that_is_over_is_not_begun_again_while_the_scheduler_may_still_want_it(distributed):
    # The scheduler hears later than we that nobody wants a result; if its worker dies meanwhile, it asks another for it.
    with contextlib.closing(open_backend("dask", processes=1)) as backend:
        runner = Runner("dask", backend)
        (handle,) = runner.submit_all(square, [3])
        assert [outcome.results for outcome in runner.outcomes([handle])] == [[9]]
        assert Path(handle.marker).exists()
        assert run_chunk(b"", b"", runner.pool, 0, "map", handle.marker) == BEGUN_BEFORE

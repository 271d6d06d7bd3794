"""What Ray does that Dask does not, and whose cluster it is."""

import contextlib
from pathlib import Path

import pytest
from cluster_running import Runner, is_alive, output_of, require, wait_until
from cluster_tasks import process_number, run_until, square

from threefold.cluster import UnsupportedOnBackend, open_backend

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def ray(opened):
    require("ray")
    if "ray" not in opened:
        opened["ray"] = open_backend("ray", processes=2)
    import ray

    return ray


@pytest.fixture
def runner(ray, opened):
    return Runner("ray", opened["ray"])


def test_a_task_can_tell_its_start_and_be_killed(runner, tmp_path):
    started = tmp_path / "started"
    (handle,) = runner.submit_all(run_until, [(str(started), str(tmp_path / "never"))], tells_start=True)
    while handle.start is None:
        assert runner.backend.wait([handle], 60) == []
    wait_until(lambda: started.exists() and started.read_text())
    assert handle.start.pid == int(started.read_text())
    runner.backend.cancel(handle, kill=True)
    (outcome,) = runner.outcomes([handle])
    assert outcome.kind == "cancelled"
    assert outcome.start == handle.start
    wait_until(lambda: not is_alive(handle.start.pid))


def test_a_task_that_tells_its_start_returns_its_results(runner):
    outcomes = runner.run(square, range(5), tells_start=True)
    assert [outcome.results for outcome in outcomes] == [[0], [1], [4], [9], [16]]


def test_a_task_that_waits_for_room_has_not_begun_and_can_be_cancelled(runner, tmp_path):
    names = [(str(tmp_path / f"started {number}"), str(tmp_path / "end")) for number in range(2)]
    busy = runner.submit_all(run_until, names, tells_start=True)
    while not all(handle.start for handle in busy):
        assert runner.backend.wait(busy, 60) == []
    (waiting,) = runner.submit_all(square, [1], tells_start=True)
    assert runner.backend.wait([waiting], 0.1) == []
    assert waiting.start is None
    runner.backend.cancel(waiting, kill=True)
    (outcome,) = runner.outcomes([waiting])
    assert (outcome.kind, outcome.start) == ("cancelled", None)
    (tmp_path / "end").touch()
    assert [outcome.kind for outcome in runner.outcomes(busy)] == ["returned"] * 2


def test_a_worker_is_replaced_after_as_many_chunks_as_asked_for(ray):
    with contextlib.closing(open_backend("ray", processes=2, maxtasksperchild=2)) as backend:
        outcomes = Runner("ray", backend).run(process_number, range(8))
    numbers = [outcome.results[0] for outcome in outcomes]
    assert max(numbers.count(number) for number in numbers) == 2


def test_reserved_memory_that_no_node_has_is_never_given(ray, tmp_path):
    with contextlib.closing(open_backend("ray", processes=2, memory=1e13)) as backend:
        runner = Runner("ray", backend)
        (handle,) = runner.submit_all(square, [1])
        assert backend.wait([handle], 0.5) == []


def test_a_cluster_that_was_there_before_is_used_and_left_alone(ray):
    own = open_backend("ray", processes=1)
    assert own.capacity() == 1
    assert own.backlog() == 0
    own.close()
    own.close()
    assert ray.is_initialized()


def test_another_address_than_that_in_use_is_refused(ray):
    with pytest.raises(ValueError, match=r"uses the Ray cluster at .* already"):
        open_backend("ray", address="192.0.2.1:6379")


def test_the_ray_client_is_refused(ray):
    with pytest.raises(UnsupportedOnBackend, match="ray://"):
        open_backend("ray", address="ray://192.0.2.1:10001")


def test_each_failure_of_the_engine_has_its_kind(ray):
    from threefold.cluster.ray import _failure

    kinds = {
        "cancelled": ray.exceptions.TaskCancelledError(),
        "out_of_memory": ray.exceptions.OutOfMemoryError("full"),
        "worker_died": ray.exceptions.NodeDiedError("gone"),
        "raised": ray.exceptions.RaySystemError("odd"),
    }
    assert {_failure(error, None).kind: error for error in kinds.values()} == kinds


def test_a_pool_whose_program_disconnects_from_ray_fails_its_tasks_and_hangs_nobody(tmp_path):
    require("ray")
    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent)]!r}
import cluster_running, cluster_tasks, ray
from threefold.multiprocessing.pool import Pool

if __name__ == "__main__":
    pool = Pool(1, backend="ray")
    started = {str(tmp_path / "started")!r}
    result = pool.apply_async(cluster_tasks.run_until, ((started, {str(tmp_path / "never")!r}),))
    cluster_running.wait_until(lambda: cluster_running.Path(started).exists())
    ray.shutdown()
    for wait in (result.get, lambda: pool.apply(cluster_tasks.square, (3,))):
        try:
            wait()
        except Exception as error:
            print("has disconnected from Ray" in str(error), ray.is_initialized())
    pool.terminate()
    pool.join()
"""
    assert output_of(program, tmp_path) == "True False\nTrue False\n"


def test_closing_ends_running_tasks_and_leaves_no_process_of_our_own_cluster(tmp_path):
    require("ray")
    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent)]!r}
import cluster_running, cluster_tasks
from threefold.cluster import open_backend

if __name__ == "__main__":
    before = cluster_running.children()
    backend = open_backend("ray", processes=1)
    runner = cluster_running.Runner("ray", backend)
    started = {str(tmp_path / "started")!r}
    runner.submit_all(cluster_tasks.run_until, [(started, {str(tmp_path / "never")!r})])
    cluster_running.wait_until(lambda: cluster_running.Path(started).exists())
    backend.close()
    cluster_running.wait_until(lambda: not cluster_running.children() - before)
    print("nothing left")
"""
    assert output_of(program, tmp_path) == "nothing left\n"

"""Workers are killed, stopped and misused, idle or at work: their pool goes on at full strength."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from threefold import multiprocessing
from threefold.multiprocessing.pool import Pool

sys.path.insert(0, str(Path(__file__).parent))
import pool_misuse as misuse
import pool_programs as programs
import pool_rig as rig

context, fork, make_pool, make_executor = rig.context, rig.fork, rig.make_pool, rig.make_executor
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_an_idle_worker_that_is_killed_is_replaced(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    for _ in range(2):
        victim = min(rig.workers_at_once(pool, tmp_path))
        os.kill(victim, signal.SIGKILL)
        # No call is lost, even one that is made before anybody has noticed.
        assert pool.map(programs.same, range(20), 1) == list(range(20))
        assert victim not in rig.workers_at_once(pool, tmp_path)


def test_how_a_worker_ended_is_known_though_the_program_has_waited_for_it(fork: Any, make_pool: Any) -> None:
    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass

    before = signal.signal(signal.SIGCHLD, reap)
    try:
        pool = make_pool(fork, 1)
        codes = []
        for _ in range(10):
            with pytest.raises(multiprocessing.WorkerDied) as caught:
                pool.apply(os._exit, (7,))
            codes.append(caught.value.exitcode)
        pool.terminate()
        pool.join()
    finally:
        signal.signal(signal.SIGCHLD, before)
    # Before Linux 6.15 it is lost if the program is the first to ask.
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert set(codes) == {7} if version >= (6, 15) else set(codes) <= {7, None}
    assert not [child for child in multiprocessing.active_children() if "PoolWorker" in child.name]


def test_all_idle_workers_may_be_killed_at_once(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork, 4)
    for _ in range(5):
        for victim in rig.workers_at_once(pool, tmp_path, 4):
            os.kill(victim, signal.SIGKILL)
    assert len(rig.workers_at_once(pool, tmp_path, 4)) == 4


def test_idle_workers_of_an_executor_may_be_killed(fork: Any, make_executor: Any, tmp_path: Path) -> None:
    executor = make_executor(fork)
    for _ in range(5):
        for victim in rig.workers_at_once(executor, tmp_path):
            os.kill(victim, signal.SIGKILL)
    assert list(executor.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1]


def test_a_pool_that_is_never_used_replaces_what_is_killed(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork, initializer=programs.record_myself, initargs=(str(tmp_path),))
    killed: set[int] = set()
    for _ in range(5):
        rig.until(lambda: len(rig.pids(tmp_path) - killed) == rig.WORKERS, "two new workers")
        for victim in rig.pids(tmp_path) - killed:
            rig.until_idle(victim)
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
    rig.assert_full_strength(pool, tmp_path)


@pytest.mark.parametrize("death", [programs.be_killed, programs.exit_at_once, programs.fault])
def test_a_worker_that_dies_preparing_is_replaced(fork: Any, make_pool: Any, tmp_path: Path, death: Any) -> None:
    pool = make_pool(fork, initializer=misuse.die_preparing, initargs=(str(tmp_path), 2, death))
    assert pool.map(programs.same, range(20), 1) == list(range(20))
    rig.assert_full_strength(pool, tmp_path)


def test_a_worker_is_killed_while_it_prepares(context: Any, make_pool: Any, tmp_path: Path) -> None:
    go = tmp_path / "go"
    pool = make_pool(context, initializer=misuse.prepare_slowly, initargs=(str(tmp_path), str(go)))
    result = pool.map_async(programs.same, range(20), 1)
    os.kill(rig.until(lambda: rig.pids(tmp_path), "a worker that prepares").pop(), signal.SIGKILL)
    go.touch()
    assert result.get(rig.LIMIT_S) == list(range(20))
    rig.assert_full_strength(pool, tmp_path)


def test_all_workers_die_at_work(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    doomed = [pool.apply_async(programs.begin_and_sleep, (str(tmp_path),)) for _ in range(2)]
    rig.until(lambda: len(rig.recorded(tmp_path)) == 2, "two workers at work")
    waiting = [pool.apply_async(programs.live, (str(tmp_path), None, number)) for number in range(10, 20)]
    victims = rig.pids(tmp_path)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    died = set()
    for result in doomed:
        with pytest.raises(multiprocessing.WorkerDied, match="SIGKILL") as caught:
            result.get(rig.SOON_S)
        died.add(caught.value.pid)
    assert died == victims
    assert [result.get(rig.LIMIT_S) for result in waiting] == list(range(10, 20))
    assert {count for number, count in rig.counts(tmp_path).items() if number < 20} == {1}
    rig.assert_full_strength(pool, tmp_path)


def test_a_stopped_worker_holds_up_only_the_task_that_it_runs(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    rig.assert_full_strength(pool, tmp_path)
    doomed = pool.apply_async(programs.begin_and_sleep, (str(tmp_path),))
    # What waits behind it in the same worker is done by the other one.
    others = pool.map_async(programs.same, range(50), 1)
    victim = rig.until(lambda: rig.pids(tmp_path), "a worker at work").pop()
    os.kill(victim, signal.SIGSTOP)
    assert others.get(rig.LIMIT_S) == list(range(50))
    assert pool.map(programs.same, range(50), 1) == list(range(50))
    assert not doomed.ready()
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(multiprocessing.WorkerDied, match=f"{victim}.*SIGKILL"):
        doomed.get(rig.SOON_S)
    rig.assert_full_strength(pool, tmp_path)


def test_an_idle_worker_that_is_stopped_and_killed_has_its_tasks_done_by_others(
    fork: Any, make_pool: Any, tmp_path: Path
) -> None:
    pool = make_pool(fork)
    victim = min(rig.workers_at_once(pool, tmp_path))
    os.kill(victim, signal.SIGSTOP)
    result = pool.map_async(programs.live_one, [(str(tmp_path), None, number) for number in range(50)], 1)
    rig.until(lambda: len(rig.recorded(tmp_path)) >= 10, "tasks done by the other worker")
    os.kill(victim, signal.SIGKILL)
    assert result.get(rig.LIMIT_S) == list(range(50))
    assert rig.counts(tmp_path) == dict.fromkeys(range(50), 1)
    rig.assert_full_strength(pool, tmp_path)


def test_a_worker_that_closes_all_its_descriptors_harms_nobody(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    for number in range(4):
        # It may be lost with what it has closed, but then it says so.
        with contextlib.suppress(multiprocessing.WorkerDied):
            assert pool.apply_async(misuse.close_all_descriptors, (number,)).get(rig.LIMIT_S) == number
        assert pool.apply_async(programs.same, (number,)).get(rig.LIMIT_S) == number
    rig.assert_full_strength(pool, tmp_path)


def test_a_grandchild_that_lives_on_hides_no_death(context: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(context)
    grandchild = pool.apply(misuse.leave_a_grandchild, (str(tmp_path),))
    try:
        assert rig.is_alive(grandchild)
        with pytest.raises(multiprocessing.WorkerDied, match="exit code 1"):
            pool.apply_async(programs.exit_at_once).get(rig.LIMIT_S)
        for victim in rig.workers_at_once(pool, tmp_path):
            os.kill(victim, signal.SIGKILL)
        rig.assert_full_strength(pool, tmp_path)
        pool.close()
        pool.join()
        assert rig.is_alive(grandchild)
    finally:
        os.kill(grandchild, signal.SIGKILL)


def test_tasks_start_threads_and_programs(context: Any, make_pool: Any) -> None:
    pool = make_pool(context)
    assert pool.map(misuse.start_threads, [5] * 4, 1) == [5] * 4
    assert pool.map(misuse.run_program, ["a", "b", "c"], 1) == ["a", "b", "c"]
    pool.close()
    pool.join()


def test_a_task_may_use_a_pool_of_its_own(context: Any, make_pool: Any, tmp_path: Path) -> None:
    method = context.get_start_method()
    places = [tmp_path / name for name in "abc"]
    for place in places:
        place.mkdir()
    results = make_pool(context).starmap(misuse.use_a_nested_pool, [(method, str(place)) for place in places], 1)
    assert results == [[5, 4, 3, 2, 1]] * 3


def test_workers_are_daemons_of_their_program_and_may_have_children(context: Any, make_pool: Any) -> None:
    pool = make_pool(context)
    assert [process.daemon for process in pool._pool] == [True] * rig.WORKERS
    assert pool.apply(misuse.start_a_child, (context.get_start_method(),)) == 0


def test_a_task_that_leaves_a_thread_waiting_does_not_keep_its_worker(
    context: Any, make_pool: Any, tmp_path: Path
) -> None:
    pool = make_pool(context)
    workers = rig.workers_at_once(pool, tmp_path)
    assert pool.apply(misuse.start_threads, (1,)) == 1
    pool.close()
    pool.join()
    rig.until_gone(workers)


def test_a_pool_that_lacks_a_worker_is_not_made(context: Any) -> None:
    made = []

    def fail() -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    class OneTooMany(Pool):
        @staticmethod
        def Process(ctx: Any, *arguments: Any, **keywords: Any) -> Any:  # noqa: N802 - the standard library's name
            made.append(ctx.Process(*arguments, **keywords))
            if len(made) > 2:
                made[-1].start = fail
            return made[-1]

    descriptors = rig.descriptors()
    with pytest.raises(BlockingIOError):
        OneTooMany(4, context=context)
    assert [process.exitcode for process in made] == [-signal.SIGTERM, -signal.SIGTERM, None]
    for process in made[:2]:
        process.close()
    assert rig.descriptors() == descriptors


def test_children_of_a_server_that_a_pool_has_started_hear_ctrl_c(tmp_path: Path) -> None:
    # In a fresh program: the server is started once in the life of a process.
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, sys\n"
        "from multiprocessing import resource_tracker\n"
        "from threefold.multiprocessing import get_context\n"
        "def tell(queue):\n"
        "    queue.put(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n"
        "if __name__ == '__main__':\n"
        "    resource_tracker.ensure_running()\n"
        "    context = get_context('forkserver')\n"
        "    with context.Pool(1) as pool:\n"
        "        pool.apply(abs, (1,))\n"
        "    queue = context.Queue()\n"
        "    child = context.Process(target=tell, args=(queue,))\n"
        "    child.start()\n"
        "    sys.exit(queue.get())\n"
    )
    assert subprocess.run([sys.executable, program], timeout=rig.LIMIT_S, check=False).returncode == 0

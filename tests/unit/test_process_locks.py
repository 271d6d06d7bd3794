"""Locks, conditions, events and barriers between two processes, under every start method."""

import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from threefold import multiprocessing

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs
import process_rig as rig

context, run, end = rig.context, rig.run, rig.end
LIMIT_S = programs.LIMIT_S
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.mark.parametrize("name", ["Lock", "RLock", "BoundedSemaphore", "Semaphore", "Condition"])
def test_a_lock_keeps_others_out(context: Any, name: str, tmp_path: Path) -> None:
    lock, path = getattr(context, name)(), tmp_path / "number"
    path.write_text("0")
    processes = [run(context, programs.add, lock, str(path), 100) for _ in range(2)]
    for process in processes:
        end(process)
    assert path.read_text() == "200"


def test_what_one_process_has_another_cannot_have(context: Any) -> None:
    locks, answers = (
        [context.Lock(), context.RLock(), context.Semaphore(1), context.BoundedSemaphore(2)],
        context.Queue(),
    )
    for lock in locks:
        assert lock.acquire(timeout=1)
    end(run(context, programs.try_locks, locks, answers))
    assert answers.get(timeout=LIMIT_S) == [False, False, False, True]


def test_only_an_rlock_belongs_to_whoever_has_it(context: Any) -> None:
    locks, answers = [context.Lock(), context.RLock(), context.Semaphore(1)], context.Queue()
    for lock in locks:
        lock.acquire()
    end(run(context, programs.release_all, locks, answers))
    refused = "AssertionError: attempt to release recursive lock not owned by thread"
    assert answers.get(timeout=LIMIT_S) == ["released", refused, "released"]
    assert [lock.acquire(False) for lock in locks] == [True, True, True]


def test_an_event_releases_another_process(context: Any) -> None:
    event, answers = context.Event(), context.Queue()
    assert (event.is_set(), event.wait(0.01)) == (False, False)
    process = run(context, programs.answer, event, answers)
    event.set()
    assert answers.get(timeout=LIMIT_S) is True
    end(process)
    event.clear()
    assert not event.is_set()


def test_a_condition_notifies_another_process(context: Any) -> None:
    condition, answers = context.Condition(), context.Queue()
    processes = [run(context, programs.wait_at_condition, condition, answers) for _ in range(2)]
    assert [answers.get(timeout=LIMIT_S) for _ in processes] == ["waiting", "waiting"]
    with condition:
        condition.notify(1)
    assert answers.get(timeout=LIMIT_S) is True
    assert answers.empty()
    with condition:
        condition.notify_all()
    assert answers.get(timeout=LIMIT_S) is True
    for process in processes:
        end(process)


def test_a_barrier_lets_all_pass_together(context: Any) -> None:
    barrier, answers = context.Barrier(3), context.Queue()
    processes = [run(context, programs.meet, barrier, answers) for _ in range(2)]
    mine = barrier.wait(LIMIT_S)
    assert sorted([mine, *(answers.get(timeout=LIMIT_S) for _ in processes)]) == [0, 1, 2]
    for process in processes:
        end(process)


def test_a_barrier_that_is_aborted_says_so_everywhere(context: Any) -> None:
    barrier, answers = context.Barrier(2), context.Queue()
    barrier.abort()
    process = run(context, programs.meet, barrier, answers)
    assert answers.get(timeout=LIMIT_S) == "BrokenBarrierError"
    end(process)
    barrier.reset()
    assert (barrier.broken, barrier.n_waiting, barrier.parties) == (False, 0, 2)


def test_the_action_of_a_barrier_runs_first_and_its_error_breaks_it() -> None:
    runs: list[int] = []
    barrier = multiprocessing.Barrier(1, lambda: runs.append(1))
    assert (barrier.wait(), runs) == (0, [1])
    failing = multiprocessing.Barrier(1, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing.wait()
    assert failing.broken


def test_a_barrier_breaks_when_the_time_is_up() -> None:
    barrier = multiprocessing.Barrier(2, timeout=0.01)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    assert barrier.broken


def test_errors_are_the_standard_ones() -> None:
    lock, rlock, semaphore = multiprocessing.Lock(), multiprocessing.RLock(), multiprocessing.BoundedSemaphore(1)
    too_often = "semaphore or lock released too many times"
    with pytest.raises(ValueError, match=too_often):
        lock.release()
    with pytest.raises(ValueError, match=too_often):
        semaphore.release()
    with pytest.raises(AssertionError, match="attempt to release recursive lock not owned by thread"):
        rlock.release()
    condition = multiprocessing.Condition()
    with pytest.raises(AssertionError, match="must acquire"):
        condition.wait()
    with pytest.raises(AssertionError, match="lock is not owned"):
        condition.notify()
    with pytest.raises(OSError, match="Invalid argument"):
        multiprocessing.Semaphore(-1)
    with pytest.raises(TypeError):
        multiprocessing.Semaphore("one")


def test_an_rlock_counts_and_a_timeout_ends_a_wait() -> None:
    rlock, lock = multiprocessing.RLock(), multiprocessing.Lock()
    with rlock, rlock:
        thread = threading.Thread(target=lambda: outcomes.append(rlock.acquire(False)))
        outcomes: list[bool] = []
        thread.start()
        thread.join()
        assert outcomes == [False]
    assert lock.acquire()
    assert [lock.acquire(True, 0.01), lock.acquire(block=False), lock.acquire(timeout=-1)] == [False, False, False]


def test_wait_for_looks_again_after_each_notification() -> None:
    for lock in (None, multiprocessing.Lock(), multiprocessing.get_context("fork").RLock()):
        condition, values = multiprocessing.Condition(lock), [0]

        def count(condition: Any = condition, values: list[int] = values) -> None:
            for _ in range(3):
                with condition:
                    values[0] += 1
                    condition.notify()

        thread = threading.Thread(target=count)
        with condition:
            thread.start()
            assert condition.wait_for(lambda values=values: values[0] == 3, LIMIT_S)
            assert condition.wait_for(lambda: None, 0.01) is None
        thread.join()


def test_objects_are_pickled_only_for_a_child() -> None:
    for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event"):
        with pytest.raises(RuntimeError, match=f"{name} objects should only be shared between processes through inher"):
            pickle.dumps(getattr(multiprocessing, name)())


def test_a_repr_says_who_has_it() -> None:
    lock, rlock = multiprocessing.Lock(), multiprocessing.RLock()
    assert (repr(lock), repr(rlock)) == ("<Lock(owner=None)>", "<RLock(None, 0)>")
    with lock, rlock:
        assert (repr(lock), repr(rlock)) == ("<Lock(owner=MainProcess)>", "<RLock(MainProcess, 1)>")
        words: list[str] = []
        thread = threading.Thread(target=lambda: words.extend([repr(lock), repr(rlock)]))
        thread.start()
        thread.join()
        assert words == ["<Lock(owner=SomeOtherThread)>", "<RLock(SomeOtherThread, nonzero)>"]
    assert repr(multiprocessing.Semaphore(3)) == "<Semaphore(value=3)>"
    assert repr(multiprocessing.BoundedSemaphore(3)) == "<BoundedSemaphore(value=3, maxvalue=3)>"
    assert multiprocessing.Semaphore(3).get_value() == 3


def test_a_bounded_semaphore_may_have_more_permits_than_can_be_remembered() -> None:
    semaphore = multiprocessing.BoundedSemaphore(2**31 - 1)
    assert semaphore.acquire()
    semaphore.release()
    with pytest.raises(ValueError, match="too many times"):
        semaphore.release()

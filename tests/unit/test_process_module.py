"""`threefold.multiprocessing` has every name of `multiprocessing`, and shares its start method."""

import concurrent.futures
import multiprocessing as standard
import multiprocessing.connection
import multiprocessing.pool
import multiprocessing.shared_memory
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import threefold.multiprocessing as ours

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs
import process_rig as rig

ON_THE_ENGINE = {
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Pipe",
    "Pool",
    "Queue",
    "RLock",
    "Semaphore",
    "SimpleQueue",
    "Value",
    "get_context",
}
# What these return is the standard library's, with a lock of ours in it; or two objects; or is to be closed.
COMPOSED = {"Array", "Value", "Pipe", "Pool", "get_context"}
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_every_public_name_is_there_and_the_same_object_where_it_is_not_ours() -> None:
    assert sorted(ours.__all__) == sorted(standard.__all__)
    differing = {name for name in standard.__all__ if getattr(ours, name) != getattr(standard, name)}
    assert differing == ON_THE_ENGINE


@pytest.mark.parametrize("method", [None, "fork", "spawn", "forkserver"])
def test_a_context_hands_out_our_objects_and_standard_processes(method: str | None) -> None:
    context = ours.get_context(method)
    assert isinstance(context, standard.context.BaseContext)
    assert set(dir(standard.get_context(method))) <= set(dir(context))
    assert context.Process is standard.get_context(method).Process
    for name in ON_THE_ENGINE - COMPOSED:
        thing = getattr(context, name)(*([2] if name == "Barrier" else []))
        assert type(thing).__module__.startswith("threefold.multiprocessing."), name
        assert type(thing).__name__ == name
    assert type(context.Value("i", 1).get_lock()).__module__ == "threefold.multiprocessing.synchronize"
    assert type(context.Array("i", 1).get_lock()).__module__ == "threefold.multiprocessing.synchronize"
    assert {type(end) for end in context.Pipe()} == {ours.connection.Connection}
    assert context.get_context("spawn") is ours.get_context("spawn")
    with pytest.raises(ValueError, match="cannot find context for 'thread'"):
        context.get_context("thread")


def test_the_start_method_is_one_and_the_same() -> None:
    program = """
import multiprocessing as standard
from threefold import multiprocessing as ours
assert ours.get_all_start_methods() == standard.get_all_start_methods()
ours.set_start_method("spawn")
assert standard.get_start_method() == "spawn" == ours.get_start_method() == ours.get_context().get_start_method()
try:
    ours.set_start_method("fork")
except RuntimeError as error:
    assert str(error) == "context has already been set"
standard.set_start_method("fork", force=True)
assert ours.get_context() is ours.get_context("fork")
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_modules_of_the_standard_package_are_found() -> None:
    from threefold.multiprocessing.pool import ThreadPool

    assert ThreadPool is standard.pool.ThreadPool
    assert ours.connection.wait is standard.connection.wait
    assert issubclass(ours.connection.Connection, standard.connection.Connection)
    assert ours.connection.answer_challenge is standard.connection.answer_challenge
    assert ours.shared_memory.__name__ == "multiprocessing.shared_memory"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ours.nothing


def test_the_standard_pools_work_with_our_contexts() -> None:
    context = ours.get_context("fork")
    with standard.pool.Pool(2, context=context) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(abs, [-3, -4])) == [3, 4]
    assert context.Value("i", 3).value == 3


def test_modules_of_ours_come_first() -> None:
    program = """
from threefold.multiprocessing import queues, synchronize
from threefold import multiprocessing
assert queues.__name__ == "threefold.multiprocessing.queues" and multiprocessing.queues is queues
assert synchronize.__name__ == "threefold.multiprocessing.synchronize"
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_of_a_program_s_own_class_takes_our_objects_along(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = rig.context_of(method, monkeypatch)
    memory = standard.shared_memory.ShareableList([5])
    try:
        queue, values = context.Queue(), context.Array("i", [1])
        process = getattr(programs, f"{method.title()}Adder")(queue, values, context.Lock(), memory.shm.name)
        process.start()
        assert process in ours.active_children()
        assert queue.get(timeout=programs.LIMIT_S) == ("adder", ours.current_process().pid)
        process.join(programs.LIMIT_S)
        assert (values[0], process.exitcode, ours.active_children()) == (6, 0, [])
    finally:
        memory.shm.close()
        memory.shm.unlink()


def test_a_barrier_is_a_barrier_of_threads_as_the_standard_one() -> None:
    assert isinstance(ours.Barrier(2), threading.Barrier)


def test_what_programs_know_of_the_standard_objects_is_there() -> None:
    queue, simple, condition = ours.Queue(3), ours.SimpleQueue(), ours.Condition()
    queue._writer.send("a")
    assert queue._reader.poll(1)
    assert queue._reader.recv() == "a"
    assert (queue._reader.poll(), queue._reader.poll(0.01), queue._maxsize, queue._thread) == (False, False, 3, None)
    with pytest.raises(OSError, match="has no pipe to wait for"):
        queue._reader.fileno()
    simple._writer.send_bytes(b"N.")
    assert standard.reduction.ForkingPickler.loads(simple._reader.recv_bytes()) is None
    assert (queue._reader.closed, simple._reader.closed) == (False, False)
    queue.close()
    simple.close()
    assert (queue._reader.closed, simple._writer.closed) == (True, True)
    assert condition._sleeping_count.get_value() - condition._woken_count.get_value() == 0
    assert condition._wait_semaphore.get_value() == 0
    assert ours.Lock()._semlock.name is None


def test_a_queue_can_be_made_at_the_top_of_a_program() -> None:
    program = """
from threefold import multiprocessing
from threefold.multiprocessing.queues import SimpleQueue
queue = SimpleQueue(ctx=multiprocessing.get_context())
queue.put(1)
assert queue.get() == 1 and type(queue) is SimpleQueue
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0

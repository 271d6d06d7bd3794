"""A process is killed in the middle of what it does: the others go on within a second, and nothing is lost or doubled."""

import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import process_programs as programs
import process_rig as rig

context = rig.context
LIMIT_S = programs.LIMIT_S
# What those who live may take to notice a death.
SOON_S = 1.0
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


# How a process ends that does not expect it: by the kernel, by its own fault, by itself, or after a stop.
DEATHS = {
    "SIGKILL": -signal.SIGKILL,
    "SIGSEGV": -signal.SIGSEGV,
    "_exit": programs.OWN_EXIT,
    "SIGSTOP": -signal.SIGKILL,
}


@pytest.fixture(params=DEATHS)
def death(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def run(context: Any) -> Generator[Any]:
    processes = []

    def start(function: Any, *arguments: Any) -> Any:
        process = context.Process(target=programs.until_told_to_exit, args=(function, *arguments), daemon=True)
        process.start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join(LIMIT_S)


def kill(process: Any, death: str = "SIGKILL") -> None:
    if death == "SIGSTOP":
        os.kill(process.pid, signal.SIGSTOP)
    numbers = {"SIGSEGV": signal.SIGSEGV, "_exit": programs.EXIT_SIGNAL}
    os.kill(process.pid, numbers.get(death, signal.SIGKILL))
    process.join(LIMIT_S)
    assert process.exitcode == DEATHS[death]


@pytest.mark.parametrize("name", ["Lock", "RLock", "BoundedSemaphore", "Condition"])
def test_what_a_killed_process_had_is_free(context: Any, run: Any, name: str, death: str) -> None:
    lock, is_held = getattr(context, name)(), context.Event()
    for _ in range(3):
        holder = run(programs.hold, lock, is_held)
        assert is_held.wait(LIMIT_S)
        assert not lock.acquire(False)
        kill(holder, death)
        assert lock.acquire(True, SOON_S)
        lock.release()
        is_held.clear()


def test_a_killed_process_that_waited_for_a_lock_has_not_got_it(context: Any, run: Any, death: str) -> None:
    lock, is_held = context.Lock(), context.Event()
    with lock:
        waiters = [run(programs.hold, lock, is_held) for _ in range(2)]
        for waiter in waiters:
            rig.until_it_waits(waiter)
        kill(waiters[0], death)
    assert is_held.wait(SOON_S)


def test_a_notification_reaches_a_waiter_that_lives(context: Any, run: Any, death: str) -> None:
    condition, answers, is_running = context.Condition(), context.Queue(), context.Event()
    dying = run(programs.wait_notified, condition, is_running)
    assert is_running.wait(LIMIT_S)
    living = run(programs.wait_at_condition, condition, answers)
    assert answers.get(timeout=LIMIT_S) == "waiting"
    with condition:
        kill(dying, death)
        condition.notify(1)
    assert answers.get(timeout=SOON_S) is True
    living.join(LIMIT_S)
    assert living.exitcode == 0


def test_an_event_is_set_though_a_waiter_was_killed(context: Any, run: Any, death: str) -> None:
    event, is_running, answers = context.Event(), context.Event(), context.Queue()
    dying, living = run(programs.wait_for_ever, event, is_running), run(programs.answer, event, answers)
    rig.until_it_waits(dying)
    rig.until_it_waits(living)
    kill(dying, death)
    event.set()
    assert answers.get(timeout=SOON_S) is True


def test_a_killed_getter_takes_nothing_with_it(context: Any, run: Any, death: str) -> None:
    queue, is_running = context.Queue(), context.Event()
    dying = run(programs.take_for_ever, queue, is_running)
    rig.until_it_waits(dying)
    kill(dying, death)
    for number in range(100):
        queue.put(number)
    assert [queue.get(timeout=SOON_S) for _ in range(100)] == list(range(100))


def test_a_killed_party_breaks_the_barrier(context: Any, run: Any, death: str) -> None:
    barrier, answers = context.Barrier(3), context.Queue()
    dying, living = run(programs.meet, barrier, context.Queue()), run(programs.meet, barrier, answers)
    rig.until_it_waits(dying)
    rig.until_it_waits(living)
    kill(dying, death)
    assert answers.get(timeout=SOON_S) == "BrokenBarrierError"


def test_a_process_that_is_killed_while_it_puts_leaves_whole_messages(
    context: Any, run: Any, death: str, full_stress: bool
) -> None:
    queue, chance = context.Queue(), random.Random(1)
    for _ in range(30 if full_stress else 4):
        dying = run(programs.put_for_ever, queue)
        assert queue.get(timeout=LIMIT_S) == (0, bytearray(programs.MEGABYTE))
        # The moment of its death is the subject.
        time.sleep(chance.uniform(0, 0.02))
        kill(dying, death)
        queue.put("after")
        numbers = []
        while (item := queue.get(timeout=SOON_S)) != "after":
            numbers.append(item[0])
            assert item[1] == programs.MEGABYTE
        assert numbers == list(range(1, len(numbers) + 1))
        with pytest.raises(Empty):
            queue.get_nowait()


def test_a_process_that_is_killed_while_it_gets_costs_one_message_at_most(
    context: Any, run: Any, death: str, full_stress: bool
) -> None:
    queue, results, chance = context.Queue(), context.Queue(), random.Random(2)
    for _ in range(30 if full_stress else 3):
        for number in range(40):
            queue.put((number, bytearray(programs.MEGABYTE)))
        dying = run(programs.pass_on_for_ever, queue, results)
        assert results.get(timeout=LIMIT_S) == 0
        # The moment of its death is the subject.
        time.sleep(chance.uniform(0, 0.02))
        kill(dying, death)
        queue.put(("after", b""))
        numbers = [0]
        results.put("after")
        while (number := results.get(timeout=SOON_S)) != "after":
            numbers.append(number)
        while (item := queue.get(timeout=SOON_S))[0] != "after":
            numbers.append(item[0])
            assert item[1] == programs.MEGABYTE
        missing = set(range(40)) - set(numbers)
        assert (len(missing) <= 1, sorted(numbers)) == (True, numbers)


def test_a_process_that_is_killed_with_a_view_gives_its_memory_back(context: Any, run: Any, death: str) -> None:
    queue, is_there = context.Queue(), context.Event()
    for _ in range(3):
        queue.put(pickle.PickleBuffer(bytearray(4 * programs.MEGABYTE)))
        dying = run(programs.keep_a_view, queue, is_there)
        assert is_there.wait(LIMIT_S)
        assert used_bytes(queue) > len(4 * programs.MEGABYTE)
        kill(dying, death)
        is_there.clear()
        with pytest.raises(Empty):
            # A wait of a slice for nothing tidies up.
            queue.get(timeout=0.5)
        assert used_bytes(queue) <= 64 * 1024


def used_bytes(queue: Any) -> int:
    return os.fstat(queue._shared._descriptor()).st_blocks * 512


INTERRUPTED = {
    "Lock": lambda context: occupied(context.Lock()),
    "RLock": lambda context: occupied(context.RLock()),
    "Semaphore": lambda context: context.Semaphore(0),
    "BoundedSemaphore": lambda context: occupied(context.BoundedSemaphore(1)),
    "Condition": lambda context: context.Condition(),
    "Event": lambda context: context.Event(),
    "Barrier": lambda context: context.Barrier(2),
    "Queue.get": lambda context: context.Queue(),
    "Queue.put": lambda context: filled(context.Queue(1)),
    "JoinableQueue.join": lambda context: filled(context.JoinableQueue()),
}


def occupied(lock: Any) -> Any:
    lock.acquire()
    return lock


def filled(queue: Any) -> Any:
    queue.put(1)
    return queue


@pytest.mark.parametrize("name", INTERRUPTED)
def test_ctrl_c_ends_a_wait_and_leaves_nothing_held(context: Any, run: Any, name: str) -> None:
    thing, answers = INTERRUPTED[name](context), context.Queue()
    process = run(programs.be_interrupted, name, thing, answers)
    assert answers.get(timeout=LIMIT_S) == process.pid
    rig.until_it_waits(process)
    os.kill(process.pid, signal.SIGINT)
    assert answers.get(timeout=SOON_S) == "KeyboardInterrupt"
    process.join(LIMIT_S)
    assert process.exitcode == 0
    if hasattr(thing, "acquire"):
        if name != "Condition":
            thing.release()
        assert thing.acquire(True, SOON_S)
    elif name == "Barrier":
        assert thing.n_waiting == 0
    elif name.startswith("Queue"):
        assert thing.qsize() == (1 if name == "Queue.put" else 0)

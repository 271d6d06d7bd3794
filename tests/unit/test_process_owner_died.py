"""A lock whose owner died tells the one who comes after it, once, where it was made to; then it is free."""

import asyncio
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

import threefold
from threefold import OwnerDied, multiprocessing

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs
import process_rig as rig
import process_tasks as tasks

context, run, end = rig.context, rig.run, rig.end
LIMIT_S = programs.LIMIT_S
NAMES = ["Lock", "RLock", "BoundedSemaphore", "Condition"]
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def made(context: Any, name: str) -> Any:
    return getattr(context, name)(owner_died="raise")


def new(name: str) -> Any:
    return made(multiprocessing.get_context("fork"), name)


@pytest.fixture(params=["SIGKILL", "_exit"])
def death(request: pytest.FixtureRequest) -> str:
    return request.param


def start_holder(context: Any, lock: Any) -> Any:
    """Return a child that has the lock."""
    is_held = context.Event()
    holder = run(context, programs.until_told_to_exit, programs.hold, lock, is_held)
    assert is_held.wait(LIMIT_S)
    return holder


def kill(holder: Any, death: str = "SIGKILL") -> int:
    """End a child; return its number."""
    os.kill(holder.pid, signal.SIGKILL if death == "SIGKILL" else programs.EXIT_SIGNAL)
    holder.join(LIMIT_S)
    assert holder.exitcode == (-signal.SIGKILL if death == "SIGKILL" else programs.OWN_EXIT)
    return int(holder.pid)


def die_with(lock: Any) -> int:
    return kill(start_holder(multiprocessing.get_context("fork"), lock))


def assert_free(lock: Any) -> None:
    for _ in range(2):
        assert lock.acquire(False)
        lock.release()


@pytest.mark.parametrize("name", NAMES)
def test_who_comes_after_a_dead_owner_is_told_once(context: Any, name: str, death: str) -> None:
    lock = made(context, name)
    pid = kill(start_holder(context, lock), death)
    with pytest.raises(OwnerDied) as told:
        lock.acquire()
    assert (told.value.pid, told.value.held) == (pid, "RLock" if name == "Condition" else name)
    assert str(pid) in str(told.value)
    assert_free(lock)


@pytest.mark.parametrize("program", [programs.take_or_be_told, tasks.take_or_be_told_in_a_task])
@pytest.mark.parametrize("name", NAMES)
def test_one_of_those_who_wait_is_told_and_the_others_go_on(
    context: Any, name: str, death: str, program: Callable[..., None]
) -> None:
    lock, answers = made(context, name), context.Queue()
    holder = start_holder(context, lock)
    waiters = [run(context, program, lock, answers) for _ in range(3)]
    for waiter in waiters:
        rig.until_it_waits(waiter)
    pid = kill(holder, death)
    assert sorted((answers.get(timeout=LIMIT_S) for _ in waiters), key=str) == [pid, "had", "had"]
    for waiter in waiters:
        end(waiter)
    assert_free(lock)


def enter(lock: Any) -> None:
    with lock:
        pytest.fail("entered")


def ask_until_there_is_an_answer(lock: Any) -> None:
    # Who only asks is told whether the owner lives a few times a second.
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        assert not lock.acquire(False)


async def enter_async(lock: Any) -> None:
    async with lock:
        pytest.fail("entered")


WAYS: dict[str, Callable[[Any], object]] = {
    "with": enter,
    "timeout": lambda lock: lock.acquire(timeout=LIMIT_S),
    "without waiting": ask_until_there_is_an_answer,
    "acquire_async": lambda lock: asyncio.run(_await(lock.acquire_async(LIMIT_S))),
    "async with": lambda lock: asyncio.run(enter_async(lock)),
}


async def _await(wait: Any) -> object:
    return await wait


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_take_it_tells_and_leaves_it_free(name: str, way: str) -> None:
    lock = new(name)
    pid = die_with(lock)
    with pytest.raises(OwnerDied) as told:
        WAYS[way](lock)
    assert told.value.pid == pid
    assert_free(lock)


@pytest.mark.parametrize("name", NAMES)
def test_each_death_is_told(name: str) -> None:
    lock = new(name)
    for _ in range(3):
        pid = die_with(lock)
        with pytest.raises(OwnerDied, match=f"process {pid} died"):
            enter(lock)


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_passes_on_in_silence_unless_it_is_told_to_raise(name: str) -> None:
    for options in ({}, {"owner_died": "inherit"}):
        lock = getattr(multiprocessing.get_context("fork"), name)(**options)
        die_with(lock)
        assert lock.acquire(timeout=LIMIT_S)
        lock.release()


def test_a_permit_that_is_free_comes_before_that_of_a_dead_process() -> None:
    semaphore = multiprocessing.get_context("fork").BoundedSemaphore(2, owner_died="raise")
    die_with(semaphore)
    assert semaphore.acquire()
    with pytest.raises(OwnerDied, match="a permit of this BoundedSemaphore"):
        semaphore.acquire()
    assert semaphore.acquire()
    assert not semaphore.acquire(False)


def test_a_wait_at_a_condition_that_is_told_has_the_lock() -> None:
    condition = new("Condition")
    with condition:
        with condition:
            child = run(multiprocessing.get_context("fork"), programs.notify_and_die, condition)
            with pytest.raises(OwnerDied, match=f"process {child.pid} died"):
                condition.wait(LIMIT_S)
            condition.notify()
        assert condition._lock._count() == 1
    assert_free(condition)
    child.join(LIMIT_S)


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_a_task_that_is_told_at_a_condition_has_the_lock(name: str) -> None:
    condition = multiprocessing.Condition(new(name))

    async def main() -> None:
        async with condition:
            child = run(multiprocessing.get_context("fork"), programs.notify_and_die, condition)
            with pytest.raises(OwnerDied, match=f"process {child.pid} died"):
                await condition.wait_async(LIMIT_S)
            condition.notify()
            child.join(LIMIT_S)
        assert await condition.acquire_async(0)
        condition.release()

    asyncio.run(main())


def test_a_task_that_is_cancelled_at_a_condition_sees_the_death_behind_the_cancellation() -> None:
    fork = multiprocessing.get_context("fork")
    condition, is_held, may_die = new("Condition"), fork.Event(), fork.Event()

    async def wait(is_inside: asyncio.Event) -> BaseException | None:
        async with condition:
            is_inside.set()
            try:
                await condition.wait_async()
            except asyncio.CancelledError as error:
                condition.notify()
                return error.__context__
        return None

    async def main() -> None:
        is_inside = asyncio.Event()
        waiting = asyncio.ensure_future(wait(is_inside))
        await is_inside.wait()
        child = run(fork, programs.die_when_told, condition, is_held, may_die)
        assert await is_held.wait_async(LIMIT_S)
        waiting.cancel()
        await asyncio.sleep(0)
        may_die.set()
        behind = await waiting
        assert isinstance(behind, OwnerDied)
        assert behind.pid == child.pid
        child.join(LIMIT_S)

    asyncio.run(main())
    assert_free(condition)


class Interrupt(Exception):
    """What the signal handler raises."""


@pytest.fixture
def was_interrupted() -> Generator[Any]:
    """Offer an event that a signal's handler sets before it raises."""
    event = multiprocessing.Event()

    def interrupt(*_: object) -> None:
        event.set()
        raise Interrupt

    before = signal.signal(programs.EXIT_SIGNAL, interrupt)
    yield event
    signal.signal(programs.EXIT_SIGNAL, before)


def test_a_signal_during_the_wait_comes_first_and_the_death_behind_it(was_interrupted: Any) -> None:
    condition = new("Condition")
    with condition:
        child = run(multiprocessing.get_context("fork"), programs.interrupt_and_die, condition, was_interrupted)
        with pytest.raises(Interrupt) as raised:
            condition.wait(LIMIT_S)
        assert isinstance(raised.value.__context__, OwnerDied)
        condition.notify()
    child.join(LIMIT_S)
    assert_free(condition)


def test_what_cannot_know_its_owners_does_not_promise_to_tell() -> None:
    with pytest.raises(ValueError, match="this Semaphore only counts them: take a BoundedSemaphore of at most 4096"):
        multiprocessing.Semaphore(1, owner_died="raise")
    with pytest.raises(ValueError, match="this BoundedSemaphore only counts them"):
        multiprocessing.BoundedSemaphore(4097, owner_died="raise")
    assert multiprocessing.BoundedSemaphore(4096, owner_died="raise").acquire()
    assert multiprocessing.Semaphore(1, owner_died="inherit").acquire()


@pytest.mark.parametrize("name", [*NAMES, "Semaphore"])
def test_an_option_that_there_is_not_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match='must be "inherit" or "raise", not \'ignore\''):
        getattr(multiprocessing, name)(owner_died="ignore")


def test_the_option_is_the_locks_and_not_the_conditions() -> None:
    with pytest.raises(ValueError, match="this condition was given one"):
        multiprocessing.Condition(multiprocessing.Lock(), owner_died="raise")


def test_the_error_is_a_runtime_error_that_travels() -> None:
    error = OwnerDied(7, "Lock")
    assert isinstance(error, threefold.Error)
    assert isinstance(error, RuntimeError)
    same = pickle.loads(pickle.dumps(error))
    assert (same.pid, same.held, str(same)) == (7, "Lock", str(error))
    assert multiprocessing.OwnerDied is OwnerDied is threefold.OwnerDied

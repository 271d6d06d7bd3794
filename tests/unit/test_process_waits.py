"""The wait table shows waits for what processes share: who waits, at which line, and who has it, in whatever process."""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from threefold import _threefold, multiprocessing

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs

LIMIT_S = programs.LIMIT_S
CONTEXT: Any = multiprocessing.get_context("fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def look(condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the wait of this process that fulfils the condition, as soon as there is one."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            report = json.loads(_threefold.waits_report(os.getpid(), json=True))
        except ValueError:
            continue
        for process in report["processes"]:
            for wait in process["waiting"]:
                if condition(wait):
                    return dict(wait)
    raise AssertionError(report)


def held(lock: Any) -> Any:
    """Return a process that has the lock."""
    is_held = CONTEXT.Event()
    process = CONTEXT.Process(target=programs.hold, args=(lock, is_held), daemon=True)
    process.start()
    assert is_held.wait(LIMIT_S)
    return process


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_a_thread_waits_for_another_process_that_is_named(name: str) -> None:
    lock = getattr(CONTEXT, name)()
    process = held(lock)
    thread = threading.Thread(target=lock.acquire, name="patient", daemon=True)
    thread.start()
    wait = look(lambda wait: wait["waiter"]["name"] == "patient")
    assert (wait["reason"], wait["holder"]["kind"]) == (f"{name}.acquire", "process")
    assert wait["holder"]["process"] == process.pid
    assert f"{name}.acquire" in (text := _threefold.waits_report(os.getpid(), json=False))
    assert f"held by process {process.pid} " in text
    process.kill()
    thread.join(LIMIT_S)


def test_a_thread_waits_for_another_one_of_its_process_which_is_named_as_it_changes() -> None:
    lock, turn = CONTEXT.Lock(), threading.Semaphore(0)

    def hold() -> None:
        lock.acquire()
        turn.acquire()
        lock.release()

    first = threading.Thread(target=hold, name="first")
    first.start()
    threads = [threading.Thread(target=hold, name=f"later-{number}") for number in range(2)]
    while not lock.locked():
        time.sleep(0.001)
    for thread in threads:
        thread.start()
    for thread in threads:
        wait = look(lambda wait, name=thread.name: wait["waiter"]["name"] == name)
        assert (wait["holder"]["kind"], wait["holder"]["name"]) == ("thread", "first")
    turn.release()
    first.join(LIMIT_S)
    wait = look(lambda wait: wait["holder"] is not None and wait["holder"]["name"].startswith("later"))
    assert wait["waiter"]["name"] != wait["holder"]["name"]
    turn.release(2)
    for thread in threads:
        thread.join(LIMIT_S)


def test_a_task_is_shown_with_its_name_its_line_and_the_holder() -> None:
    lock, queue, event = CONTEXT.Lock(), CONTEXT.Queue(), CONTEXT.Event()
    process = held(lock)

    async def locked() -> None:
        assert await lock.acquire_async(LIMIT_S)

    async def main() -> None:
        waits = [
            asyncio.create_task(locked(), name="locked"),
            asyncio.create_task(queue.get_async(), name="hungry"),
            asyncio.create_task(event.wait_async(), name="ready"),
        ]
        await asyncio.sleep(0)
        wait = look(lambda wait: wait["waiter"]["name"] == "locked")
        assert wait["site"] == f"{__file__}:{locked.__code__.co_firstlineno + 1}"
        assert (wait["holder"]["process"], wait["has_timeout"]) == (process.pid, True)
        assert look(lambda wait: wait["waiter"]["name"] == "hungry")["reason"] == "Queue.get (empty)"
        assert look(lambda wait: wait["waiter"]["name"] == "ready")["reason"] == "Event.wait"
        process.kill()
        queue.put(1)
        event.set()
        await asyncio.gather(*waits)
        report = json.loads(_threefold.waits_report(os.getpid(), json=True))
        assert [wait for each in report["processes"] for wait in each["waiting"]] == []

    asyncio.run(main())


def test_a_task_waits_for_another_task_that_has_the_rlock() -> None:
    lock = CONTEXT.RLock()

    async def wait() -> None:
        async with lock:
            pass

    async def main() -> None:
        async with lock:
            waiter = asyncio.create_task(wait(), name="second")
            await asyncio.sleep(0)
            assert look(lambda wait: wait["waiter"]["name"] == "second")["holder"]["kind"] == "task"
        await waiter

    asyncio.run(main())

"""Tasks that wait for what processes share give up, fork, are held up or lose their loop: nothing else is lost."""

import asyncio
import contextlib
import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from threefold import multiprocessing

sys.path.insert(0, str(Path(__file__).parent))
import process_rig as rig
import process_tasks as tasks

run, end, new = rig.run, rig.end, rig.new
LIMIT_S = tasks.LIMIT_S
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


async def until(condition: Callable[[], bool]) -> None:
    """Look until it is so, for a limited time."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


async def begun(*waits: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Start tasks and let them come to their waits."""
    started = [asyncio.ensure_future(wait) for wait in waits]
    for _ in range(3):
        await asyncio.sleep(0)
    return started


def test_cancelling_at_every_moment_loses_no_object(full_stress: bool) -> None:
    there, back, got = new("Queue", 5), new("Queue", 5), list[int]()
    count = 20_000 if full_stress else 2000
    chance = random.Random(5)

    async def get_some(is_over: Callable[[], bool]) -> None:
        while not is_over():
            got.append(await back.get_async())

    async def put_all() -> None:
        for number in range(count):
            await there.put_async(number)

    async def main() -> None:
        getters = [asyncio.create_task(get_some(lambda: False)) for _ in range(5)]
        putter = asyncio.create_task(put_all())
        while len(got) < count:
            victim = chance.randrange(len(getters))
            getters[victim].cancel()
            getters[victim] = asyncio.create_task(get_some(lambda: False))
            await asyncio.sleep(chance.choice([0, 0, 0, 0.0002]))
        await putter
        for getter in getters:
            getter.cancel()

    process = run(multiprocessing.get_context("fork"), tasks.echo, there, back, count)
    asyncio.run(main())
    end(process)
    assert sorted(got) == list(range(count))


@pytest.mark.parametrize("name", ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"])
def test_cancelling_at_every_moment_leaves_a_lock_whole(name: str, full_stress: bool) -> None:
    lock, is_over = new(name), new("Event")
    chance, counts = random.Random(7), Counter[str]()

    async def use() -> None:
        while True:
            async with lock:
                counts["inside"] += 1
                assert counts["inside"] == 1
                try:
                    if name == "Condition" and chance.random() < 0.5:
                        counts["inside"] -= 1
                        try:
                            await lock.wait_async(0.002)
                        finally:
                            counts["inside"] += 1
                    await asyncio.sleep(0)
                    counts["used"] += 1
                    if name == "Condition":
                        lock.notify()
                finally:
                    counts["inside"] -= 1

    async def main() -> None:
        users = [asyncio.create_task(use()) for _ in range(6)]
        for _ in range(5000 if full_stress else 500):
            victim = chance.randrange(len(users))
            users[victim].cancel()
            await asyncio.sleep(chance.choice([0, 0, 0.0003]))
            if users[victim].done():
                users[victim] = asyncio.create_task(use())
        for user in users:
            user.cancel()
        ended = await asyncio.gather(*users, return_exceptions=True)
        assert {type(error) for error in ended} <= {asyncio.CancelledError}
        assert await lock.acquire_async(LIMIT_S)
        lock.release()

    process = run(multiprocessing.get_context("fork"), tasks.take_and_release, lock, is_over)
    asyncio.run(main())
    is_over.set()
    end(process)
    assert counts["used"] > 0


def test_cancelling_those_who_were_notified_loses_no_permit(full_stress: bool) -> None:
    semaphore, chance = new("Semaphore", 0), random.Random(9)

    async def main() -> None:
        for _ in range(2000 if full_stress else 200):
            waits = await begun(*(semaphore.acquire_async() for _ in range(4)))
            semaphore.release()
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            waits[0].cancel()
            had = await asyncio.gather(waits[0], return_exceptions=True)
            if had != [True]:
                await asyncio.wait(waits[1:], timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
            assert sum(wait.done() and not wait.cancelled() for wait in waits) == 1
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            assert semaphore.get_value() == 0

    asyncio.run(main())


def test_a_loop_that_is_closed_in_the_middle_harms_nobody() -> None:
    queue, lock = new("Queue"), new("Lock")
    lock.acquire()

    loop = asyncio.new_event_loop()
    waits = [loop.create_task(wait) for wait in (_await(queue.get_async()), _await(lock.acquire_async()))]
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    queue.put(1)
    lock.release()
    for wait in waits:
        wait.get_coro().close()
        wait._log_destroy_pending = False
    del wait, waits
    gc.collect()

    async def main() -> None:
        assert await queue.get_async(LIMIT_S) == 1
        assert await lock.acquire_async(LIMIT_S)

    asyncio.run(main())


async def _await(wait: Any) -> Any:
    return await wait


def test_a_loop_that_is_held_up_holds_up_no_other() -> None:
    queue, is_blocked, may_go_on = new("Queue"), threading.Event(), threading.Event()

    async def block() -> None:
        await begun(queue.get_async())
        is_blocked.set()
        may_go_on.wait(LIMIT_S)

    async def main() -> int:
        return await queue.get_async(LIMIT_S)

    thread = threading.Thread(target=asyncio.run, args=(block(),))
    thread.start()
    assert is_blocked.wait(LIMIT_S)
    queue.put(7)
    # The task of the loop that is held up may have been chosen: then this one looks at the end of the slice.
    assert asyncio.run(main()) == 7
    may_go_on.set()
    thread.join()


def test_a_forked_child_waits_for_itself_and_its_parent_goes_on() -> None:
    queue, answers = new("Queue"), new("Queue")

    async def main() -> None:
        waits = await begun(queue.get_async(), queue.get_async())
        await asyncio.sleep(0.01)
        child = run(multiprocessing.get_context("fork"), tasks.get_and_answer, queue, answers)
        await until(lambda: tasks.READY in _drained(answers))
        for number in range(3):
            queue.put(number)
        got = [await asyncio.wait_for(wait, LIMIT_S) for wait in waits]
        got.append(await answers.get_async(LIMIT_S))
        assert sorted(got) == [0, 1, 2]
        end(child)

    asyncio.run(main())


def _drained(queue: Any) -> list[Any]:
    return [queue.get() for _ in range(queue.qsize())]


def fork_and_wait() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@pytest.mark.filterwarnings("error:.*fork.*:DeprecationWarning")
def test_a_fork_beside_waiting_tasks_warns_nobody() -> None:
    queue = new("Queue")

    async def main() -> None:
        (wait,) = await begun(queue.get_async())
        for _ in range(5):
            # Asleep by then: who is just waking somebody cannot be stopped.
            await asyncio.sleep(0.02)
            fork_and_wait()
        queue.put(1)
        assert await asyncio.wait_for(wait, LIMIT_S) == 1

    asyncio.run(main())


def test_waits_on_more_objects_than_the_kernel_takes_at_once() -> None:
    events = [new("Event") for _ in range(300)]

    async def main() -> list[bool]:
        waits = await begun(*(event.wait_async() for event in events))
        for event in reversed(events):
            event.set()
        return await asyncio.wait_for(asyncio.gather(*waits), LIMIT_S)

    assert asyncio.run(main()) == [True] * 300


def test_the_thread_ends_when_nobody_has_waited_for_a_while() -> None:
    def names() -> list[str]:
        found = []
        for path in Path("/proc/self/task").glob("*/comm"):
            # A thread may end meanwhile.
            with contextlib.suppress(OSError):
                found.append(path.read_text().strip())
        return found

    async def main() -> None:
        with pytest.raises(Empty):
            await new("Queue").get_async(0.01)
        assert "threefold-tasks" in names()
        await until(lambda: "threefold-tasks" not in names())

    asyncio.run(main())

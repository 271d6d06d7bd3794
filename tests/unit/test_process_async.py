"""Tasks wait for what processes share: in any process, on any loop, without losing a wake, an object or a lock."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from queue import Empty, Full
from typing import Any

import pytest

from threefold import multiprocessing

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs
import process_rig as rig
import process_tasks as tasks

run, end, new = rig.run, rig.end, rig.new
LIMIT_S = programs.LIMIT_S
# A wake that is lost is made good at the end of a slice, 0.2 s; on a busy machine all takes longer.
SOON_S = 5.0
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(params=["fork", "spawn"])
def context(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return rig.context_of(request.param, monkeypatch)


async def begun(*waits: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Start tasks and let them come to their waits."""
    started = [asyncio.ensure_future(wait) for wait in waits]
    for _ in range(3):
        await asyncio.sleep(0)
    return started


@pytest.mark.parametrize("name", ["Queue", "SimpleQueue"])
def test_tasks_of_two_processes_exchange_ten_thousand_objects(context: Any, name: str) -> None:
    there, back = getattr(context, name)(), context.Queue(*([50] if name == "Queue" else []))
    count = 10_000

    async def put() -> None:
        for number in range(count):
            await there.put_async(number)

    async def get() -> list[int]:
        return [await back.get_async() for _ in range(count)]

    async def main() -> list[int]:
        return (await asyncio.gather(put(), get()))[1]

    process = run(context, tasks.echo, there, back, count)
    assert asyncio.run(main()) == list(range(count))
    end(process)
    assert there.empty()
    assert back.empty()


def test_many_tasks_of_a_process_and_a_thread_share_the_objects() -> None:
    queue, got = new("Queue", 3), Counter[int]()

    async def get() -> None:
        while (number := await queue.get_async()) is not None:
            got[number] += 1

    async def main() -> None:
        await asyncio.gather(*(get() for _ in range(20)))

    def put() -> None:
        for number in [*range(2000), *[None] * 20]:
            queue.put(number)

    producer = threading.Thread(target=put)
    producer.start()
    asyncio.run(main())
    producer.join()
    assert got == dict.fromkeys(range(2000), 1)


def test_several_loops_of_one_process_wait_for_one_queue() -> None:
    queue, got = new("Queue"), list[Any]()

    async def get() -> None:
        got.append(await queue.get_async(LIMIT_S))

    async def main() -> None:
        await asyncio.gather(*(get() for _ in range(50)))

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(200):
        queue.put(number)
    for thread in threads:
        thread.join(LIMIT_S)
    assert sorted(got) == list(range(200))


def test_uvloop_is_a_loop_like_any_other() -> None:
    uvloop = pytest.importorskip("uvloop")
    there, back = new("Queue"), new("Queue")

    async def main() -> list[int]:
        for number in range(200):
            await there.put_async(number)
        return [await back.get_async() for _ in range(200)]

    process = run(multiprocessing.get_context("fork"), tasks.echo, there, back, 200)
    assert uvloop.run(main()) == list(range(200))
    end(process)


def test_a_wait_ends_when_its_time_is_over() -> None:
    empty, full = new("Queue"), new("Queue", 1)
    full.put(1)
    locks = [new(name) for name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore")]

    async def main() -> None:
        with pytest.raises(Empty):
            await empty.get_async(0.02)
        with pytest.raises(Empty):
            await empty.get_async(timeout=-1)
        with pytest.raises(Full):
            await full.put_async(2, 0.02)
        with pytest.raises(Empty):
            await new("SimpleQueue").get_async(timeout=0.02)
        for lock in locks:
            with lock:
                assert not await lock.acquire_async(0.02)
            assert await lock.acquire_async(timeout=0.02)
            lock.release()
        assert not await new("Event").wait_async(0.02)
        barrier = new("Barrier", 2)
        with pytest.raises(threading.BrokenBarrierError):
            await barrier.wait_async(0.02)
        assert barrier.broken
        condition = new("Condition")
        async with condition:
            assert not await condition.wait_async(0.02)
            assert await condition.wait_for_async(lambda: 0, timeout=0.02) == 0
        assert not condition._lock.locked()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"])
def test_a_lock_keeps_the_tasks_of_all_processes_out(context: Any, name: str, tmp_path: Path) -> None:
    lock, path = getattr(context, name)(), tmp_path / "number"
    path.write_text("0")
    processes = [run(context, tasks.add, lock, str(path), 50) for _ in range(2)]
    asyncio.run(tasks.add_in_tasks(lock, str(path), 50))
    for process in processes:
        end(process)
    assert path.read_text() == str(3 * 50 * tasks.TASK_COUNT)


def test_each_task_is_an_owner_of_an_rlock() -> None:
    lock = new("RLock")

    async def other() -> None:
        assert not lock.acquire(False)
        assert not await lock.acquire_async(0.01)
        with pytest.raises(AssertionError):
            lock.release()

    async def main() -> None:
        async with lock:
            assert await lock.acquire_async()
            assert lock.acquire(False)
            await asyncio.create_task(other())
            lock.release()
            lock.release()
            assert lock.locked()
        assert not lock.locked()
        with lock:
            # The thread's, and no task's.
            assert not await lock.acquire_async(0.01)

    asyncio.run(main())


def test_a_condition_wakes_tasks_and_threads_and_gives_them_the_lock() -> None:
    condition, ready = new("Condition"), list[int]()

    async def take() -> int:
        async with condition:
            assert await condition.wait_for_async(lambda: ready)
            return ready.pop()

    def give() -> None:
        for number in range(30):
            with condition:
                ready.append(number)
                condition.notify()

    async def main() -> list[int]:
        takers = await begun(*(take() for _ in range(30)))
        await asyncio.to_thread(give)
        return await asyncio.wait_for(asyncio.gather(*takers), LIMIT_S)

    assert sorted(asyncio.run(main())) == list(range(30))


def test_a_condition_asks_for_its_lock() -> None:
    async def main() -> None:
        with pytest.raises(AssertionError, match="must acquire"):
            await new("Condition").wait_async()
        with pytest.raises(TypeError, match=r"threefold\.multiprocessing"):
            new("Condition", _Foreign()).wait_async()

    asyncio.run(main())


class _Foreign:
    """A lock of somebody else's."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None: ...


def test_an_event_releases_a_thousand_tasks_even_if_it_is_cleared_at_once(context: Any) -> None:
    event = context.Event()

    async def main() -> list[bool]:
        waits = await begun(*(event.wait_async() for _ in range(1000)))
        process = run(context, tasks.flash, event)
        answers = await asyncio.wait_for(asyncio.gather(*waits), LIMIT_S)
        end(process)
        return answers

    assert asyncio.run(main()) == [True] * 1000
    assert not event.is_set()


def test_parties_of_a_barrier_are_tasks_and_processes(context: Any) -> None:
    barrier, answers = context.Barrier(4), context.Queue()
    process = run(context, programs.meet, barrier, answers)

    async def main() -> list[int]:
        return await asyncio.wait_for(asyncio.gather(*(barrier.wait_async() for _ in range(3))), LIMIT_S)

    assert sorted([*asyncio.run(main()), answers.get(timeout=LIMIT_S)]) == [0, 1, 2, 3]
    end(process)


def test_the_last_task_at_a_barrier_acts_and_rounds_follow_each_other() -> None:
    rounds = list[int]()
    barrier = new("Barrier", 3, lambda: rounds.append(1))

    async def main() -> list[int]:
        return await asyncio.wait_for(asyncio.gather(*(barrier.wait_async() for _ in range(30))), LIMIT_S)

    assert sorted(asyncio.run(main())) == sorted([0, 1, 2] * 10)
    assert len(rounds) == 10


def test_a_task_that_is_cancelled_at_a_barrier_is_not_counted() -> None:
    barrier = new("Barrier", 2)

    async def main() -> list[int]:
        (first,) = await begun(barrier.wait_async())
        assert barrier.n_waiting == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert barrier.n_waiting == 0
        return await asyncio.wait_for(asyncio.gather(barrier.wait_async(), barrier.wait_async()), LIMIT_S)

    assert sorted(asyncio.run(main())) == [0, 1]


def test_join_waits_in_a_task_until_all_is_done(context: Any) -> None:
    work, results = context.JoinableQueue(), context.Queue()
    worker = run(context, programs.work, work, results)

    async def main() -> list[int]:
        for number in [*range(20), None]:
            await work.put_async(number)
        await asyncio.wait_for(work.join_async(), LIMIT_S)
        return [await results.get_async(LIMIT_S) for _ in range(20)]

    assert asyncio.run(main()) == [number * number for number in range(20)]
    end(worker)


def test_what_cannot_be_pickled_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    queue, simple = new("Queue"), new("SimpleQueue")

    async def main() -> None:
        await queue.put_async(lambda: 1)
        with pytest.raises(Exception, match="pickle"):
            await simple.put_async(lambda: 1)
        await queue.put_async("next")
        assert await queue.get_async() == "next"

    asyncio.run(main())
    assert "Traceback" in capfd.readouterr().err


def test_a_closed_queue_refuses_tasks() -> None:
    queue, simple = new("Queue"), new("SimpleQueue")
    queue.close()
    simple.close()
    for use in (lambda: queue.put_async(1), queue.get_async):
        with pytest.raises(ValueError, match="is closed"):
            use()
    for use in (lambda: simple.put_async(1), simple.get_async):
        with pytest.raises(OSError, match="handle is closed"):
            use()


@pytest.mark.parametrize("name", ["Lock", "RLock", "BoundedSemaphore"])
def test_the_death_of_the_holder_wakes_a_task(context: Any, name: str) -> None:
    lock, is_held = getattr(context, name)(), context.Event()

    async def main() -> float:
        process = run(context, programs.hold, lock, is_held)
        assert await is_held.wait_async(LIMIT_S)
        (wait,) = await begun(lock.acquire_async(LIMIT_S))
        began = time.monotonic()
        os.kill(process.pid, signal.SIGKILL)
        assert await wait
        return time.monotonic() - began

    assert asyncio.run(main()) < SOON_S


def test_a_waiting_task_is_woken_by_the_process_that_puts(context: Any) -> None:
    queue = context.Queue()

    async def main() -> bytes:
        (wait,) = await begun(queue.get_async(LIMIT_S))
        end(run(context, programs.put_a_megabyte, queue))
        return await wait

    assert asyncio.run(main()) == programs.MEGABYTE

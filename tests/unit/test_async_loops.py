"""One object serves threads and the tasks of several loops at once, and a loop that is closed, moved or asleep harms nobody."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from threefold.queue import Queue, SimpleQueue
from threefold.threading import Barrier, Condition, Event, Lock, Semaphore

LIMIT_S = 30.0
# What a wake may take on a busy machine; one that is lost takes for ever.
SOON_S = 5.0


def in_threads(*functions: Any) -> None:
    """Run functions in a thread each, and raise what one of them raises."""
    errors: list[BaseException] = []

    def run(function: Any) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("maxsize", [0, 1, 3])
def test_threads_and_the_tasks_of_several_loops_share_a_queue(maxsize: int, full_stress: bool) -> None:
    queue: Any = Queue(maxsize)
    count = 5_000 if full_stress else 500
    got: list[int] = []

    def produce(first: int) -> None:
        for number in range(first, first + count):
            queue.put(number)

    async def produce_in_a_task(first: int) -> None:
        for number in range(first, first + count):
            await queue.put_async(number)

    def consume() -> None:
        for _ in range(count):
            got.append(queue.get())

    async def consume_in_tasks() -> None:
        async def take() -> None:
            for _ in range(count // 5):
                got.append(await queue.get_async())

        await asyncio.gather(*(take() for _ in range(5)))

    in_threads(
        lambda: produce(0),
        lambda: produce(count),
        lambda: asyncio.run(produce_in_a_task(2 * count)),
        lambda: asyncio.run(produce_in_a_task(3 * count)),
        consume,
        consume,
        lambda: asyncio.run(consume_in_tasks()),
        lambda: asyncio.run(consume_in_tasks()),
    )
    assert Counter(got) == Counter(range(4 * count))


@pytest.mark.parametrize("make", [Lock, Semaphore, Condition])
def test_threads_and_the_tasks_of_several_loops_share_a_lock(make: Any) -> None:
    lock, count = make(), 0

    def add() -> None:
        nonlocal count
        for _ in range(300):
            with lock:
                before = count
                time.sleep(0)
                count = before + 1

    async def add_in_tasks() -> None:
        async def add() -> None:
            nonlocal count
            for _ in range(100):
                async with lock:
                    before = count
                    await asyncio.sleep(0)
                    count = before + 1

        await asyncio.gather(*(add() for _ in range(3)))

    def run() -> None:
        asyncio.run(add_in_tasks())

    in_threads(add, add, run, run)
    assert count == 1_200


def test_threads_and_tasks_meet_at_a_barrier() -> None:
    barrier, numbers = Barrier(4), []

    async def meet() -> None:
        numbers.extend(await asyncio.gather(barrier.wait_async(), barrier.wait_async()))

    in_threads(
        lambda: numbers.append(barrier.wait(LIMIT_S)),
        lambda: numbers.append(barrier.wait(LIMIT_S)),
        lambda: asyncio.run(meet()),
    )
    assert sorted(numbers) == [0, 1, 2, 3]


def test_a_thread_notifies_tasks_and_a_task_notifies_threads() -> None:
    changed, steps = Condition(), []

    def wait_in_a_thread() -> None:
        with changed:
            assert changed.wait_for(lambda: "task" in steps, LIMIT_S)
            steps.append("thread")
            changed.notify_all()

    async def wait_in_a_task() -> None:
        async with changed:
            steps.append("task")
            changed.notify_all()
            assert await changed.wait_for_async(lambda: "thread" in steps, LIMIT_S)

    in_threads(wait_in_a_thread, lambda: asyncio.run(wait_in_a_task()))


async def started(coroutine: Any) -> Any:
    """Return the task of a coroutine that has come to its wait."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0.01)
    return task


@pytest.mark.parametrize("make", [Queue, SimpleQueue])
def test_a_task_of_a_closed_loop_harms_nobody(make: Any) -> None:
    queue = make()
    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(started(queue.get_async()))
    task._log_destroy_pending = False
    loop.close()
    queue.put(1)
    queue.put(2)
    # One of the items may be meant for the task that will not run again, until it goes away.
    first = queue.get(timeout=LIMIT_S)
    task.get_coro().close()
    assert {first, queue.get(timeout=LIMIT_S)} == {1, 2}


def test_releasing_a_lock_that_a_task_of_a_closed_loop_waits_for_is_fine() -> None:
    lock, event = Lock(), Event()
    lock.acquire()
    loop = asyncio.new_event_loop()
    tasks = [loop.run_until_complete(started(wait)) for wait in (lock.acquire_async(), event.wait_async())]
    loop.close()
    event.set()
    lock.release()
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()
    assert lock.acquire(timeout=LIMIT_S)


def test_a_loop_that_moved_to_another_thread_is_woken_there() -> None:
    queue: Any = Queue()
    moved = asyncio.new_event_loop()
    task = moved.run_until_complete(started(queue.get_async()))

    def run() -> None:
        moved.run_until_complete(asyncio.wait([task], timeout=SOON_S))

    async def put() -> None:
        while not moved.is_running():
            await asyncio.sleep(0)
        # The loop has nothing else to do, so it is asleep or about to be.
        await asyncio.sleep(0.05)
        queue.put("woken")

    thread = threading.Thread(target=run)
    thread.start()
    asyncio.run(put())
    thread.join()
    is_done = task.done()
    task.cancel()
    moved.run_until_complete(asyncio.wait([task]))
    moved.close()
    assert is_done, f"the task was not woken within {SOON_S} s"
    assert task.result() == "woken"


def test_a_signal_handler_wakes_a_loop_that_is_asleep() -> None:
    queue, event, lock, permits = Queue(), Event(), Lock(), Semaphore(0)  # type: ignore[var-annotated]
    lock.acquire()

    def handler(_number: int, _frame: object) -> None:
        queue.put("signal")
        event.set()
        lock.release()
        permits.release()

    async def main() -> Any:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        waits = queue.get_async(), event.wait_async(), lock.acquire_async(), permits.acquire_async()
        async with asyncio.timeout(SOON_S):
            return await asyncio.gather(*waits)

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        assert asyncio.run(main()) == ["signal", True, True, True]
    finally:
        signal.signal(signal.SIGALRM, previous)


class Struck(Exception):
    """What a signal handler raises in the middle of a wake."""


class StruckLoop(asyncio.SelectorEventLoop):
    """A loop in whose Python code the next wake is interrupted, as a signal handler would."""

    is_armed = False

    def strike(self) -> None:
        if self.is_armed:
            self.is_armed = False
            raise Struck

    def call_soon(self, *arguments: Any, **keywords: Any) -> Any:
        self.strike()
        return super().call_soon(*arguments, **keywords)

    def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> Any:
        self.strike()
        return super().call_soon_threadsafe(*arguments, **keywords)


@pytest.fixture
def struck_loop() -> Generator[StruckLoop]:
    """Offer a loop that runs in another thread."""
    loop = StruckLoop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.is_armed = False
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
    loop.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_wake_that_is_interrupted_does_not_deafen_the_loop(struck_loop: StruckLoop) -> None:
    queue: Any = Queue()
    got: Any = SimpleQueue()

    async def consume() -> None:
        while True:
            got.put(await queue.get_async())

    asyncio.run_coroutine_threadsafe(started(consume()), struck_loop).result(LIMIT_S)
    for number in range(3):
        struck_loop.is_armed = True
        try:
            queue.put(number)
        except Struck:
            pass
        assert got.get(timeout=SOON_S) == number


def test_what_a_handler_raises_in_a_wake_comes_out_of_the_call(struck_loop: StruckLoop) -> None:
    queue: Any = Queue()
    asyncio.run_coroutine_threadsafe(started(queue.get_async()), struck_loop).result(LIMIT_S)
    struck_loop.is_armed = True
    with pytest.raises(Struck):
        queue.put(1)
        # At the latest at the next call of anything of the engine.
        queue.qsize()


INTERRUPTED = """
import asyncio, sys
from threefold.queue import Queue
from threefold.threading import Lock, Event
queue, lock, event = Queue(), Lock(), Event()
async def main():
    await lock.acquire_async()
    waits = [queue.get_async(), lock.acquire_async(), event.wait_async()]
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.sleep(0)
    print("waiting", flush=True)
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise
try:
    asyncio.run(main())
except KeyboardInterrupt:
    queue.put(1)
    lock.release()
    print("interrupted", queue.get(timeout=5), lock.acquire(timeout=5), flush=True)
"""


@pytest.mark.timeout(60)
def test_ctrl_c_cancels_what_asyncio_runs() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-X", "dev", "-c", INTERRUPTED]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=LIMIT_S)
    assert (output, errors) == ("cancelled\ninterrupted 1 True\n", "")

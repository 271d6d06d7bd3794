"""Queues between asyncio tasks, and from a thread to a task, on the standard library's loop and on uvloop."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from harness import UnavailableError, case, expect, load, times
from queue_ends import mixed_ends, task_ends

BETWEEN_TASKS = {
    "asyncio.Queue": "asyncio:Queue",
    "culsans": "culsans:Queue",
    "janus": "janus:Queue",
    "aiologic": "aiologic:Queue",
    "threefold": "threefold.queue:Queue",
}
FROM_A_THREAD = {"call_soon_threadsafe": "asyncio:Queue"} | {
    name: address for name, address in BETWEEN_TASKS.items() if name != "asyncio.Queue"
}

Main = Callable[[], Coroutine[Any, Any, float]]


def on_standard_loop(main: Main) -> float:
    """Run a coroutine function on the standard library's loop."""
    return asyncio.run(main())


def on_uvloop(main: Main) -> float:
    """Run a coroutine function on uvloop; unavailable where that is not installed."""
    try:
        new_event_loop = load("uvloop:new_event_loop")
    except ModuleNotFoundError:
        raise UnavailableError("uvloop is not installed") from None
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


async def between_tasks(peer: str, count: int, maxsize: int) -> float:
    """Return the items moved in a second from one task to another.

    Args:
        peer: the address of the queue's class.
        count: items.
        maxsize: of the queue.
    """
    put, get = task_ends(peer, maxsize)
    received = []

    async def produce() -> None:
        for number in range(count):
            await put(number)

    async def consume() -> None:
        for _ in range(count):
            received.append(await get())  # noqa: PERF401 - an async comprehension awaits through a frame of its own

    begin = time.perf_counter()
    await asyncio.gather(consume(), produce())
    elapsed = time.perf_counter() - begin
    expect(received, list(range(count)), "the items")
    return count / elapsed


async def stream_from_a_thread(peer: str) -> float:
    """Return the items moved in a second from a thread to a task."""
    put, get = mixed_ends(peer)
    count = times(30_000)
    received = []

    def produce() -> None:
        for number in range(count):
            put(number)

    thread = threading.Thread(target=produce)
    begin = time.perf_counter()
    thread.start()
    for _ in range(count):
        received.append(await get())  # noqa: PERF401 - an async comprehension awaits through a frame of its own
    elapsed = time.perf_counter() - begin
    thread.join()
    expect(received, list(range(count)), "the items")
    return count / elapsed


async def one_at_a_time_from_a_thread(peer: str) -> float:
    """Return the microseconds until the answer to an item: the thread puts, the task answers by the same way for all peers."""
    put, get = mixed_ends(peer)
    back: queue.SimpleQueue[int] = queue.SimpleQueue()
    count = times(5_000)
    answers = []
    elapsed = 0.0

    def ask() -> None:
        nonlocal elapsed
        begin = time.perf_counter()
        for number in range(count):
            put(number)
            answers.append(back.get())
        elapsed = time.perf_counter() - begin

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(count):
        back.put(await get())
    await asyncio.to_thread(thread.join)
    expect(answers, list(range(count)), "the answers")
    return elapsed / count * 1e6


for suffix, run in (("", on_standard_loop), (", uvloop", on_uvloop)):

    @case(f"task to task{suffix}", "items/s", BETWEEN_TASKS)
    def unbounded(peer: str, run: Callable[[Main], float] = run) -> float:
        return run(lambda: between_tasks(peer, times(50_000), 0))

    @case(f"task to task, maxsize=1{suffix}", "items/s", BETWEEN_TASKS)
    def bounded(peer: str, run: Callable[[Main], float] = run) -> float:
        return run(lambda: between_tasks(peer, times(20_000), 1))

    @case(f"thread to task, stream{suffix}", "items/s", FROM_A_THREAD)
    def stream(peer: str, run: Callable[[Main], float] = run) -> float:
        return run(lambda: stream_from_a_thread(peer))

    @case(f"thread to task, one at a time{suffix}", "us", FROM_A_THREAD)
    def one_at_a_time(peer: str, run: Callable[[Main], float] = run) -> float:
        return run(lambda: one_at_a_time_from_a_thread(peer))

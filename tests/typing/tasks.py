"""What type checkers must see where a task waits on the objects that threads use; checked, never run."""

from typing import assert_type

from threefold import queue, threading


async def locks(lock: threading.Lock, condition: threading.Condition, semaphore: threading.Semaphore) -> None:
    assert_type(await lock.acquire_async(timeout=1.0), bool)
    assert_type(await semaphore.acquire_async(), bool)
    async with lock, semaphore:
        pass
    async with condition:
        assert_type(await condition.wait_async(timeout=None), bool)
        assert_type(await condition.wait_for_async(lambda: "ready", timeout=2), str)


async def events(event: threading.Event, barrier: threading.Barrier) -> None:
    assert_type(await event.wait_async(0.5), bool)
    assert_type(await barrier.wait_async(), int)


async def queues(fifo: queue.Queue[int], simple: queue.SimpleQueue[str]) -> None:
    await fifo.put_async(1, timeout=0.5)
    assert_type(await fifo.get_async(), int)
    await fifo.join_async()
    async for item in fifo:
        assert_type(item, int)
    await simple.put_async("a")
    assert_type(await simple.get_async(timeout=1), str)

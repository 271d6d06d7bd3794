"""Mistakes that type checkers must refuse: each line that is ignored here is an error, and an unused ignore is one too."""

from threefold import queue, threading


def refused(numbers: queue.Queue[int], lock: threading.Lock, event: threading.Event) -> None:
    numbers.put("one")  # type: ignore[arg-type]
    numbers.get(True, 2, 3)  # type: ignore[call-arg]
    lock.acquire(timeout="soon")  # type: ignore[arg-type]
    event.wait_async("soon")  # type: ignore[arg-type]
    threading.Semaphore(value="many")  # type: ignore[arg-type]
    threading.Barrier()  # type: ignore[call-arg]
    lock.put(1)  # type: ignore[attr-defined]


async def refused_in_a_task(numbers: queue.Queue[int], event: threading.Event) -> None:
    await event.wait()  # type: ignore[misc]
    text: str = await numbers.get_async()  # type: ignore[assignment]
    print(text)

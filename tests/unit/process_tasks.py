"""What the tasks of child processes do; imported by its bare name, so that fresh interpreters find it, too."""

import asyncio
from pathlib import Path
from typing import Any

from threefold import OwnerDied

TASK_COUNT = 4
LIMIT_S = 20.0
READY = "ready"


def echo(there: Any, back: Any, count: int) -> None:
    """Give every object back."""

    async def main() -> None:
        for _ in range(count):
            await back.put_async(await there.get_async())

    asyncio.run(main())


def read(path: str) -> int:
    """Return the number in the file."""
    return int(Path(path).read_text())


def write(path: str, number: int) -> None:
    """Put a number into the file."""
    Path(path).write_text(str(number))


async def add_in_tasks(lock: Any, path: str, rounds: int) -> None:
    """Count in a file what only a lock keeps whole, in several tasks."""

    async def count() -> None:
        for _ in range(rounds):
            async with lock:
                number = read(path)
                await asyncio.sleep(0)
                write(path, number + 1)

    await asyncio.gather(*(count() for _ in range(TASK_COUNT)))


def add(lock: Any, path: str, rounds: int) -> None:
    """The same, with a loop of its own."""
    asyncio.run(add_in_tasks(lock, path, rounds))


def flash(event: Any) -> None:
    """Set the event and clear it at once."""
    event.set()
    event.clear()


def take_and_release(lock: Any, is_over: Any) -> None:
    """Use the lock until it is over."""
    while not is_over.is_set():
        with lock:
            pass


def take_or_be_told_in_a_task(lock: Any, answers: Any) -> None:
    """Take the lock once in a task, and say how that went, with the number of the dead owner if one was told of."""

    async def take() -> None:
        try:
            async with lock:
                answers.put("had")
        except OwnerDied as error:
            answers.put(error.pid)

    asyncio.run(take())


def get_and_answer(queue: Any, answers: Any) -> None:
    """Take one object in a task and pass it on."""

    async def main() -> None:
        wait = asyncio.ensure_future(queue.get_async(LIMIT_S))
        await asyncio.sleep(0)
        await answers.put_async(READY)
        await answers.put_async(await wait)

    asyncio.run(main())

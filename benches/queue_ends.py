"""The two ends of each peer's queue, as a thread and as a task see them: what every peer calls by another name."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from harness import UnavailableError, home, load

Put = Callable[[Any], Any]
Get = Callable[[], Any]
AsyncPut = Callable[[Any], Awaitable[Any]]
AsyncGet = Callable[[], Awaitable[Any]]


def make(peer: str, maxsize: int) -> Any:
    """Return an empty queue.

    Args:
        peer: the address of its class.
        maxsize: most items it may hold; 0 means no limit.

    Raises:
        UnavailableError: if its class knows no limit, and there is to be one.
    """
    kind = load(peer)
    if kind.__name__ == "SimpleQueue":
        if maxsize:
            raise UnavailableError("it has no maxsize")
        return kind()
    if home(peer) == "aiologic":
        return kind(maxsize or None)
    return kind(maxsize)


def thread_ends(peer: str, maxsize: int = 0) -> tuple[Put, Get]:
    """Return the put and the get of a new queue that block a thread."""
    queue = make(peer, maxsize)
    match home(peer):
        case "aiologic":
            return queue.green_put, queue.green_get
        case "culsans" | "janus":
            return queue.sync_q.put, queue.sync_q.get
        case _:
            return queue.put, queue.get


def task_ends(peer: str, maxsize: int = 0) -> tuple[AsyncPut, AsyncGet]:
    """Return the put and the get of a new queue that a task awaits; called inside the running loop."""
    queue = make(peer, maxsize)
    match home(peer):
        case "aiologic":
            return queue.async_put, queue.async_get
        case "culsans" | "janus":
            return queue.async_q.put, queue.async_q.get
        case "threefold":
            return queue.put_async, queue.get_async
        case _:
            return queue.put, queue.get


def mixed_ends(peer: str) -> tuple[Put, AsyncGet]:
    """Return the put for a thread and the get for a task of a new queue; called inside the running loop."""
    queue = make(peer, 0)
    match home(peer):
        case "aiologic":
            return queue.green_put, queue.async_get
        case "culsans" | "janus":
            return queue.sync_q.put, queue.async_q.get
        case "threefold":
            return queue.put, queue.get_async
        case _:
            call, put = asyncio.get_running_loop().call_soon_threadsafe, queue.put_nowait
            return lambda item: call(put, item), queue.get

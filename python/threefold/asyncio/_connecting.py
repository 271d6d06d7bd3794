"""Races between the addresses of a host: no socket that has connected is forgotten when nobody waits for the winner."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

# The sockets that have connected in the race that this is part of, and are nobody's yet.
_connected: ContextVar[list[Any] | None] = ContextVar("_connected", default=None)

_standard: Any = asyncio.BaseEventLoop


def with_races(create_connection: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return `create_connection` with all sockets of a race closed that did not become a transport's.

    Its result is lost when it is cancelled just after somebody has won.

    Args:
        create_connection: the standard library's.
    """

    @functools.wraps(create_connection)
    async def create(loop: Any, *arguments: Any, **options: Any) -> Any:
        if options.get("happy_eyeballs_delay") is None:
            return await create_connection(loop, *arguments, **options)
        connected: list[Any] = []
        token = _connected.set(connected)
        try:
            return await create_connection(loop, *arguments, **options)
        finally:
            for sock in connected:
                sock.close()
            _connected.reset(token)

    return create


async def connect(loop: Any, *arguments: Any) -> Any:
    """Connect a socket to one address.

    Args:
        loop: an event loop of ours.
        arguments: of the standard library's method.

    Returns:
        The socket.

    Source: CPython Lib/asyncio/base_events.py, BaseEventLoop._connect_sock
    """
    try:
        sock = await _standard._connect_sock(loop, *arguments)
    finally:
        # Among them is a list of what was raised, which would be a cycle with this frame.
        arguments = ()
    connected = _connected.get()
    if connected is not None:
        connected.append(sock)
    return sock


def note_owner(sock: Any) -> None:
    """Note that a socket is a transport's, which will close it."""
    connected = _connected.get()
    if connected is not None and sock in connected:
        connected.remove(sock)

"""Streams: the standard library's readers and writers, whose reads, writes and drains are the engine's on our loops."""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

from threefold import _threefold

#: How much a reader buffers: at twice that its connection is paused.
LIMIT_BYTES = 64 * 1024


#: The attributes of the standard library's reader that ours has in its core.
_OF_CORE = ("_buffer", "_limit", "_eof", "_waiter", "_exception", "_transport", "_paused")


def _of_core(name: str) -> property:
    """Return a property that stands for what the core has under a name."""
    get = attrgetter("_core." + name)

    def set_in_core(reader: Any, value: Any) -> None:
        setattr(reader._core, name, value)

    return property(get, set_in_core)


class StreamReader(asyncio.StreamReader):
    """A stream's reader; what arrives while a task waits in `read` goes straight to it.

    `read`, `readexactly`, `readline` and `readuntil` are the engine's, and so is what the reader keeps. It is made of a
    standard one, by `adopt_reader`.

    Source: CPython Lib/asyncio/streams.py
    """

    _core: Any

    _buffer = _of_core("buffer")
    _limit = _of_core("limit")
    _eof = _of_core("eof")
    _waiter = _of_core("waiter")
    _exception = _of_core("exception")
    _transport = _of_core("transport")
    _paused = _of_core("paused")


class StreamWriter(asyncio.StreamWriter):
    """A stream's writer.

    `write` and `drain` are the engine's.

    Source: CPython Lib/asyncio/streams.py
    """


class StreamReaderProtocol(asyncio.StreamReaderProtocol):
    """What brings a connection's bytes to a reader.

    Source: CPython Lib/asyncio/streams.py
    """

    _client_connected_cb: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the reader its transport and, in a server, begin the task of the connection."""
        callback = self._client_connected_cb
        if callback is not None:
            self._client_connected_cb = partial(_connect, callback)
        try:
            super().connection_made(transport)
        finally:
            self._client_connected_cb = callback


def _connect(callback: Callable[[Any, Any], Any], reader: Any, writer: Any) -> Any:
    if type(writer) is asyncio.StreamWriter:
        writer.__class__ = StreamWriter
    return callback(reader, writer)


def adopt(protocol: Any, loop: Any) -> None:
    """Make the standard library's own reader and protocol of a new connection ours; others stay as they are.

    Args:
        protocol: the connection's.
        loop: the connection's, which is ours.
    """
    if type(protocol) is not asyncio.StreamReaderProtocol:
        return
    reader = protocol._stream_reader  # type: ignore[attr-defined]
    if type(reader) is asyncio.StreamReader and adopt_reader(reader, loop):
        protocol.__class__ = StreamReaderProtocol


def adopt_reader(reader: Any, loop: Any) -> bool:
    """Make a standard reader of a loop of ours ours; one that keeps what ours cannot keep stays as it is.

    Args:
        reader: of exactly the standard library's class.
        loop: of the connection that it reads.
    """
    kept = reader.__dict__
    limit = kept.get("_limit")
    if kept.get("_loop") is not loop or type(kept.get("_buffer")) is not bytearray:
        return False
    if type(limit) is not int or limit > sys.maxsize:
        return False
    core: Any = _threefold.ReaderCore(loop, kept["_buffer"], limit)
    for name in _OF_CORE:
        setattr(core, name[1:], kept.pop(name))
    kept["_core"] = core
    reader.__class__ = StreamReader
    return True


def is_buffered(protocol: Any) -> bool:
    """Whether a protocol brings its own memory; one that has the methods of both kinds says what it is by its class."""
    if isinstance(protocol, asyncio.BufferedProtocol):
        return True
    return not hasattr(protocol, "data_received") and hasattr(protocol, "get_buffer")


def reader_of(protocol: Any) -> StreamReader | None:
    """Return the reader to which a protocol of ours brings what arrives."""
    if type(protocol) is not StreamReaderProtocol:
        return None
    reader = protocol._stream_reader  # type: ignore[attr-defined]
    return reader if type(reader) is StreamReader else None


def take_buffered(protocol: Any) -> bytes:
    """Take out what the reader of a stream's protocol, the standard library's or ours, has buffered."""
    reader = getattr(protocol, "_stream_reader", None) if isinstance(protocol, asyncio.StreamReaderProtocol) else None
    if reader is None:
        return b""
    buffer = reader._buffer
    data = bytes(buffer)
    buffer.clear()
    return data


async def open_connection(
    host: str | None = None, port: int | str | None = None, *, limit: int = LIMIT_BYTES, **kwds: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a server; as `asyncio.open_connection`, which says what the arguments are.

    Returns:
        A reader and a writer; on a loop of ours, both are the engine's.

    Source: CPython Lib/asyncio/streams.py
    """
    return _as_ours(*await asyncio.open_connection(host, port, limit=limit, **kwds))


async def open_unix_connection(
    path: str | os.PathLike[str] | None = None, *, limit: int = LIMIT_BYTES, **kwds: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a Unix socket; as `asyncio.open_unix_connection`, which says what the arguments are.

    Returns:
        A reader and a writer; on a loop of ours, both are the engine's.

    Source: CPython Lib/asyncio/streams.py
    """
    return _as_ours(*await asyncio.open_unix_connection(path, limit=limit, **kwds))


def _as_ours(reader: Any, writer: Any) -> tuple[Any, Any]:
    if type(reader) is StreamReader and type(writer) is asyncio.StreamWriter:
        writer.__class__ = StreamWriter
    return reader, writer


_threefold.install_streams(StreamReader, StreamWriter)

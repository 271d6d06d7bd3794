"""The ends of connections, one class for each way in which a program may use a loop, all with the same methods."""

import asyncio
import collections
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

LIMIT_S = 60.0
MUCH_BYTES = 100_000
RESET = struct.pack("ii", 1, 0)


class End:
    """One end of a connection."""

    # Whether closing the socket wakes those who wait at it.
    wakes = True

    async def send(self, data: bytes) -> None:
        """Send bytes; waits while too many are under way."""
        raise NotImplementedError

    async def send_end(self) -> None:
        """Say that nothing more comes."""
        raise NotImplementedError

    async def receive(self, most: int) -> bytes:
        """Return what arrives next, or nothing at the end."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection when what is queued has gone out."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close the connection at once."""
        raise NotImplementedError

    def socket(self) -> Any:
        """Return its socket."""
        raise NotImplementedError

    async def lost(self) -> None:
        """Wait until the connection is over."""

    def reset(self) -> None:
        """Close the connection so that the other end hears of a reset."""
        # A socket that is closed already can't do it.
        with contextlib.suppress(OSError):
            self.socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.abort()


class StreamEnd(End):
    """A reader and a writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_end(self) -> None:
        self.writer.write_eof()

    async def receive(self, most: int) -> bytes:
        return await self.reader.read(most)

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()

    def socket(self) -> Any:
        return self.writer.get_extra_info("socket")

    async def lost(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.wait_for(self.writer.wait_closed(), LIMIT_S)


class ProtocolEnd(End, asyncio.Protocol):
    """A protocol."""

    def __init__(self, when_connected: Callable[[Any], None] | None = None) -> None:
        self.when_connected = when_connected
        self.transport: Any = None
        self.pieces: collections.deque[bytes] = collections.deque()
        self.size = 0
        self.is_paused = self.has_ended = False
        self.error: BaseException | None = None
        self.over = asyncio.get_running_loop().create_future()
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert self.transport is None
        self.transport = transport
        if self.when_connected is not None:
            self.when_connected(self)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        assert not self.has_ended
        self.pieces.append(data)
        self.size += len(data)
        if self.size > MUCH_BYTES:
            self.transport.pause_reading()
        self.changed.set()

    def eof_received(self) -> bool:
        assert not self.has_ended
        self.has_ended = True
        self.changed.set()
        return True

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        self.changed.set()

    def connection_lost(self, error: BaseException | None) -> None:
        self.error = error
        # Raises if it is told twice.
        self.over.set_result(None)
        self.changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def send(self, data: bytes) -> None:
        self.transport.write(data)
        await self._until(lambda: not self.is_paused or self.over.done())
        if self.over.done():
            raise ConnectionResetError("the connection is over")

    async def send_end(self) -> None:
        self.transport.write_eof()

    async def receive(self, most: int) -> bytes:
        await self._until(lambda: bool(self.pieces) or self.has_ended or self.over.done())
        if not self.pieces:
            if self.error is not None:
                raise self.error
            return b""
        data = self.pieces.popleft()
        if len(data) > most:
            self.pieces.appendleft(data[most:])
            data = data[:most]
        self.size -= len(data)
        if self.size <= MUCH_BYTES and not self.transport.is_closing():
            self.transport.resume_reading()
        return data

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def socket(self) -> Any:
        return self.transport.get_extra_info("socket")

    async def lost(self) -> None:
        await asyncio.wait_for(asyncio.shield(self.over), LIMIT_S)


class BufferedEnd(ProtocolEnd, asyncio.BufferedProtocol):
    """A protocol with memory of its own."""

    memory: bytearray
    count = 0

    def get_buffer(self, _size_hint: int) -> bytearray:
        self.count += 1
        self.memory = bytearray(100 + 7919 * self.count % 70_000)
        return self.memory

    def buffer_updated(self, count: int) -> None:
        ProtocolEnd.data_received(self, bytes(self.memory[:count]))


class SocketEnd(End):
    """A socket and `sock_recv`, `sock_sendall`."""

    wakes = False

    def __init__(self, own: socket.socket) -> None:
        self.own = own
        self.loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.own, data)

    async def send_end(self) -> None:
        self.own.shutdown(socket.SHUT_WR)

    async def receive(self, most: int) -> bytes:
        return await self.loop.sock_recv(self.own, most)

    def close(self) -> None:
        self.own.close()

    abort = close

    def socket(self) -> Any:
        return self.own


class ReaderEnd(SocketEnd):
    """A socket and `add_reader`, `add_writer`."""

    async def _ready(self, add: Callable[..., None], remove: Callable[[Any], bool]) -> None:
        event = asyncio.Event()
        add(self.own, event.set)
        try:
            await event.wait()
        finally:
            remove(self.own)

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.own.send(rest) :]
            except BlockingIOError:
                await self._ready(self.loop.add_writer, self.loop.remove_writer)

    async def receive(self, most: int) -> bytes:
        while True:
            try:
                return self.own.recv(most)
            except BlockingIOError:
                await self._ready(self.loop.add_reader, self.loop.remove_reader)

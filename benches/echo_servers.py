"""An echo server in a process of its own: `echo_servers.py LOOP KIND BYTES [PEM]` prints its port and serves until killed."""

import asyncio
import resource
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from harness import UnavailableError
from loop_ends import run_on

HOST = "127.0.0.1"
BACKLOG = 4096
# What a program asks for at once: with streams any length that is there, from sockets a usual buffer.
STREAM_BYTES = 256 * 1024
SOCKET_BYTES = 64 * 1024

Loop = asyncio.AbstractEventLoop


class Echo(asyncio.Protocol):
    """Writes back what comes."""

    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same through a buffer of its own; what is written must not change later, hence the copy."""

    transport: Any

    def __init__(self) -> None:
        # Not later: talyn asks for it before it says that there is a connection.
        self.buffer = memoryview(bytearray(STREAM_BYTES))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(bytes(self.buffer[:nbytes]))


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends each datagram back to where it came from."""

    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


def stream_echo(read: Callable[[asyncio.StreamReader], Awaitable[bytes]]) -> Callable[..., Awaitable[None]]:
    """Return the coroutine function of a connection that reads in one of several ways."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await read(reader):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    return echo


async def socket_echo(loop: Loop, connection: socket.socket) -> None:
    """Serve a connection by `sock_recv`."""
    try:
        while data := await loop.sock_recv(connection, SOCKET_BYTES):
            await loop.sock_sendall(connection, data)
    except ConnectionError:
        pass
    connection.close()


async def socket_echo_into(loop: Loop, connection: socket.socket) -> None:
    """Serve a connection by `sock_recv_into`."""
    buffer = memoryview(bytearray(SOCKET_BYTES))
    try:
        while count := await loop.sock_recv_into(connection, buffer):
            await loop.sock_sendall(connection, buffer[:count])
    except ConnectionError:
        pass
    connection.close()


async def accept_all(loop: Loop, listener: socket.socket, echo: Callable[..., Awaitable[None]]) -> None:
    """Serve each connection in a task of its own."""
    tasks = []
    while True:
        connection, _address = await loop.sock_accept(listener)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tasks.append(asyncio.ensure_future(echo(loop, connection)))


def context(pem: str) -> ssl.SSLContext:
    """Return the server's side of TLS, as `ssl` sets it up by default."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pem)
    return made


async def serve(loop: Loop, kind: str, message_bytes: int, pem: str | None) -> None:
    """Serve for ever; the port is printed when the server listens."""
    secure = context(pem) if pem else None
    match kind:
        case "udp":
            transport, _protocol = await loop.create_datagram_endpoint(DatagramEcho, local_addr=(HOST, 0))
            say_port(transport.get_extra_info("sockname"))
        case "sock_recv" | "sock_recv_into":
            listener = socket.create_server((HOST, 0), backlog=BACKLOG)
            listener.setblocking(False)
            say_port(listener.getsockname())
            await accept_all(loop, listener, socket_echo if kind == "sock_recv" else socket_echo_into)
        case "streams" | "readexactly":
            # `read` takes what is there, `readexactly` a message.
            asked = STREAM_BYTES if kind == "streams" else message_bytes
            name = "read" if kind == "streams" else "readexactly"
            echo = stream_echo(lambda reader: getattr(reader, name)(asked))
            streams = await asyncio.start_server(echo, HOST, 0, ssl=secure, backlog=BACKLOG)
            say_port(streams.sockets[0].getsockname())
        case _:
            protocol = {"protocol": Echo, "buffered": BufferedEcho}[kind]
            server = await loop.create_server(protocol, HOST, 0, ssl=secure, backlog=BACKLOG)
            say_port(server.sockets[0].getsockname())
    await loop.create_future()


def say_port(address: tuple[str, int]) -> None:
    """Tell whoever started this where it listens."""
    print("READY", address[1], flush=True)


def main() -> None:
    """Serve, or say why this loop cannot."""
    peer, kind, message_bytes, *pem = sys.argv[1:]
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        run_on(peer, lambda loop: serve(loop, kind, int(message_bytes), pem[0] if pem else None))
    except (NotImplementedError, UnavailableError) as reason:
        print("UNAVAILABLE", str(reason) or "it is not implemented", flush=True)


if __name__ == "__main__":
    main()

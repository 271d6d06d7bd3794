"""What fails around connections: no descriptors left, peers that go away in the middle, full disks, names that nobody knows."""

import asyncio
import contextlib
import errno
import os
import random
import resource
import socket
import struct
import sys
import time
from asyncio import constants
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loop_figures import descriptor_count, resident_kib
from stream_rig import LIMIT_S, Recorder, connect, receive_all, run, tcp_pair

RESET = struct.pack("ii", 1, 0)
MUCH_BYTES = 8_000_000
MANY_BYTES = 100_000_000


class Echo(asyncio.Protocol):
    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let this process open nothing meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept = []
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 10, hard)
    )
    try:
        with contextlib.suppress(OSError):
            while True:
                kept.append(os.dup(0))
        yield
    finally:
        for descriptor in kept:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def answer(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, b"hello")
    return await asyncio.wait_for(loop.sock_recv(client, 100), LIMIT_S)


def test_a_server_without_descriptors_backs_off_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        early = socket.create_connection(address)
        early.setblocking(False)
        assert await answer(early) == b"hello"
        late = [socket.socket() for _ in range(5)]
        with no_descriptors_left():
            for client in late:
                client.setblocking(False)
                client.connect_ex(address)
            begin, used = time.monotonic(), time.process_time()
            while time.monotonic() - begin < 0.4:
                # Those who are connected are served all the time.
                assert await answer(early) == b"hello"
                await asyncio.sleep(0.02)
            assert time.process_time() - used < 0.3
            reported = loop.reported  # type: ignore[attr-defined]
            # One for each attempt, and not one for each connection that the backlog has room for.
            assert 1 <= len(reported) <= 6
            assert {context["exception"].errno for context in reported} == {errno.EMFILE}
            reported.clear()
        for client in late:
            assert await answer(client) == b"hello"
        for client in [early, *late]:
            client.close()
        server.close()
        await server.wait_closed()
        assert reported == []

    run(main())


def test_a_server_that_is_closed_while_it_backs_off_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.05)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        reported = loop.reported  # type: ignore[attr-defined]
        with socket.socket() as client:
            client.setblocking(False)
            with no_descriptors_left():
                client.connect_ex(server.sockets[0].getsockname())
                while not reported:
                    await asyncio.sleep(0.001)
            server.close()
            reported.clear()
            await asyncio.sleep(0.1)
        assert reported == []
        assert loop._counts()[2] == 0  # type: ignore[attr-defined]

    run(main())


@contextlib.asynccontextmanager
async def deaf_address() -> Any:
    """Offer an address that answers no call: as many as it has room for wait already."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()


def test_connects_that_are_cancelled_at_any_moment_leave_nothing_behind() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        chooser = random.Random(5)
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        async with deaf_address() as deaf:
            before = descriptor_count()
            for number in range(300):
                options: dict[str, Any] = {"happy_eyeballs_delay": 0.0005} if number % 2 else {}
                host, port = deaf if number % 3 else address
                task = asyncio.create_task(loop.create_connection(Recorder, host, port, **options))
                for _ in range(chooser.randrange(8)):
                    await asyncio.sleep(chooser.choice((0, 0, 0.001)))
                if not task.done():
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    transport, protocol = await asyncio.wait_for(task, LIMIT_S)
                    transport.abort()
                    await protocol.lost
            # The server hears of those that it had accepted.
            while descriptor_count() > before:
                await asyncio.sleep(0.001)
        server.close()
        assert loop.reported == []  # type: ignore[attr-defined]

    run(main())


@pytest.mark.parametrize("first", ["deaf", "refused", "answers"])
def test_the_first_address_that_answers_is_taken_and_the_others_are_given_up(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_server(("127.0.0.1", 0)) as other:
            refused = other.getsockname()
        async with deaf_address() as deaf:
            found = {"deaf": [deaf, address], "refused": [refused, deaf, address], "answers": [address, deaf]}[first]

            async def look_up(*_arguments: Any, **_named: Any) -> Any:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in found]

            monkeypatch.setattr(loop, "getaddrinfo", look_up)
            before = descriptor_count()
            connecting = loop.create_connection(Recorder, "a.name", 1, happy_eyeballs_delay=0.01)
            transport, protocol = await asyncio.wait_for(connecting, LIMIT_S)
            assert transport.get_extra_info("peername") == address
            transport.write(b"hello")
            await protocol.until(lambda protocol: protocol.data == b"hello")
            transport.close()
            await protocol.lost
            while descriptor_count() > before:
                await asyncio.sleep(0.001)
        server.close()

    run(main())


def test_a_name_that_nobody_knows_is_an_error_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("no.such.name", 80)
        before = descriptor_count()
        for attempt in (
            lambda: loop.create_connection(Recorder, "no.such.name", 80),
            lambda: loop.create_connection(Recorder, "no.such.name", 80, happy_eyeballs_delay=0.1),
            lambda: loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("no.such.name", 80)),
            lambda: loop.create_server(Recorder, "no.such.name", 80),
            lambda: asyncio.open_connection("no.such.name", 80),
        ):
            with pytest.raises(socket.gaierror):
                await asyncio.wait_for(attempt(), LIMIT_S)
        assert descriptor_count() == before

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    run(main())


def test_a_file_that_shrinks_while_it_is_sent_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(MUCH_BYTES))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, peer = await connect()
        with path.open("rb") as file:
            sending = asyncio.create_task(loop.sendfile(transport, file))
            first = await loop.sock_recv(peer, 1000)
            os.truncate(path, MUCH_BYTES // 2)
            receiving = asyncio.create_task(receive_all(peer))
            sent = await sending
        transport.write(b"end")
        transport.close()
        received = first + await receiving
        assert received.endswith(b"end")
        assert len(received) - 3 == sent < MUCH_BYTES
        assert await protocol.lost is None
        peer.close()

    run(main())


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("kind", ["transport", "socket"])
def test_a_receiver_whose_disk_is_full_ends_the_sending_of_a_file(way: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(MUCH_BYTES))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = descriptor_count()
        near, far = tcp_pair()
        with path.open("rb") as file:
            if kind == "transport":
                transport, protocol, _far = await connect(pair=(near, far))
                sending = asyncio.create_task(loop.sendfile(transport, file))
            else:
                sending = asyncio.create_task(loop.sock_sendfile(near, file))
            # The receiver writes to a device that is full.
            piece = await loop.sock_recv(far, 1 << 16)
            with pytest.raises(OSError, match="No space left"), Path("/dev/full").open("wb", 0) as full:  # noqa: ASYNC230
                full.write(piece)
            if way == "reset":
                far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            far.close()
            with pytest.raises(ConnectionError):
                await sending
            assert 0 < file.tell() < MUCH_BYTES
        if kind == "transport":
            transport.close()
            await protocol.lost
        near.close()
        assert descriptor_count() == before

    run(main())


def test_a_write_to_a_full_device_ends_the_pipe_with_its_error() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        device = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", 0)
        transport, protocol = await loop.connect_write_pipe(Recorder, device)
        transport.write(b"x")
        error = await asyncio.wait_for(protocol.lost, LIMIT_S)
        assert isinstance(error, OSError)
        assert error.errno == errno.ENOSPC
        assert device.closed

    run(main())


@pytest.mark.parametrize("reads", ["streams", "protocol"])
def test_a_slow_reader_costs_neither_end_memory(reads: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        _reader, writer = await asyncio.open_connection(sock=near)
        received = most_kib = 0
        piece = bytes(1_000_000)
        begin_kib = resident_kib()

        async def send() -> None:
            for _ in range(MANY_BYTES // len(piece)):
                writer.write(piece)
                await writer.drain()
                assert writer.transport.get_write_buffer_size() <= len(piece) + (64 << 10)
            writer.close()

        sending = asyncio.create_task(send())
        if reads == "streams":
            slow, own = await asyncio.open_connection(sock=far)
            while data := await slow.read(300_000):
                received += len(data)
                most_kib = max(most_kib, resident_kib())
                await asyncio.sleep(0)
            own.close()
        else:
            transport, protocol, _far = await connect(pair=(far, near))
            while not (protocol.lost.done() or "eof" in protocol.heard):
                await protocol.until(lambda protocol: bool(protocol.data) or "eof" in protocol.heard)
                transport.pause_reading()
                received += len(protocol.data)
                protocol.data.clear()
                most_kib = max(most_kib, resident_kib())
                await asyncio.sleep(0)
                transport.resume_reading()
            transport.close()
        await sending
        assert received == MANY_BYTES
        assert most_kib - begin_kib < 12_000
        assert loop.reported == []  # type: ignore[attr-defined]

    run(main())


CALLBACKS = ["connection_made", "data_received", "eof_received", "connection_lost", "pause_writing", "resume_writing"]


@pytest.mark.parametrize("kind", ["tcp", "unix", "buffered"])
@pytest.mark.parametrize("callback", CALLBACKS)
def test_what_any_callback_raises_is_reported_and_nothing_hangs(callback: str, kind: str) -> None:
    calls = 0

    def fail(*_arguments: object) -> None:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError

    class Talking(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(bytes(20_000_000))

    class Buffered(Talking, asyncio.BufferedProtocol):
        def get_buffer(self, _hint: int) -> bytearray:
            return bytearray(1000)

        def buffer_updated(self, _count: int) -> None:
            self.data_received(b"")

    bases = (Buffered if kind == "buffered" else Talking,)
    faulty: Callable[[], Any] = type("Faulty", bases, {callback: fail})  # type: ignore[assignment]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = descriptor_count()
        near, far = socket.socketpair() if kind == "unix" else tcp_pair()
        near.setblocking(False)
        far.setblocking(False)
        transport, _protocol = await loop.create_connection(faulty, sock=near)
        with contextlib.suppress(OSError):
            await loop.sock_sendall(far, b"x")
            far.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(far, 1 << 20):
                pass
        if callback == "connection_made":
            transport.abort()
        far.close()
        limit = time.monotonic() + LIMIT_S
        while descriptor_count() > before and time.monotonic() < limit:
            await asyncio.sleep(0.001)
        assert descriptor_count() == before
        reported = loop.reported  # type: ignore[attr-defined]
        assert len(reported) == calls >= 1
        assert {type(context["exception"]) for context in reported} == {ZeroDivisionError}
        assert loop._counts()[2] == 0  # type: ignore[attr-defined]

    run(main())

"""TLS on connections that exist, with data that is there already; flow control; memory."""

import asyncio
import os
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import Recorder, connect, run, tcp_pair
from tls_rig import PlainTls, both_ends, client_context, close_both, server_context

MIB = 1 << 20


async def start_both(near: Any, far: Any) -> tuple[Any, Any]:
    """Begin TLS between two connections of ours; returns the two protocols, of which each knows its new transport."""
    loop = asyncio.get_running_loop()
    near.transport, far.transport = await asyncio.gather(
        loop.start_tls(near.transport, near, client_context(), server_hostname="localhost"),
        loop.start_tls(far.transport, far, server_context(), server_side=True),
    )
    return near, far


async def plain_pair() -> tuple[Any, Any]:
    near, far = tcp_pair()
    _, one, _ = await connect(pair=(near, far))
    _, other = await asyncio.get_running_loop().create_connection(Recorder, sock=far)
    return one, other


def test_a_plain_connection_becomes_tls_in_both_directions() -> None:
    async def main() -> None:
        near, far = await plain_pair()
        near.transport.write(b"STARTTLS")
        await far.until(lambda each: each.data == b"STARTTLS")
        near, far = await start_both(near, far)
        near.transport.write(b"secret")
        far.transport.write(b"answer")
        await far.until(lambda each: each.data == b"STARTTLSsecret")
        await near.until(lambda each: each.data == b"answer")
        await close_both(near, far)
        assert near.heard.count("made") == 1

    run(main())


def test_a_handshake_that_is_there_before_the_server_begins_is_not_lost() -> None:
    async def main() -> None:
        near, far = tcp_pair()
        loop = asyncio.get_running_loop()
        peer = PlainTls(near, client_context(), server_hostname="localhost")
        got: asyncio.Future[bytes] = loop.create_future()

        async def serve(reader: Any, writer: Any) -> None:
            assert await reader.readline() == b"STARTTLS\n"
            # The hello is in the reader's buffer by now.
            assert reader._buffer
            await writer.start_tls(server_context())
            got.set_result(await reader.readexactly(6))
            writer.write(b"answer")
            writer.close()
            await writer.wait_closed()

        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.do_handshake()
        await loop.sock_sendall(near, b"STARTTLS\n" + peer.outgoing.read())
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve)
        await loop.connect_accepted_socket(lambda: protocol, far)
        await peer.do(peer.tls.do_handshake)
        await peer.do(peer.tls.write, b"secret")
        assert await got == b"secret"
        assert await peer.do(peer.tls.read, 100) == b"answer"
        await peer.do(peer.tls.unwrap)
        near.close()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="streams have no server side of start_tls before")
def test_streams_become_tls() -> None:
    async def serve(reader: Any, writer: Any) -> None:
        writer.write(b"ready\n")
        assert await reader.readline() == b"STARTTLS\n"
        await writer.start_tls(server_context())
        while data := await reader.read(70_000):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.readline() == b"ready\n"
        writer.write(b"STARTTLS\n")
        await writer.start_tls(client_context(), server_hostname="localhost")
        data = os.urandom(300_000)
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main())


def test_writes_during_the_handshake_go_out_after_it() -> None:
    async def main() -> None:
        near, far = await plain_pair()
        loop = asyncio.get_running_loop()
        starting = asyncio.ensure_future(
            loop.start_tls(near.transport, near, client_context(), server_hostname="localhost")
        )
        while not hasattr(near.transport.get_protocol(), "_app_transport"):
            await asyncio.sleep(0)
        near.transport.get_protocol()._app_transport.write(b"early")
        far.transport = await loop.start_tls(far.transport, far, server_context(), server_side=True)
        near.transport = await starting
        near.transport.write(b" late")
        await far.until(lambda each: each.data == b"early late")
        await close_both(near, far)

    run(main())


def small_buffers() -> tuple[socket.socket, socket.socket]:
    near, far = tcp_pair()
    for sock in (near, far):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    return near, far


class Slow(Recorder):
    """Counts what arrives, and pauses after each delivery."""

    received = 0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self.transport.pause_reading()
        asyncio.get_running_loop().call_soon(self.transport.resume_reading)


def test_a_writer_waits_for_a_slow_reader_and_memory_stays_flat() -> None:
    async def main() -> None:
        client, server = await both_ends(server=Slow, pair=small_buffers())
        piece, total = bytes(range(256)) * 256, 50 * MIB
        most_queued = 0
        for _ in range(total // len(piece)):
            client.transport.write(piece)
            most_queued = max(most_queued, client.transport.get_write_buffer_size())
            if client.heard[-1] == "pause":
                await client.until(lambda each: each.heard[-1] == "resume")
        client.transport.close()
        await server.lost
        assert server.received == total
        assert most_queued <= 512 * 1024 + len(piece)
        assert server.transport.get_read_buffer_size() <= 1 * MIB

    run(main())


def test_a_paused_reader_stops_the_connection_below_and_gets_all_later() -> None:
    async def main() -> None:
        client, server = await both_ends(pair=small_buffers())
        server.transport.pause_reading()
        assert not server.transport.is_reading()
        data = os.urandom(4 * MIB)
        client.transport.write(data)
        below = server.transport._ssl_protocol._transport
        while below.is_reading():
            await asyncio.sleep(0)
        assert not server.data
        assert server.transport.get_read_buffer_size() <= 256 * 1024 + 256 * 1024
        server.transport.resume_reading()
        await server.until(lambda each: len(each.data) == len(data))
        assert server.data == data
        await close_both(client, server)

    run(main())


def test_a_paused_reader_gets_what_is_left_when_the_other_end_has_gone() -> None:
    async def main() -> None:
        client, server = await both_ends()
        server.transport.pause_reading()
        client.transport.write(b"left behind")
        client.transport.close()
        while not server.transport.get_read_buffer_size():
            await asyncio.sleep(0)
        server.transport.resume_reading()
        await server.lost
        assert server.data == b"left behind"
        await client.lost

    run(main())


def test_the_marks_decide_when_a_writer_waits() -> None:
    async def main() -> None:
        client, server = await both_ends(pair=small_buffers())
        assert client.transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        client.transport.set_write_buffer_limits(high=1000)
        assert client.transport.get_write_buffer_limits() == (250, 1000)
        client.transport.set_read_buffer_limits(high=4096)
        assert client.transport.get_read_buffer_limits() == (1024, 4096)
        server.transport.pause_reading()
        while "pause" not in client.heard:
            client.transport.write(bytes(100_000))
        assert client.transport._protocol_paused
        client.transport.set_write_buffer_limits(high=1 << 30, low=1 << 29)
        assert client.heard[-1] == "resume"
        server.transport.resume_reading()
        client.transport.close()
        await server.lost

    run(main())


class Answers(Recorder):
    """Pauses and resumes within each delivery, and answers in small pieces."""

    def data_received(self, data: bytes) -> None:
        self.transport.pause_reading()
        for at in range(0, len(data), 700):
            self.transport.write(data[at : at + 700])
        self.transport.resume_reading()


def test_pausing_and_writing_within_a_delivery_loses_nothing() -> None:
    async def main() -> None:
        client, server = await both_ends(server=Answers)
        data = os.urandom(600_000)
        client.transport.write(data)
        await client.until(lambda each: len(each.data) == len(data))
        assert client.data == data
        await close_both(client, server)

    run(main())


def test_a_file_is_sent_through_tls(tmp_path: Path) -> None:
    async def main() -> None:
        data = os.urandom(700_000)
        (tmp_path / "file").write_bytes(data)
        client, server = await both_ends()
        client.transport.write(b"before")
        with (tmp_path / "file").open("rb") as file:
            assert await asyncio.get_running_loop().sendfile(client.transport, file) == len(data)
        client.transport.write(b"after")
        await server.until(lambda each: len(each.data) == len(data) + 11)
        assert server.data == b"before" + data + b"after"
        await close_both(client, server)

    run(main())

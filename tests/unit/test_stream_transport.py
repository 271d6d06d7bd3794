"""The transport of stream sockets: bytes, flow control, ends of connections, and what it refuses."""

import asyncio
import errno
import hashlib
import logging
import socket
import struct
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import Recorder, connect, receive_all, run, tcp_pair

MANY_BYTES = 100_000_000
PIECE_BYTES = 64 * 1024
#: What may be written, in the words of the standard library.


@pytest.mark.parametrize("pair", [tcp_pair, lambda: tuple(map(non_blocking, socket.socketpair()))], ids=["tcp", "unix"])
def test_bytes_of_any_size_and_kind_arrive_in_order(pair: Any) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect(pair=pair())
        loop = asyncio.get_running_loop()
        pieces = [
            b"",
            b"a",
            bytearray(b"bc"),
            memoryview(b"def"),
            memoryview(b"0123456789")[::2],
            bytes(3_000_000),
            b"end",
        ]
        for piece in pieces:
            transport.write(piece)
        transport.writelines([b"x", bytearray(b"y"), memoryview(b"z"), b""])
        transport.write_eof()
        assert await receive_all(peer) == b"".join(map(bytes, pieces)) + b"xyz"
        for size in (1, 1000, 40_000, 300_000, 5):
            await loop.sock_sendall(peer, bytes(size))
        await protocol.until(lambda protocol: len(protocol.data) == 341_006)
        peer.close()
        assert await protocol.lost is None
        assert protocol.heard[0] == "made"
        assert protocol.heard[-2:] == ["eof", "lost"]

    run(main())


def non_blocking(end: socket.socket) -> socket.socket:
    end.setblocking(False)
    return end


def test_a_bytearray_may_change_as_soon_as_it_was_written() -> None:
    async def main() -> None:
        transport, _protocol, peer = await connect()
        data = bytearray(b"a" * 8_000_000)
        transport.write(data)
        assert transport.get_write_buffer_size() > 0
        data[:] = b"b" * 10
        transport.close()
        assert await receive_all(peer) == b"a" * 8_000_000
        peer.close()

    run(main())


def test_a_slow_reader_holds_the_writer_back_and_nothing_is_lost() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        may_write = asyncio.Event()
        may_write.set()
        protocol.pause_writing = may_write.clear
        protocol.resume_writing = may_write.set
        sent, received, most_queued = hashlib.sha256(), hashlib.sha256(), 0

        async def write() -> None:
            nonlocal most_queued
            for number in range(MANY_BYTES // PIECE_BYTES):
                piece = number.to_bytes(4, "big") * (PIECE_BYTES // 4)
                sent.update(piece)
                await may_write.wait()
                transport.write(piece)
                most_queued = max(most_queued, transport.get_write_buffer_size())
                if number % 16 == 0:
                    await asyncio.sleep(0)
            transport.close()

        writer = asyncio.create_task(write())
        loop = asyncio.get_running_loop()
        while piece := await loop.sock_recv(peer, 50_000):
            received.update(piece)
        await writer
        assert sent.digest() == received.digest()
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        assert most_queued <= 64 * 1024 + PIECE_BYTES
        peer.close()

    run(main())


def test_water_marks_are_asked_for_and_checked() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        transport.set_write_buffer_limits(low=100)
        assert transport.get_write_buffer_limits() == (100, 400)
        with pytest.raises(ValueError, match=r"high \(5\) must be >= low \(10\) must be >= 0"):
            transport.set_write_buffer_limits(high=5, low=10)
        transport.set_write_buffer_limits(high=1e12)
        transport.write(bytes(20_000_000))
        assert "pause" not in protocol.heard
        transport.set_write_buffer_limits(high=0)
        assert protocol.heard[-1] == "pause"
        transport.write_eof()
        assert len(await receive_all(peer)) == 20_000_000
        await protocol.until(lambda protocol: protocol.heard[-1] == "resume")
        transport.abort()
        peer.close()
        await protocol.lost

    run(main())


def test_a_half_closed_connection_still_receives() -> None:
    class Patient(Recorder):
        def eof_received(self) -> bool:
            super().eof_received()
            return True

    async def main() -> None:
        transport, protocol, peer = await connect(Patient)
        transport.write(b"question")
        transport.write_eof()
        with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
            transport.write(b"more")
        with pytest.raises(RuntimeError, match=r"Cannot call writelines\(\) after write_eof\(\)"):
            transport.writelines([b"more"])
        assert await receive_all(peer) == b"question"
        await asyncio.get_running_loop().sock_sendall(peer, b"answer")
        peer.shutdown(socket.SHUT_WR)
        await protocol.until(lambda protocol: "eof" in protocol.heard)
        assert protocol.data == b"answer"
        assert not transport.is_closing()
        transport.close()
        assert await protocol.lost is None
        peer.close()

    run(main())


def test_a_reset_by_the_peer_ends_the_connection_with_its_error() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        error = await protocol.lost
        assert isinstance(error, ConnectionResetError)
        assert error.errno == errno.ECONNRESET
        assert protocol.heard == ["made", "lost"]
        assert asyncio.get_running_loop().reported == []
        assert transport.is_closing()
        assert transport.get_extra_info("peername")

    run(main())


def test_writes_that_come_too_late_are_told_of_after_some(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        transport.abort()
        with caplog.at_level(logging.WARNING, "asyncio"):
            for _ in range(4):
                transport.write(b"late")
            assert not caplog.records
            transport.write(b"late")
        assert [record.getMessage() for record in caplog.records] == ["socket.send() raised exception."]
        assert await protocol.lost is None
        peer.close()

    run(main())


def test_an_abort_drops_what_is_queued_and_is_heard_of_once() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        transport.write(bytes(50_000_000))
        transport.close()
        assert not protocol.lost.done()
        assert transport.get_write_buffer_size() > 0
        transport.abort()
        transport.abort()
        transport.close()
        assert transport.get_write_buffer_size() == 0
        assert "lost" not in protocol.heard
        assert await protocol.lost is None
        assert len(await receive_all(peer)) < 50_000_000
        assert protocol.heard.count("lost") == 1
        peer.close()

    run(main())


def test_a_connection_that_reads_nothing_can_be_closed() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        assert "read=idle" in repr(transport)
        await asyncio.get_running_loop().sock_sendall(peer, b"unheard")
        await asyncio.sleep(0)
        transport.close()
        transport.resume_reading()
        assert await protocol.lost is None
        assert protocol.heard == ["made", "lost"]
        peer.close()

    run(main())


def test_reading_goes_on_where_it_was_paused() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        transport.pause_reading()
        await asyncio.get_running_loop().sock_sendall(peer, b"later")
        assert "data" not in protocol.heard
        transport.resume_reading()
        assert transport.is_reading()
        assert "read=polling" in repr(transport)
        await protocol.until(lambda protocol: protocol.data == b"later")
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


def test_pieces_written_together_leave_as_one_segment() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        own = transport.get_extra_info("socket")
        before = data_segments(own)
        transport.writelines([b"a" * 100, b"b" * 100, b"c" * 100] * 20)
        assert data_segments(own) == before + 1
        transport.close()
        assert len(await receive_all(peer)) == 6000
        await protocol.lost
        peer.close()

    run(main())


def data_segments(end: Any) -> int:
    """Return how many segments with data a TCP socket has sent (`tcpi_data_segs_out`)."""
    return struct.unpack_from("I", end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 156)[0]


def test_what_is_no_bytes_is_refused_in_the_standard_librarys_words() -> None:
    asked = "a bytes, bytearray, or memoryview" if sys.version_info >= (3, 14) else "a bytes-like"

    async def main() -> None:
        transport, protocol, peer = await connect()
        for wrong, name in (("text", "str"), (None, "NoneType"), (5, "int"), ([b"x"], "list")):
            with pytest.raises(TypeError, match=f"data argument must be {asked} object, not '{name}'"):
                transport.write(wrong)
        with pytest.raises(TypeError):
            transport.writelines(["text"])
        with pytest.raises(TypeError):
            transport.write()
        with pytest.raises(TypeError, match="unexpected keyword argument 'what'"):
            transport.write(what=b"x")
        transport.write(data=b"named")
        transport.close()
        assert await receive_all(peer) == b"named"
        await protocol.lost
        peer.close()

    run(main())


def test_a_transport_is_the_standard_librarys_in_all_that_can_be_asked() -> None:
    async def main() -> None:
        transport, protocol, peer = await connect()
        loop = asyncio.get_running_loop()
        assert isinstance(transport, asyncio.Transport)
        assert weakref.ref(transport)() is transport
        assert transport.get_protocol() is protocol
        assert transport.can_write_eof()
        assert transport.get_extra_info("sockname") == peer.getpeername()
        assert transport.get_extra_info("peername") == peer.getsockname()
        assert transport.get_extra_info("unknown", 7) == 7
        descriptor = transport.get_extra_info("socket").fileno()
        with pytest.raises(RuntimeError, match="is used by transport"):
            loop.add_reader(descriptor, print)
        other = Recorder()
        transport.set_protocol(other)
        await loop.sock_sendall(peer, b"for the other")
        await other.until(lambda other: other.data == b"for the other")
        assert not protocol.data
        assert repr(transport) == f"<StreamTransport fd={descriptor} read=polling write=<idle, bufsize=0>>"
        transport.close()
        assert "closing" in repr(transport)
        await other.lost
        assert "closed" in repr(transport)
        assert transport.get_protocol() is None
        peer.close()

    run(main())


def test_a_transport_that_nobody_closes_says_so_and_closes_its_socket() -> None:
    async def main() -> None:
        *ends, peer = await connect()
        ends[0].pause_reading()
        ends[1].transport = None
        with pytest.warns(ResourceWarning, match="unclosed transport <StreamTransport"):
            ends.clear()
        assert await receive_all(peer) == b""
        peer.close()

    run(main())

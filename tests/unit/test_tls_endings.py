"""How TLS connections end: closed, broken, timed out, with garbage; each time both sides hear of it, once."""

import asyncio
import logging
import os
import socket
import ssl
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import Recorder, run, tcp_pair
from tls_rig import PlainTls, both_ends, client_context, close_both, server_context

LINGER_NOT = struct.pack("ii", 1, 0)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    sock.close()


def reported() -> list[dict[str, Any]]:
    return asyncio.get_running_loop().reported  # type: ignore[attr-defined, no-any-return]


async def with_plain_peer(factory: Any = Recorder, **options: Any) -> tuple[Any, PlainTls]:
    """Return a client's protocol, and the server at its other end that is not ours."""
    near, far = tcp_pair()
    peer = PlainTls(far, server_context(), server_side=True)
    shaking = asyncio.ensure_future(peer.do(peer.tls.do_handshake))
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        factory, sock=near, ssl=client_context(), server_hostname="localhost", **options
    )
    await shaking
    return client, peer


def test_what_was_queued_goes_out_before_the_end() -> None:
    async def main() -> None:
        client, server = await both_ends()
        data = os.urandom(5_000_000)
        client.transport.write(data)
        client.transport.close()
        assert client.transport.is_closing()
        await server.lost
        assert await client.lost is None
        assert server.data == data
        assert server.heard[-2:] == ["eof", "lost"]

    run(main())


def test_an_abort_gives_up_what_was_queued() -> None:
    async def main() -> None:
        client, server = await both_ends()
        server.transport.pause_reading()
        client.transport.write(bytes(20_000_000))
        client.transport.abort()
        assert await client.lost is None
        assert client.heard.count("lost") == 1
        server.transport.resume_reading()
        await server.lost

    run(main())


def test_the_other_end_leaves_without_a_word() -> None:
    async def main() -> None:
        client, peer = await with_plain_peer()
        await peer.do(peer.tls.write, b"last words")
        peer.sock.close()
        assert await client.lost is None
        assert client.data == b"last words"
        assert client.heard == ["made", "data", "eof", "lost"]

    run(main())


def test_a_reset_amid_data_is_an_error() -> None:
    async def main() -> None:
        client, peer = await with_plain_peer()
        client.transport.write(bytes(8_000_000))
        reset(peer.sock)
        assert isinstance(await client.lost, ConnectionError)
        assert client.heard.count("lost") == 1
        client.transport.write(b"too late")

    run(main())


@pytest.mark.parametrize("end", ["reset", "close"])
def test_the_other_end_leaves_amid_the_handshake(end: str) -> None:
    async def main() -> None:
        near, far = tcp_pair()
        loop = asyncio.get_running_loop()
        connecting = asyncio.ensure_future(
            loop.create_connection(Recorder, sock=near, ssl=client_context(), server_hostname="localhost")
        )
        assert await loop.sock_recv(far, 5)
        reset(far) if end == "reset" else far.close()
        with pytest.raises(ConnectionResetError):
            await connecting

    run(main())


def test_garbage_instead_of_a_handshake_is_refused() -> None:
    async def main() -> None:
        near, far = tcp_pair()
        loop = asyncio.get_running_loop()
        accepting = asyncio.ensure_future(loop.connect_accepted_socket(Recorder, near, ssl=server_context()))
        await loop.sock_sendall(far, b"GET / HTTP/1.1\r\n\r\n" * 100)
        with pytest.raises(ssl.SSLError):
            await accepting
        far.close()

    run(main())


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x03\xff\xff" + bytes(50), b"\x17\x03\x03\x00\x20" + bytes(32)]
)
def test_garbage_amid_data_is_an_error(garbage: bytes) -> None:
    async def main() -> None:
        client, peer = await with_plain_peer()
        await peer.do(peer.tls.write, b"good")
        await asyncio.get_running_loop().sock_sendall(peer.sock, garbage)
        assert isinstance(await client.lost, ssl.SSLError)
        assert client.data == b"good"
        peer.sock.close()

    run(main())


def test_a_certificate_that_nobody_trusts_is_refused_and_the_other_end_hears_why() -> None:
    async def main() -> None:
        near, far = tcp_pair()
        peer = PlainTls(far, server_context("other.example"), server_side=True)
        shaking = asyncio.ensure_future(peer.do(peer.tls.do_handshake))
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.get_running_loop().create_connection(
                Recorder, sock=near, ssl=client_context(), server_hostname="localhost"
            )
        # In TLS 1.3 a server's handshake is over before the client has looked at its certificate.
        with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
            await shaking
            await peer.do(peer.tls.read, 1)
        far.close()

    run(main())


def test_a_handshake_that_takes_too_long_is_given_up() -> None:
    async def main() -> None:
        near, far = tcp_pair()
        loop = asyncio.get_running_loop()
        with pytest.raises(ConnectionAbortedError, match=r"is taking longer than 0\.05 seconds"):
            await loop.create_connection(
                Recorder, sock=near, ssl=client_context(), server_hostname="localhost", ssl_handshake_timeout=0.05
            )
        far.close()

    run(main())


def test_an_end_that_takes_too_long_is_given_up() -> None:
    async def main() -> None:
        client, peer = await with_plain_peer(ssl_shutdown_timeout=0.05)
        client.transport.close()
        with pytest.raises(TimeoutError, match="SSL shutdown timed out"):
            raise await client.lost
        peer.sock.close()

    run(main())


def test_what_cannot_go_out_does_not_hold_up_the_end_for_ever() -> None:
    async def main() -> None:
        client, peer = await with_plain_peer(ssl_shutdown_timeout=0.05)
        client.transport.write(bytes(20_000_000))
        client.transport.close()
        assert isinstance(await client.lost, TimeoutError)
        peer.sock.close()

    run(main())


def test_what_arrives_after_the_close_is_dropped_and_no_error() -> None:
    async def main() -> None:
        client, peer = await with_plain_peer()
        await peer.do(peer.tls.write, b"before")
        await client.until(lambda each: bool(each.data))
        client.transport.close()
        for _ in range(5):
            peer.tls.write(bytes(100_000))
        await peer.send()
        await peer.do(peer.tls.unwrap)
        assert await client.lost is None
        assert client.data == b"before"
        peer.sock.close()

    run(main())


class Failing(Recorder):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.failure = error

    def data_received(self, data: bytes) -> None:
        raise self.failure


def test_a_protocol_that_fails_loses_its_connection_and_is_reported() -> None:
    async def main() -> None:
        failure = ValueError("no")
        client, server = await both_ends(server=lambda: Failing(failure))
        client.transport.write(b"x")
        assert await server.lost is failure
        await client.lost
        (context,) = reported()
        assert context["exception"] is failure
        assert context["message"] == "Fatal error on SSL protocol"

    run(main())


def test_an_interrupt_in_a_protocol_leaves_the_loop() -> None:
    async def main() -> None:
        client, server = await both_ends(server=lambda: Failing(KeyboardInterrupt()))
        client.transport.write(b"x")
        try:
            await client.lost
        finally:
            # The loop runs once more, to cancel this.
            for end in (client, server):
                end.transport.abort()
                await end.lost

    with pytest.raises(KeyboardInterrupt):
        run(main())


class ClosesAtOnce(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(b"bye")
        self.transport.close()


def test_a_connection_can_be_closed_while_data_is_delivered() -> None:
    async def main() -> None:
        client, server = await both_ends(server=ClosesAtOnce)
        client.transport.write(b"hello")
        await server.lost
        await client.lost
        assert client.data == b"bye"
        assert server.data == b"hello"
        assert client.error is None
        assert server.error is None

    run(main())


def test_late_writes_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        client, server = await both_ends()
        client.transport.close()
        for _ in range(7):
            client.transport.write(b"late")
        await close_both(client, server)
        assert not server.data

    with caplog.at_level(logging.WARNING, logger="asyncio"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == ["SSL connection is closed"] * 2

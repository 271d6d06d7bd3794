"""TLS connections on our loops: contexts mean what they say, both ways, and every byte arrives."""

import asyncio
import gc
import os
import random
import ssl
import sys
import weakref
from asyncio import sslproto
from pathlib import Path
from typing import Any

import pytest

from threefold.asyncio._streams import StreamReader
from threefold.asyncio._tls_transport import SSLTransport

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import Recorder, run
from tls_rig import both_ends, certificate, client_context, close_both, server_context


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def test_what_is_written_comes_back() -> None:
    async def main() -> None:
        client, server = await both_ends(server=Echo)
        assert isinstance(client.transport, SSLTransport)
        assert isinstance(client.transport, sslproto._SSLProtocolTransport)
        for data in (b"a", b"b" * 1000, b"", os.urandom(16384), os.urandom(16385), os.urandom(700_000)):
            client.data.clear()
            client.transport.write(data)
            await client.until(lambda each, data=data: len(each.data) >= len(data))
            assert client.data == data
        client.transport.write(bytearray(b"array"))
        client.transport.write(memoryview(b"xviewx")[1:5])
        client.transport.writelines([b"", b"lines", bytearray(20_000), memoryview(b"end")])
        expected = b"arrayviewlines" + bytes(20_000) + b"end"
        client.data.clear()
        await client.until(lambda each: len(each.data) >= len(expected))
        assert client.data == expected
        await close_both(client, server)
        assert client.error is None
        assert server.error is None
        assert client.heard[-2:] == ["eof", "lost"]

    run(main())


def test_the_extra_information_is_that_of_ssl() -> None:
    async def main() -> None:
        client, server = await both_ends()
        information = client.transport.get_extra_info
        assert isinstance(information("sslcontext"), ssl.SSLContext)
        assert isinstance(information("ssl_object"), ssl.SSLObject)
        assert information("peercert")["subject"] == ((("commonName", "localhost"),),)
        assert information("cipher") == information("ssl_object").cipher()
        assert information("compression") is None
        assert information("peername") == server.transport.get_extra_info("sockname")
        assert information("nothing", 5) == 5
        assert not client.transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            client.transport.write_eof()
        await close_both(client, server)

    run(main())


def test_a_name_chooses_the_certificate_and_a_protocol_is_agreed_on() -> None:
    async def main() -> None:
        asked = []
        of_server, other = server_context(), server_context("other.example")

        def choose(connection: Any, name: str, _context: ssl.SSLContext) -> None:
            asked.append(name)
            connection.context = other

        of_server.sni_callback = choose
        of_client = client_context("other.example")
        of_server.set_alpn_protocols(["h2", "http/1.1"])
        other.set_alpn_protocols(["h2", "http/1.1"])
        of_client.set_alpn_protocols(["http/1.1"])
        client, server = await both_ends(contexts=(of_client, of_server), hostname="other.example")
        assert asked == ["other.example"]
        for end in (client, server):
            assert end.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        await close_both(client, server)

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_shows_its_certificate(version: ssl.TLSVersion) -> None:
    async def main() -> None:
        of_server, of_client = server_context(), client_context()
        of_server.verify_mode = ssl.CERT_REQUIRED
        of_server.load_verify_locations(certificate("client.example"))
        of_client.load_cert_chain(certificate("client.example"))
        of_client.maximum_version = version
        client, server = await both_ends(contexts=(of_client, of_server))
        shown = server.transport.get_extra_info("peercert")
        assert shown["subject"] == ((("commonName", "client.example"),),)
        assert client.transport.get_extra_info("ssl_object").version() == version.name.replace("v1_", "v1.")
        await close_both(client, server)

    run(main())


def test_a_session_is_used_again() -> None:
    async def main() -> None:
        contexts = (client_context(), server_context())
        contexts[0].maximum_version = ssl.TLSVersion.TLSv1_2
        client, server = await both_ends(contexts=contexts)
        session = client.transport.get_extra_info("ssl_object").session
        assert session is not None
        assert session.has_ticket
        await close_both(client, server)

    run(main())


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.data = bytearray()
        self.changed = asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self.buffer)
        self.data += self.buffer[:nbytes]
        self.changed.set()

    def connection_lost(self, error: BaseException | None) -> None:
        self.lost.set_result(error)


@pytest.mark.parametrize("size", [1, 100, 16384, 300_000])
def test_a_buffered_protocol_gets_all_in_buffers_of_any_length(size: int) -> None:
    async def main() -> None:
        client, server = await both_ends(server=lambda: Buffered(size))
        data = os.urandom(2000 if size == 1 else 500_000)
        client.transport.write(data)
        while len(server.data) < len(data):
            server.changed.clear()
            await server.changed.wait()
        assert server.data == data
        await close_both(client, server)

    run(main())


def test_a_buffered_protocol_with_an_empty_buffer_loses_the_connection() -> None:
    async def main() -> None:
        client, server = await both_ends(server=lambda: Buffered(0))
        client.transport.write(b"x")
        assert isinstance(await server.lost, RuntimeError)
        assert isinstance(await client.lost, OSError | None)
        (reported,) = asyncio.get_running_loop().reported  # type: ignore[attr-defined]
        assert reported["message"] == "Fatal error on SSL protocol"

    run(main())


def test_streams_see_every_byte_in_whatever_portions() -> None:
    generator = random.Random(7)
    data = generator.randbytes(1_500_000)

    async def echo(reader: Any, writer: Any) -> None:
        assert type(reader) is StreamReader
        while piece := await reader.read(generator.choice((1, 100, 5000, 200_000))):
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
        )

        async def send() -> None:
            at = 0
            while at < len(data):
                count = generator.choice((1, 700, 20_000, 150_000))
                writer.write(data[at : at + count])
                at += count
                await writer.drain()

        sending = asyncio.ensure_future(send())
        assert await reader.readexactly(len(data)) == data
        await sending
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main())


def test_tls_runs_inside_tls() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, server = await both_ends()
        inner_client, inner_server = Recorder(), Echo()
        ends = await asyncio.gather(
            loop.start_tls(client.transport, inner_client, client_context(), server_hostname="localhost"),
            loop.start_tls(server.transport, inner_server, server_context(), server_side=True),
        )
        inner_client.transport, inner_server.transport = ends
        data = os.urandom(400_000)
        inner_client.transport.write(data)
        await inner_client.until(lambda each: len(each.data) >= len(data))
        assert inner_client.data == data
        await close_both(inner_client, inner_server)

    run(main())


def test_bad_arguments_are_refused_as_ever() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, server = await both_ends()
        for bad in ("text", 5, None):
            with pytest.raises(TypeError, match="expecting a bytes-like instance, got"):
                client.transport.write(bad)
        with pytest.raises(ValueError, match="must be >="):
            client.transport.set_write_buffer_limits(high=1, low=2)
        with pytest.raises(TypeError, match="sslcontext is expected"):
            await loop.start_tls(client.transport, client, None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="not supported"):
            await loop.start_tls(object(), client, client_context())  # type: ignore[arg-type]
        for option in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            with pytest.raises(ValueError, match="should be a positive number, got 0"):
                await loop.start_tls(client.transport, client, client_context(), **{option: 0})  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await loop.create_server(Recorder, "127.0.0.1", 0, ssl=True)
        await close_both(client, server)

    run(main())


def test_nothing_is_left_of_a_connection() -> None:
    async def main() -> None:
        for _ in range(3):
            contexts = (client_context(), server_context())
            client, server = await both_ends(contexts=contexts)
            watched = [weakref.ref(each) for each in (client.transport, server.transport, *contexts)]
            client.transport.write(b"x" * 100)
            await server.until(lambda each: bool(each.data))
            await close_both(client, server)
            del client, server, contexts
            await asyncio.sleep(0)
            gc.collect()
            assert [each() for each in watched] == [None] * 4

    run(main())


def test_a_connection_that_nobody_closes_is_warned_of() -> None:
    async def main() -> None:
        client, server = await both_ends()
        with pytest.warns(ResourceWarning, match="unclosed transport"):
            client.transport.__del__()
        client.transport._closed = False
        await close_both(client, server)

    run(main())


def test_debug_mode_says_what_it_does(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        client, server = await both_ends(server=Echo)
        client.transport.write(b"x")
        await client.until(lambda each: bool(each.data))
        await close_both(client, server)

    with caplog.at_level("DEBUG", logger="asyncio"):
        run(main())
    texts = [record.getMessage() for record in caplog.records]
    assert sum("starts SSL handshake" in text for text in texts) == 2
    assert sum("SSL handshake took" in text for text in texts) == 2

"""What fails in TLS: peers that reset or vanish at any moment, ends without a good-bye, handshakes that never come."""

import asyncio
import contextlib
import random
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loop_figures import descriptor_count
from stream_rig import LIMIT_S, Recorder, run

RESET = struct.pack("ii", 1, 0)
SETTINGS = """
[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost
basicConstraints = critical, CA:FALSE
"""


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the context of a server for "localhost" and that of a client who trusts it."""
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "settings").write_text(SETTINGS)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-config", "settings", "-keyout", "key.pem", "-out", "own.pem"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "own.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "own.pem"))


class Wire:
    """A listener between a client and a server: what goes through it can be cut at any byte."""

    def __init__(self, address: Any, chooser: random.Random | None = None, cut: str = "reset") -> None:
        self.address, self.chooser, self.cut = address, chooser, cut
        self.left = chooser.randrange(4000) if chooser is not None else None
        self.ends: list[socket.socket] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def carry(self, client: socket.socket) -> None:
        """Carry bytes both ways until the end, or the cut."""
        loop = asyncio.get_running_loop()
        server = socket.socket()
        server.setblocking(False)
        await loop.sock_connect(server, self.address)
        self.ends = [client, server]
        ways = [self.pump(client, server), self.pump(server, client)]
        self.tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(self.tasks)
        for end in self.ends:
            end.close()

    async def pump(self, source: socket.socket, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await loop.sock_recv(source, 65536):
                if self.left is not None:
                    data, self.left = data[: self.left], max(0, self.left - len(data))
                await loop.sock_sendall(sink, data)
                if self.left == 0:
                    self.sever()
            sink.shutdown(socket.SHUT_WR)

    def sever(self) -> None:
        """Cut both ends: with a reset, or so that they see an end without a good-bye."""
        for end in self.ends:
            if self.cut == "reset":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        for task in self.tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def wired(make: Callable[[], Wire]) -> AsyncIterator[tuple[Any, list[Wire]]]:
    """Offer the address of a listener whose connections are carried on by wires."""
    loop = asyncio.get_running_loop()
    wires: list[Wire] = []
    tasks: list[asyncio.Task[None]] = []

    async def accept() -> None:
        while True:
            client, _address = await loop.sock_accept(listening)
            wires.append(make())
            tasks.append(asyncio.create_task(wires[-1].carry(client)))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        accepting = asyncio.create_task(accept())
        yield listening.getsockname(), wires
        accepting.cancel()
        await asyncio.wait([accepting, *tasks], timeout=LIMIT_S)


async def talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chooser: random.Random, heard: list[str]
) -> None:
    """Write and read until the connection breaks."""
    try:
        while True:
            writer.write(chooser.randbytes(chooser.choice((1, 1000, 50_000))))
            await writer.drain()
            if not await asyncio.wait_for(reader.read(100_000), LIMIT_S):
                heard.append("end")
                return
    except (OSError, ssl.SSLError) as error:
        heard.append(type(error).__name__)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await asyncio.wait_for(writer.wait_closed(), LIMIT_S)


@pytest.mark.parametrize("cut", ["reset", "end"])
def test_a_connection_that_is_cut_anywhere_ends_on_both_sides(cut: str, contexts: Any) -> None:
    """In the handshake, in a record, between records; by a reset, or by an end without a good-bye."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        heard: list[str] = []
        served: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer, random.Random(0), served)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=contexts[0])
        numbers = iter(range(1000))
        async with wired(lambda: Wire(server.sockets[0].getsockname(), random.Random(next(numbers)), cut)) as (
            address,
            wires,
        ):
            before = descriptor_count()
            for number in range(40):
                try:
                    ends = await asyncio.wait_for(
                        asyncio.open_connection(*address, ssl=contexts[1], server_hostname="localhost"), LIMIT_S
                    )
                except (OSError, ssl.SSLError) as error:
                    heard.append(type(error).__name__)
                else:
                    await talk(*ends, random.Random(number), heard)
            assert len(heard) == len(wires) == 40
            # The servers hear of their ends, too, those whose handshake was cut included.
            async with asyncio.timeout(LIMIT_S):
                while descriptor_count() > before:
                    await asyncio.sleep(0.001)
        server.close()
        await server.wait_closed()
        # An end like this is nobody's fault that a handler would have to hear of, but it may be told of with its error.
        for context in loop.reported:  # type: ignore[attr-defined]
            assert isinstance(context["exception"], OSError), context

    run(main())


@pytest.mark.parametrize("cut", ["reset", "end"])
def test_a_protocol_is_told_once_of_a_cut(cut: str, contexts: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        served: list[Any] = []

        def make() -> Recorder:
            served.append(Recorder())
            return served[-1]

        server = await loop.create_server(make, "127.0.0.1", 0, ssl=contexts[0])
        async with wired(lambda: Wire(server.sockets[0].getsockname(), None, cut)) as (address, wires):
            transport, protocol = await loop.create_connection(
                Recorder, *address, ssl=contexts[1], server_hostname="localhost"
            )
            transport.write(b"x" * 100_000)
            while not served:
                await asyncio.sleep(0)
            await served[0].until(lambda server: len(server.data) == 100_000)
            wires[0].sever()
            for end in (protocol, served[0]):
                error = await asyncio.wait_for(end.lost, LIMIT_S)
                assert end.heard.count("lost") == 1
                assert end.heard[-1] == "lost"
                assert isinstance(error, OSError) or (cut == "end" and error is None)
            transport.write(b"too late")
            transport.close()
            transport.abort()
            await asyncio.sleep(0)
            assert protocol.heard.count("lost") == 1
        server.close()

    run(main())


def test_what_came_before_an_end_without_a_good_bye_is_read(contexts: Any) -> None:
    async def main() -> None:
        text = random.Random(1).randbytes(300_000)

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(text)
            await writer.drain()

        kept: list[Any] = []

        async def serve_and_keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            kept.append(writer)
            await serve(reader, writer)

        server = await asyncio.start_server(serve_and_keep, "127.0.0.1", 0, ssl=contexts[0])
        async with wired(lambda: Wire(server.sockets[0].getsockname(), None, "end")) as (address, wires):
            reader, writer = await asyncio.open_connection(*address, ssl=contexts[1], server_hostname="localhost")
            assert await asyncio.wait_for(reader.readexactly(len(text)), LIMIT_S) == text
            wires[0].sever()
            with contextlib.suppress(OSError):
                assert await asyncio.wait_for(reader.read(), LIMIT_S) == b""
            for end in (writer, *kept):
                end.close()
                with contextlib.suppress(OSError):
                    await asyncio.wait_for(end.wait_closed(), LIMIT_S)
        server.close()

    run(main())


@pytest.mark.parametrize("talk_first", [b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00" + bytes(60)])
def test_a_client_that_does_not_speak_tls_harms_nobody(talk_first: bytes, contexts: Any) -> None:
    """Nothing at all until the time limit of the handshake, another language, or half a greeting and then nothing."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=contexts[0], ssl_handshake_timeout=0.2)
        before = descriptor_count()
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.setblocking(False)
            if talk_first:
                await loop.sock_sendall(client, talk_first)
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(LIMIT_S):
                    while await loop.sock_recv(client, 100):
                        pass
        # Others are served.
        transport, protocol = await loop.create_connection(
            Recorder, *server.sockets[0].getsockname(), ssl=contexts[1], server_hostname="localhost"
        )
        transport.abort()
        await protocol.lost
        async with asyncio.timeout(LIMIT_S):
            while descriptor_count() > before:
                await asyncio.sleep(0.001)
        server.close()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 14), reason="what a StreamReader has is given on from 3.14 on")
@pytest.mark.parametrize("is_together", [False, True], ids=["after its line", "with its line"])
def test_a_greeting_that_is_there_before_start_tls_is_not_lost(is_together: bool, contexts: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client_side = contexts[1].wrap_bio(incoming, outgoing, server_hostname="localhost")
        is_greeted = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"STARTTLS\n"
            await is_greeted.wait()
            await writer.start_tls(contexts[0], ssl_handshake_timeout=LIMIT_S / 2)
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.setblocking(False)

            async def exchange(step: Callable[[], Any]) -> Any:
                while True:
                    try:
                        result = step()
                    except ssl.SSLWantReadError:
                        result = None
                    if outgoing.pending:
                        await loop.sock_sendall(client, outgoing.read())
                    if result is not None:
                        return result
                    data = await asyncio.wait_for(loop.sock_recv(client, 65536), LIMIT_S)
                    assert data, "the server has given up"
                    incoming.write(data)

            with contextlib.suppress(ssl.SSLWantReadError):
                client_side.do_handshake()
            greeting = outgoing.read()
            if is_together:
                await loop.sock_sendall(client, b"STARTTLS\n" + greeting)
            else:
                await loop.sock_sendall(client, b"STARTTLS\n")
                await asyncio.sleep(0.01)
                await loop.sock_sendall(client, greeting)
            is_greeted.set()
            await exchange(lambda: client_side.do_handshake() or True)
            await exchange(lambda: client_side.write(b"hello\n"))
            assert await exchange(lambda: client_side.read(100)) == b"HELLO\n"
        server.close()

    run(main())


def test_handshakes_that_are_cancelled_leave_nothing_behind(contexts: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        chooser = random.Random(3)
        server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=contexts[0])
        before = descriptor_count()
        for _ in range(40):
            connecting = asyncio.create_task(
                loop.create_connection(
                    Recorder, *server.sockets[0].getsockname(), ssl=contexts[1], server_hostname="localhost"
                )
            )
            for _ in range(chooser.randrange(20)):
                await asyncio.sleep(0)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                transport, protocol = await connecting
                transport.abort()
                await protocol.lost
        async with asyncio.timeout(LIMIT_S):
            while descriptor_count() > before:
                await asyncio.sleep(0.001)
        server.close()

    run(main())

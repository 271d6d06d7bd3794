"""Streams on our loops: whatever is read, however it is cancelled, every byte arrives once and in order."""

import asyncio
import inspect
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from threefold import asyncio as ours
from threefold.asyncio._streams import StreamReader, StreamWriter

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import run

CONNECTIONS = 2000
AT_ONCE = 50


async def serve(handle: Callable[[Any, Any], Awaitable[None]]) -> Any:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def end(server: Any, *writers: Any) -> None:
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def echo(reader: Any, writer: Any) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_all_ways_of_reading_see_the_same_bytes() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert isinstance(reader, asyncio.StreamReader)
        reading = reader.read(1)
        assert asyncio.iscoroutine(reading)
        reading.close()
        chooser = random.Random(5)
        sent = bytearray()

        async def write() -> None:
            for number in range(3000):
                line = b"%d:" % number + b"x" * chooser.randrange(200) + b"\n"
                sent.extend(line)
                writer.write(line)
                await writer.drain()
            writer.write_eof()

        writing = asyncio.create_task(write())
        received = bytearray()
        while len(received) < 200_000:
            received += await reader.read(chooser.randrange(1, 5000))
            received += await reader.readline()
            received += await reader.readexactly(chooser.randrange(50))
            received += await reader.readuntil(b"\n")
        received += await reader.read()
        await writing
        assert received == sent
        assert reader.at_eof()
        assert await reader.read(10) == b""
        await end(server, writer)

    run(main())


def test_our_connections_have_our_writers_and_the_standard_librarys_signatures() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        reader, writer = await ours.open_connection("127.0.0.1", port, limit=1000)
        assert type(reader) is StreamReader
        assert type(writer) is StreamWriter
        writer.write(data=b"a line\n")
        await asyncio.gather(writer.drain(), asyncio.create_task(writer.drain()))
        assert await reader.read(n=2) == b"a "
        assert await reader.readline() == b"line\n"
        writer.write(b"x" * 3000 + b"\n")
        with pytest.raises(ValueError, match="limit"):
            await reader.readline()
        with pytest.raises(TypeError):
            writer.write()
        await end(server, writer)

    run(main())
    for name in ("open_connection", "open_unix_connection"):
        assert parameters_of(getattr(ours, name)) == parameters_of(getattr(asyncio, name))


def parameters_of(function: Callable[..., Any]) -> list[tuple[Any, ...]]:
    """The parameters without their types, which the standard library does not write down."""
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


def test_small_reads_share_what_one_arrival_brings() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        text = bytes(range(200))
        writer.write(text)
        first = asyncio.create_task(reader.read(1))
        received = await first
        while len(received) < len(text):
            received += await reader.read(1)
        assert received == text
        await end(server, writer)

    run(main())


def test_a_cancelled_read_leaves_what_it_was_given() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        expected = bytearray()
        received = bytearray()
        for number in range(500):
            reading = asyncio.create_task(reader.read(100))
            await asyncio.sleep(0)
            piece = b"%d;" % number
            expected += piece
            writer.write(piece)
            # Cancelled before, when, or after the bytes arrive.
            for _ in range(number % 7):
                await asyncio.sleep(0)
            reading.cancel()
            try:
                received += await reading
            except asyncio.CancelledError:
                pass
        received += await reader.readexactly(len(expected) - len(received))
        assert received == expected
        await end(server, writer)

    run(main())


def test_a_read_that_was_served_and_then_cancelled_gives_back() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        reading = asyncio.create_task(reader.read(100))
        await asyncio.sleep(0)
        waiter = reader._waiter
        writer.write(b"given back")
        while not waiter.done():
            await asyncio.sleep(0)
        reading.cancel()
        try:
            data = await reading
        except asyncio.CancelledError:
            data = await reader.read(100)
        assert data == b"given back"
        await end(server, writer)

    run(main())


def test_a_timeout_of_a_read_is_no_end() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(10), 0.01)
        writer.write(b"late")
        assert await asyncio.wait_for(reader.read(10), 10) == b"late"
        await end(server, writer)

    run(main())


def test_only_one_task_may_wait_for_bytes() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        first = asyncio.create_task(reader.read(10))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"read\(\) called while another coroutine is already waiting"):
            await reader.read(10)
        with pytest.raises(RuntimeError, match=r"readuntil\(\) called while another coroutine is already waiting"):
            await reader.readline()
        writer.write(b"x")
        assert await first == b"x"
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await finished(reader)
        await end(server, writer)

    async def finished(reader: Any) -> None:
        reading = reader.read(1)
        reading.close()
        await reading

    run(main())


def test_a_reader_that_nobody_reads_holds_the_writer_back() -> None:
    async def main() -> None:
        begun = asyncio.Event()
        go_on = asyncio.Event()
        total = 0

        async def slow(reader: Any, writer: Any) -> None:
            nonlocal total
            begun.set()
            await go_on.wait()
            assert len(reader._buffer) <= 2 * 65536 + 256 * 1024
            while data := await reader.read(10_000):
                total += len(data)
            writer.close()

        server, port = await serve(slow)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await begun.wait()
        writer.write(bytes(20_000_000))
        draining = asyncio.create_task(writer.drain())
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not draining.done()
        go_on.set()
        await draining
        writer.write_eof()
        assert await reader.read() == b""
        assert total == 20_000_000
        await end(server, writer)

    run(main())


def test_an_error_of_the_connection_reaches_who_reads_and_who_writes() -> None:
    async def main() -> None:
        async def abort(_reader: Any, writer: Any) -> None:
            writer.transport.abort()

        server, port = await serve(abort)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"unread")
        with pytest.raises(ConnectionError):
            while await reader.read(10):
                pass
            while True:
                writer.write(b"x")
                await writer.drain()
        writer.close()
        server.close()

    run(main())


def test_no_byte_reaches_another_connection_while_thousands_come_and_go() -> None:
    async def main() -> None:
        server, port = await serve(echo)
        count = 0

        async def talk(number: int) -> None:
            nonlocal count
            chooser = random.Random(number)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for turn in range(chooser.randrange(1, 4)):
                text = b"<%d.%d>" % (number, turn) * chooser.randrange(1, 300)
                writer.write(text)
                assert await reader.readexactly(len(text)) == text
                count += 1
            if number % 3 == 0:
                writer.write(b"unanswered")
                writer.transport.abort()
            elif number % 3 == 1:
                writer.write_eof()
                assert await reader.read() == b""
            writer.close()

        async def work(first: int) -> None:
            for number in range(first, CONNECTIONS, AT_ONCE):
                await talk(number)

        await asyncio.gather(*(work(first) for first in range(AT_ONCE)))
        assert count >= CONNECTIONS
        await end(server)
        assert asyncio.get_running_loop().reported == []  # type: ignore[attr-defined]

    run(main())

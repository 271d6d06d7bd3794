"""`readline`, `readexactly` and `readuntil` on our loops do what they do on the standard one, however the bytes arrive."""

import asyncio
import random
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from threefold.asyncio import EventLoop

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import run, tcp_pair


async def connect(limit: int = 65536) -> tuple[Any, Any, socket.socket]:
    near, far = tcp_pair()
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, writer = await asyncio.open_connection(sock=near, limit=limit)
    return reader, writer, far


async def outcome_of(reading: Coroutine[Any, Any, bytes]) -> Any:
    try:
        return await reading
    except asyncio.IncompleteReadError as error:
        return type(error), error.partial, error.expected
    except asyncio.LimitOverrunError as error:
        return type(error), error.args, error.consumed
    except ValueError as error:
        return type(error), error.args, type(error.__context__)


async def arrived(reader: Any, text: bytes) -> None:
    """Wait until the reader has it all."""
    while len(reader._buffer) < len(text):
        await asyncio.sleep(0)


def on_both(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What a program does on a loop of ours, when it does the same on a standard one."""
    outcomes = []
    for factory in (asyncio.SelectorEventLoop, EventLoop):
        with asyncio.Runner(loop_factory=factory) as runner:
            outcomes.append(runner.run(asyncio.wait_for(main(), 30)))
    assert outcomes[0] == outcomes[1]
    return outcomes[1]


def pieces_of(text: bytes, chooser: random.Random) -> list[bytes]:
    pieces = []
    while text:
        count = chooser.choice([1, 2, 3, 10, 100, 1000])
        pieces.append(text[:count])
        text = text[count:]
    return pieces


@pytest.mark.parametrize("seed", range(8))
def test_reads_of_what_arrives_in_pieces_end_as_on_the_standard_loop(seed: int) -> None:
    async def main() -> list[Any]:
        chooser = random.Random(seed)
        text = b"".join(
            b"x" * chooser.randrange(chooser.choice([3, 50, 3000])) + chooser.choice([b"\n", b"\r\n", b"--\r\n", b"-"])
            for _ in range(150)
        )
        pieces = pieces_of(text, chooser)
        reader, writer, far = await connect()

        async def send() -> None:
            for number, piece in enumerate(pieces):
                await asyncio.get_running_loop().sock_sendall(far, piece)
                if number % 5 == 0:
                    await asyncio.sleep(0)
            far.close()

        sending = asyncio.create_task(send())
        outcomes = []
        while not reader.at_eof():
            way = chooser.randrange(4)
            if way == 0:
                reading = reader.readline()
            elif way == 1:
                reading = reader.readexactly(chooser.choice([0, 1, 5, 2000]))
            else:
                reading = reader.readuntil(chooser.choice([b"\n", b"\r\n", b"--\r\n"]))
            outcomes.append(await outcome_of(reading))
        outcomes.append(await outcome_of(reader.readline()))
        outcomes.append(await outcome_of(reader.readexactly(3)))
        outcomes.append(await outcome_of(reader.readuntil()))
        await sending
        writer.close()
        return outcomes

    assert len(on_both(main)) > 10


@pytest.mark.parametrize("text", [b"x" * 30 + b"\nrest\n", b"x" * 30, b"x" * 10 + b"\nrest", b"x" * 11 + b"\n", b"\n"])
@pytest.mark.parametrize("method", ["readline", "readuntil"])
def test_more_than_the_limit_before_the_separator_is_refused(text: bytes, method: str) -> None:
    async def main() -> list[Any]:
        reader, writer, far = await connect(limit=10)
        far.sendall(text)
        far.close()
        await arrived(reader, text)
        outcomes = [await outcome_of(getattr(reader, method)()) for _ in range(3)]
        outcomes.append(await outcome_of(reader.read()))
        writer.close()
        return outcomes

    on_both(main)


def test_a_line_that_grows_beyond_the_limit_while_somebody_waits_is_refused() -> None:
    async def main() -> None:
        reader, writer, far = await connect(limit=1000)
        reading = asyncio.create_task(reader.readuntil(b"END"))
        for _ in range(20):
            await asyncio.get_running_loop().sock_sendall(far, b"x" * 100)
            await asyncio.sleep(0.001)
        with pytest.raises(asyncio.LimitOverrunError, match="exceed the limit"):
            await reading
        far.close()
        assert await reader.read() == b"x" * 2000
        writer.close()

    run(main())


def test_an_exact_read_may_be_larger_than_the_limit() -> None:
    async def main() -> None:
        reader, writer, far = await connect(limit=100)
        count = 1_000_000
        reading = asyncio.create_task(reader.readexactly(count))
        await asyncio.sleep(0)
        await asyncio.get_running_loop().sock_sendall(far, b"y" * (count + 5))
        assert await reading == b"y" * count
        assert await reader.readexactly(5) == b"y" * 5
        far.close()
        writer.close()

    run(main())


def test_a_task_is_woken_once_for_a_line_in_many_pieces() -> None:
    async def main() -> None:
        reader, writer, far = await connect()
        steps = 0

        async def count_steps() -> Any:
            nonlocal steps
            reading = reader.readline()
            while True:
                try:
                    future = reading.send(None)
                except StopIteration as stop:
                    return stop.value
                steps += 1
                future._asyncio_future_blocking = False
                await future

        counting = asyncio.create_task(count_steps())
        for piece in (b"one ", b"two ", b"three\nnext"):
            await asyncio.get_running_loop().sock_sendall(far, piece)
            await asyncio.sleep(0.005)
        assert await counting == b"one two three\n"
        assert steps == 1
        assert await reader.readexactly(4) == b"next"
        far.close()
        writer.close()

    run(main())


def test_a_cancelled_read_of_a_line_loses_no_byte() -> None:
    async def main() -> None:
        reader, writer, far = await connect()
        text = b"".join(b"%d\n" % number for number in range(300))
        received = b""
        for start in range(0, len(text), 7):
            reading = asyncio.create_task(reader.readline())
            await asyncio.sleep(0)
            far.send(text[start : start + 7])
            for _ in range(start % 4):
                await asyncio.sleep(0)
            reading.cancel()
            try:
                received += await reading
            except asyncio.CancelledError:
                pass
        far.close()
        while line := await reader.readline():
            received += line
        assert received == text
        writer.close()

    run(main())


def test_what_the_methods_refuse_the_standard_ones_refuse_in_the_same_words() -> None:
    async def main() -> list[str]:
        reader, writer, far = await connect()
        words = []

        async def refused(make: Callable[[], Any]) -> None:
            try:
                await make()
            except (TypeError, ValueError, RuntimeError) as error:
                words.append(f"{type(error).__name__}: {error}")

        await refused(lambda: reader.readexactly(-1))
        await refused(lambda: reader.readuntil(b""))
        waiting = asyncio.create_task(reader.readline())
        await asyncio.sleep(0)
        await refused(lambda: reader.readexactly(1))
        await refused(lambda: reader.readline())
        await refused(lambda: reader.readuntil(b"x"))
        far.sendall(b"first\nsecond\n")
        words.append((await waiting).decode())
        far.close()
        words.extend([line.decode() async for line in reader])
        writer.close()
        return words

    assert on_both(main)[-1] == "second\n"


def test_an_error_of_the_connection_ends_every_kind_of_read() -> None:
    async def main() -> None:
        for read in (lambda r: r.readline(), lambda r: r.readexactly(4), lambda r: r.readuntil(b"END")):
            reader, writer, far = await connect()
            reading = asyncio.create_task(read(reader))
            await asyncio.sleep(0)
            reader.set_exception(ZeroDivisionError())
            with pytest.raises(ZeroDivisionError):
                await reading
            with pytest.raises(ZeroDivisionError):
                await read(reader)
            far.close()
            writer.close()

    run(main())

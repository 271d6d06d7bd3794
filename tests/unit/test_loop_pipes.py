"""The transports of pipes and of children's streams: bytes, flow control, ends, and who closes what."""

import asyncio
import contextlib
import gc
import hashlib
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import Recorder, run

LARGE_BYTES = 50_000_000
PIECE_BYTES = 1_000_000
CHILDREN_COUNT = 300
AT_ONCE_COUNT = 20

loop_of = asyncio.get_running_loop


async def writing_end(protocol: Any = None) -> tuple[Any, Any, int]:
    """A transport over a pipe's writing end, its protocol, and the reading end."""
    reading, writing = os.pipe()
    chosen = protocol or Recorder()
    transport, _protocol = await loop_of().connect_write_pipe(lambda: chosen, os.fdopen(writing, "wb", 0))
    return transport, chosen, reading


async def reading_end(protocol: Any = None) -> tuple[Any, Any, int]:
    """A transport over a pipe's reading end, its protocol, and the writing end."""
    reading, writing = os.pipe()
    chosen = protocol or Recorder()
    transport, _protocol = await loop_of().connect_read_pipe(lambda: chosen, os.fdopen(reading, "rb", 0))
    return transport, chosen, writing


def drained(descriptor: int) -> bytes:
    """Read a pipe to its end."""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


async def read_all(descriptor: int) -> bytes:
    return await loop_of().run_in_executor(None, drained, descriptor)


async def cat(**keywords: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec("/bin/cat", stdin=-1, stdout=-1, **keywords)


def descriptor_count() -> int:
    return len(list(pathlib.Path("/proc/self/fd").iterdir()))


def test_bytes_of_any_size_and_kind_go_through_a_pipe_in_order() -> None:
    async def main() -> None:
        transport, protocol, reading = await writing_end()
        pieces: list[Any] = [b"", b"a", bytearray(b"bc"), memoryview(b"0123456789")[::2], bytes(3_000_000), b"end"]
        for piece in pieces:
            transport.write(piece)
        transport.writelines([b"x", bytearray(b"y"), memoryview(b"z"), b""])
        changed = bytearray(b"before")
        transport.write(changed)
        changed[:] = b"behind"
        transport.write_eof()
        transport.write(b"too late")
        assert await read_all(reading) == b"".join(map(bytes, pieces)) + b"xyzbefore"
        assert await protocol.lost is None
        assert protocol.heard == ["made", "pause", "resume", "lost"]

    run(main())


def test_a_slow_reader_pauses_the_writer_until_it_has_read() -> None:
    async def main() -> None:
        transport, protocol, reading = await writing_end()
        transport.set_write_buffer_limits(high=200_000, low=10_000)
        assert transport.get_write_buffer_limits() == (10_000, 200_000)
        digest, read = hashlib.sha256(), hashlib.sha256()
        count = 0
        while "pause" not in protocol.heard:
            piece = bytes([count % 251]) * 50_000
            digest.update(piece)
            transport.write(piece)
            count += 1
        assert transport.get_write_buffer_size() > 200_000
        os.set_blocking(reading, False)
        while "resume" not in protocol.heard:
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                read.update(os.read(reading, 7_000))
        assert transport.get_write_buffer_size() <= 10_000
        transport.close()
        os.set_blocking(reading, True)
        read.update(await read_all(reading))
        assert digest.digest() == read.digest()
        assert await protocol.lost is None

    run(main())


def test_a_paused_reading_end_takes_nothing_until_it_is_resumed() -> None:
    async def main() -> None:
        transport, protocol, writing = await reading_end()
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        os.write(writing, b"abc")
        for _turn in range(20):
            await asyncio.sleep(0)
        assert not protocol.data
        transport.resume_reading()
        assert transport.is_reading()
        await protocol.until(lambda protocol: protocol.data == b"abc")
        os.close(writing)
        assert await protocol.lost is None
        assert protocol.heard == ["made", "data", "eof", "lost"]

    run(main())


@pytest.mark.parametrize("size_bytes", [0, PIECE_BYTES], ids=["idle", "with bytes queued"])
def test_a_closed_reader_ends_the_writing_end(size_bytes: int) -> None:
    async def main() -> None:
        transport, protocol, reading = await writing_end()
        transport.write(bytes(size_bytes))
        os.close(reading)
        error = await protocol.lost
        assert isinstance(error, BrokenPipeError) if size_bytes else error is None
        assert protocol.heard.count("lost") == 1
        assert transport.is_closing()
        assert transport.get_extra_info("pipe").closed
        for _late in range(6):
            transport.write(b"x")

    run(main())


def test_a_write_to_a_closed_reader_is_told_to_the_protocol() -> None:
    async def main() -> None:
        transport, protocol, reading = await writing_end()
        os.close(reading)
        # Before the loop has news of that.
        transport.write(b"x")
        assert isinstance(await protocol.lost, BrokenPipeError)
        assert not loop_of().reported  # type: ignore[attr-defined]

    run(main())


@pytest.mark.parametrize("queued_bytes", [0, PIECE_BYTES], ids=["idle", "with bytes queued"])
def test_an_end_is_told_once_however_often_it_is_asked_for(queued_bytes: int) -> None:
    async def main() -> None:
        transport, protocol, reading = await writing_end()
        transport.write(bytes(queued_bytes))
        transport.write_eof()
        transport.close()
        transport.abort()
        transport.abort()
        transport.close()
        assert await protocol.lost is None
        await asyncio.sleep(0)
        assert protocol.heard.count("lost") == 1
        assert len(await read_all(reading)) <= queued_bytes
        reader, heard, writing = await reading_end()
        reader.close()
        reader.close()
        assert await heard.lost is None
        assert heard.heard == ["made", "lost"]
        os.close(writing)

    run(main())


def test_each_end_closes_its_descriptor_once() -> None:
    async def main() -> None:
        transport, protocol, reading = await writing_end()
        number = transport.get_extra_info("pipe").fileno()
        transport.close()
        await protocol.lost
        # The number is another's now.
        other = os.open(os.devnull, os.O_RDONLY)
        assert other == number
        transport.abort()
        transport.close()
        del transport, protocol
        gc.collect()
        await asyncio.sleep(0)
        os.fstat(other)
        os.close(other)
        os.close(reading)

    run(main())


def test_an_exception_in_data_received_is_reported_and_the_pipe_lives_on() -> None:
    class Clumsy(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if len(self.data) == 1:
                raise ValueError("clumsy")

    async def main() -> None:
        _transport, protocol, writing = await reading_end(Clumsy())
        os.write(writing, b"1")
        await protocol.until(lambda protocol: protocol.data == b"1")
        os.write(writing, b"2")
        await protocol.until(lambda protocol: protocol.data == b"12")
        (report,) = loop_of().reported  # type: ignore[attr-defined]
        assert isinstance(report["exception"], ValueError)
        os.close(writing)
        assert await protocol.lost is None

    run(main())


def test_a_regular_file_is_no_pipe(tmp_path: Path) -> None:
    async def main() -> None:
        with (tmp_path / "file").open("w+b", 0) as file:
            with pytest.raises(ValueError, match="Pipe transport is"):
                await loop_of().connect_read_pipe(Recorder, file)
            with pytest.raises(ValueError, match="Pipe transport is"):
                await loop_of().connect_write_pipe(Recorder, file)
            assert not file.closed

    run(main())


def test_what_has_no_bytes_cannot_be_written() -> None:
    async def main() -> None:
        transport, protocol, reading = await writing_end()
        with pytest.raises(TypeError):
            transport.write("text")
        transport.close()
        assert await protocol.lost is None
        os.close(reading)

    run(main())


def test_both_ends_of_a_terminal_are_transports() -> None:
    async def main() -> None:
        master, slave = os.openpty()
        writer, heard = await loop_of().connect_write_pipe(Recorder, os.fdopen(os.dup(master), "wb", 0))
        reader, protocol = await loop_of().connect_read_pipe(Recorder, os.fdopen(slave, "rb", 0))
        writer.write(b"line\n")
        await protocol.until(lambda protocol: protocol.data == b"line\n")
        reader.close()
        writer.close()
        assert await protocol.lost is None
        assert await heard.lost is None
        os.close(master)

    run(main())


def test_a_child_gets_and_gives_back_much_in_order() -> None:
    async def main() -> None:
        process = await cat()
        assert process.stdin is not None
        assert process.stdout is not None
        sent, received = hashlib.sha256(), hashlib.sha256()

        async def feed(stdin: Any) -> None:
            for count in range(LARGE_BYTES // PIECE_BYTES):
                piece = bytes([count]) * (PIECE_BYTES - 1) + b"\n"
                sent.update(piece)
                stdin.write(piece)
                await stdin.drain()
            stdin.close()
            await stdin.wait_closed()

        feeding = asyncio.create_task(feed(process.stdin))
        count = 0
        while data := await process.stdout.read(100_000):
            received.update(data)
            count += len(data)
        await feeding
        assert (count, received.digest()) == (LARGE_BYTES, sent.digest())
        assert await process.wait() == 0

    run(main())


def test_communicate_brings_all_that_went_in() -> None:
    async def main() -> None:
        data = os.urandom(LARGE_BYTES // 10)
        process = await asyncio.create_subprocess_shell("tee /dev/stderr", stdin=-1, stdout=-1, stderr=-1)
        assert await process.communicate(data) == (data, data)

    run(main())


def test_every_way_to_read_works_on_a_childs_output() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_shell(
            "printf 'one\\ntwo three'; cat; printf end", stdin=-1, stdout=-1
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert await process.stdout.readline() == b"one\n"
        assert await process.stdout.readuntil(b" ") == b"two "
        assert await process.stdout.readexactly(5) == b"three"
        waiting = asyncio.create_task(process.stdout.read(3))
        await asyncio.sleep(0)
        process.stdin.write(b"abcdef")
        assert await waiting == b"abc"
        process.stdin.close()
        assert await process.stdout.read() == b"defend"
        assert process.stdout.at_eof()
        assert await process.wait() == 0

    run(main())


def test_a_reader_that_is_not_read_stops_its_child() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec("/bin/cat", "/dev/zero", stdout=-1, limit=1000)
        assert process.stdout is not None
        pipe = process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        while pipe.is_reading():
            await asyncio.sleep(0)
        assert len(process.stdout._buffer) < PIECE_BYTES  # type: ignore[attr-defined]
        assert await process.stdout.readexactly(PIECE_BYTES) == bytes(PIECE_BYTES)
        process.kill()
        while await process.stdout.read(PIECE_BYTES):
            pass
        assert await process.wait() == -signal.SIGKILL

    run(main())


def test_a_reader_pauses_its_pipe_at_one_byte_more_than_twice_its_limit() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=-1, stdout=-1, limit=10)
        assert process.stdin is not None
        assert process.stdout is not None
        pipe = process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        process.stdin.write(bytes(21))
        while not process.stdout._buffer:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        assert not pipe.is_reading()
        assert await process.communicate(b"") == (bytes(21), None)

    run(main())


def test_a_child_that_does_not_read_ends_what_is_written_to_it() -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec("/bin/true", stdin=-1)
        assert process.stdin is not None
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                process.stdin.write(bytes(PIECE_BYTES))
                await process.stdin.drain()
        assert await process.wait() == 0
        process = await asyncio.create_subprocess_exec("/bin/true", stdin=-1, stdout=-1)
        assert await process.communicate(bytes(PIECE_BYTES)) == (b"", None)

    run(main())


def test_a_protocol_of_the_program_hears_all_of_its_child() -> None:
    class Protocol(asyncio.SubprocessProtocol):
        def __init__(self) -> None:
            self.heard: list[Any] = []
            self.over = loop_of().create_future()

        def pipe_data_received(self, fd: int, data: bytes) -> None:
            self.heard.append((fd, data))

        def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
            self.heard.append((fd, exc))

        def process_exited(self) -> None:
            self.heard.append("exited")

        def connection_lost(self, exc: Exception | None) -> None:
            self.over.set_result(exc)

    async def main() -> None:
        transport, protocol = await loop_of().subprocess_shell(Protocol, "cat; echo 2 >&2")
        transport.get_pipe_transport(0).write(b"1")
        transport.get_pipe_transport(0).close()
        assert await protocol.over is None
        transport.close()
        assert sorted(map(repr, protocol.heard)) == sorted(
            map(repr, [(0, None), (1, b"1"), (1, None), (2, b"2\n"), (2, None), "exited"])
        )
        assert protocol.heard.index((1, b"1")) < protocol.heard.index((1, None))

    run(main())


def test_many_children_leave_no_descriptor() -> None:
    async def one(number: int) -> None:
        process = await cat(stderr=asyncio.subprocess.DEVNULL)
        data = b"%d" % number
        assert await process.communicate(data) == (data, None)

    async def main() -> None:
        await one(0)
        gc.collect()
        before = descriptor_count()
        for start in range(0, CHILDREN_COUNT, AT_ONCE_COUNT):
            await asyncio.gather(*map(one, range(start, start + AT_ONCE_COUNT)))
        gc.collect()
        assert descriptor_count() == before

    run(main())


@contextlib.contextmanager
def ctrl_c_works() -> Iterator[None]:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def test_ctrl_c_leaves_a_loop_that_waits_for_its_child() -> None:
    codes = []

    async def main() -> None:
        process = await cat()
        assert process.stdout is not None
        threading.Thread(target=signal.raise_signal, args=(signal.SIGINT,)).start()
        try:
            await process.stdout.read()
        finally:
            process.kill()
            codes.append(await process.wait())

    with ctrl_c_works(), pytest.raises(KeyboardInterrupt):
        run(main())
    assert codes == [-signal.SIGKILL]


def test_ctrl_c_in_data_received_leaves_the_loop() -> None:
    class Interrupted(Recorder):
        def data_received(self, data: bytes) -> None:
            raise KeyboardInterrupt

    async def main() -> None:
        transport, _protocol, writing = await reading_end(Interrupted())
        os.write(writing, b"x")
        try:
            await asyncio.Event().wait()
        finally:
            transport.close()
            os.close(writing)

    with pytest.raises(KeyboardInterrupt):
        run(main())

"""Waits for bytes on our loops: futures, reads and handles are used again, and nobody who has one can tell."""

import asyncio
import gc
import sys
import sysconfig
import weakref
from pathlib import Path
from typing import Any

import pytest

from threefold.asyncio import EventLoop

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import run

IS_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


async def echo(reader: Any, writer: Any) -> None:
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()
    writer.close()


async def connected() -> tuple[Any, Any, Any]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    return server, reader, writer


async def end(server: Any, writer: Any) -> None:
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def waiting(reader: Any) -> Any:
    """A task that waits in a read."""
    task = asyncio.ensure_future(reader.read(100))
    while reader._waiter is None:
        await asyncio.sleep(0)
    return task


def pending_futures() -> int:
    """How many futures wait for nothing that anybody could bring."""
    futures = (each for each in gc.get_objects() if type(each) is asyncio.Future)
    return sum(not future.done() and not future._callbacks for future in futures)


@pytest.mark.skipif(IS_FREE_THREADED, reason="there a future is made for each wait")
def test_the_future_of_a_wait_is_kept_for_the_next() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        before = pending_futures()
        for _ in range(20):
            task = await waiting(reader)
            writer.write(b"again")
            assert await task == b"again"
        assert before < pending_futures() <= before + 4
        await end(server, writer)

    run(main())


def test_a_future_that_somebody_has_is_not_used_again() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        kept = []
        for number in range(5):
            task = await waiting(reader)
            kept.append(reader._waiter if number % 2 else weakref.ref(reader._waiter))
            writer.write(b"once")
            assert await task == b"once"
        futures = [each for each in kept if isinstance(each, asyncio.Future)]
        assert len(set(futures)) == len(futures) == 2
        assert all(future.done() and not future.cancelled() and future.result() is None for future in futures)
        assert not [each() for each in kept if isinstance(each, weakref.ref) and each() is not None]
        await end(server, writer)

    run(main())


def test_a_callback_of_the_program_on_a_wait_is_called_once() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        called: list[Any] = []
        for _ in range(3):
            task = await waiting(reader)
            reader._waiter.add_done_callback(called.append)
            writer.write(b"heard")
            assert await task == b"heard"
        await asyncio.sleep(0)
        assert len(called) == 3
        assert all(future.done() for future in called)
        await end(server, writer)

    run(main())


def test_a_cancelled_wait_leaves_nothing_to_the_next() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        for number in range(20):
            task = await waiting(reader)
            waiter = reader._waiter
            assert task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert waiter.cancelled()
            assert reader._waiter is None
            del waiter
            task = await waiting(reader)
            writer.write(b"%d" % number)
            assert await task == b"%d" % number
        await end(server, writer)

    run(main())


def test_a_wait_that_has_its_bytes_can_be_cancelled_no_more() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        task = await waiting(reader)
        waiter = reader._waiter
        writer.write(b"here")
        while not waiter.done():
            await asyncio.sleep(0)
        assert not waiter.cancel()
        assert not waiter.cancelled()
        assert await task == b"here"
        await end(server, writer)

    run(main())


def test_debug_mode_may_begin_and_end_while_a_task_waits() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        loop = asyncio.get_running_loop()
        for number in range(8):
            loop.set_debug(number % 4 in (1, 2))
            task = await waiting(reader)
            loop.set_debug(number % 2 == 0)
            writer.write(b"seen")
            assert await task == b"seen"
        loop.set_debug(False)
        await end(server, writer)

    run(main())


def test_a_read_keeps_its_reader() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        known = weakref.ref(reader)
        reading = reader.read(100)
        writer._reader = None
        del reader
        gc.collect()
        assert known() is not None
        writer.write_eof()
        assert await reading == b""
        del reading
        await end(server, writer)

    run(main())


def test_a_read_that_somebody_has_is_not_used_again() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        writer.write(b"abc")
        first = reader.read(1)
        assert await first == b"a"
        second = reader.read(1)
        assert second is not first
        assert await second == b"b"
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await first
        noted = weakref.ref(reader.read(1))
        assert await reader.read(1) == b"c"
        assert noted() is None
        await end(server, writer)

    run(main())


def test_the_attributes_of_a_reader_are_those_of_the_standard_one() -> None:
    async def main() -> None:
        server, reader, writer = await connected()
        assert (reader._limit, reader._eof, reader._paused, reader._waiter) == (65536, False, False, None)
        assert reader._transport is writer.transport
        assert reader._exception is None
        assert not reader.at_eof()
        task = await waiting(reader)
        assert "waiter=<Future pending" in repr(reader)
        reader.feed_data(b"fed")
        assert await task == b"fed"
        reader._buffer.extend(b"kept")
        assert await reader.readexactly(4) == b"kept"
        reader._limit = 2
        reader._buffer = bytearray(b"long\n")
        with pytest.raises(ValueError, match="longer than limit"):
            await reader.readline()
        task = await waiting(reader)
        error = ValueError("of the program")
        reader.set_exception(error)
        with pytest.raises(ValueError, match="of the program"):
            await task
        assert reader.exception() is error
        reader._exception = None
        reader.feed_eof()
        assert reader.at_eof()
        assert await reader.read(10) == b""
        await end(server, writer)

    run(main())


@pytest.mark.filterwarnings("ignore:unclosed")
def test_a_loop_that_nobody_closes_is_garbage_with_its_spare_futures() -> None:
    loop = EventLoop()

    async def main() -> None:
        server, reader, writer = await connected()
        for _ in range(3):
            task = await waiting(reader)
            writer.write(b"x")
            await task
        await end(server, writer)
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    known = weakref.ref(loop)
    del loop
    gc.collect()
    assert known() is None

"""Every descriptor has one owner: whoever gets its number next keeps it."""

import asyncio
import gc
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loop_figures import descriptor_count
from stream_rig import LIMIT_S, run, tcp_pair

from threefold.asyncio import EventLoop


class Quiet(asyncio.SubprocessProtocol, asyncio.DatagramProtocol):
    """Hears of everything, and says nothing."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        pass

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> None:
        pass

    def connection_lost(self, error: BaseException | None) -> None:
        self.lost.set_result(error)


async def stream() -> Any:
    near, far = tcp_pair()
    far.close()
    return await asyncio.get_running_loop().create_connection(Quiet, sock=near)


async def read_pipe() -> Any:
    reader, writer = os.pipe()
    os.close(writer)
    return await asyncio.get_running_loop().connect_read_pipe(Quiet, os.fdopen(reader, "rb", 0))


async def write_pipe() -> Any:
    reader, writer = os.pipe()
    os.close(reader)
    return await asyncio.get_running_loop().connect_write_pipe(Quiet, os.fdopen(writer, "wb", 0))


async def datagrams() -> Any:
    return await asyncio.get_running_loop().create_datagram_endpoint(Quiet, local_addr=("127.0.0.1", 0))


async def child() -> Any:
    return await asyncio.get_running_loop().subprocess_exec(Quiet, "/bin/true")


OPENED = [stream, read_pipe, write_pipe, datagrams, child]


@pytest.mark.parametrize("ways", [["close"], ["abort", "close"], ["close", "close"]], ids="-".join)
@pytest.mark.parametrize("opened", OPENED, ids=lambda opened: str(opened.__name__))
def test_a_number_that_was_given_back_belongs_to_its_next_owner(
    opened: Callable[[], Coroutine[Any, Any, Any]], ways: list[str]
) -> None:
    async def main() -> None:
        transport, protocol = await opened()
        for way in ways:
            getattr(transport, way, transport.close)()
        await asyncio.wait_for(protocol.lost, LIMIT_S)
        # These have the numbers now that the transport had.
        owners = [socket.socketpair() for _ in range(8)]
        transport.close()
        del transport, protocol
        gc.collect()
        await asyncio.sleep(0)
        for near, far in owners:
            near.send(b"mine")
            assert far.recv(10) == b"mine"
            near.close()
            far.close()
        assert asyncio.get_running_loop().reported == []  # type: ignore[attr-defined]

    run(main())


def test_a_pipe_that_cannot_be_watched_stays_its_openers() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for connect in (loop.connect_read_pipe, loop.connect_write_pipe):
            with Path("/proc/self/status").open("rb", 0) as file:  # noqa: ASYNC230 - not to be read
                with pytest.raises(ValueError, match="only"):
                    await connect(Quiet, file)
                # Closed by the transport, or still open; in any case once.
                number = None if file.closed else file.fileno()
                gc.collect()
                if number is not None:
                    os.fstat(number)

    run(main())


def test_closed_loops_that_somebody_keeps_hold_no_descriptors() -> None:
    def used() -> EventLoop:
        loop = EventLoop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        return loop

    used()
    before = descriptor_count()
    kept = [used() for _ in range(20)]
    assert descriptor_count() == before
    assert kept[0]._descriptor() == -1
    for loop in kept:
        loop.close()
        with pytest.raises(RuntimeError, match="closed"):
            loop.call_soon(print)


def test_a_loop_that_nobody_closes_is_collected_with_what_threads_have_brought() -> None:
    def left() -> weakref.ref[EventLoop]:
        loop = EventLoop()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
        thread.start()
        thread.join(LIMIT_S)
        return weakref.ref(loop)

    before = descriptor_count()
    gone = left()
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        gc.collect()
    assert gone() is None
    assert descriptor_count() == before


@pytest.mark.timeout(120)
def test_threads_that_call_while_the_loop_closes_harm_nobody() -> None:
    """What they bring is run, or dropped, or refused; and the bell that they ring is not somebody else's descriptor."""
    ran: list[int] = []
    wrong: list[BaseException] = []

    def bring(loop: EventLoop, began: threading.Barrier, brought: list[int]) -> None:
        began.wait(LIMIT_S)
        try:
            while True:
                loop.call_soon_threadsafe(ran.append, 1)
                brought.append(1)
        except RuntimeError as error:
            if str(error) != "Event loop is closed":
                wrong.append(error)

    before = descriptor_count()
    for _ in range(6):
        ran.clear()
        loop, began, brought = EventLoop(), threading.Barrier(9), list[int]()
        threads = [threading.Thread(target=bring, args=(loop, began, brought)) for _ in range(8)]
        for thread in threads:
            thread.start()
        began.wait(LIMIT_S)
        loop.run_until_complete(asyncio.sleep(0.002))
        loop.close()
        near, far = socket.socketpair()
        for thread in threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        with near, far:
            for end in (near, far):
                end.setblocking(False)
                with pytest.raises(BlockingIOError):
                    end.recv(100)
        assert len(ran) <= len(brought)
        assert loop._counts()[0] == 0
    assert wrong == []
    assert descriptor_count() == before

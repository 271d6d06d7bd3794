"""Protocols of stream transports: their contexts, their exceptions, and buffers of their own."""

import asyncio
import contextvars
import logging
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from threefold.asyncio import EventLoop

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import Recorder, connect, receive_all, run

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME", default="none")


def test_callbacks_run_in_the_context_in_which_the_connection_was_made() -> None:
    class Named(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.names: set[str] = set()

        def _note(self, word: str) -> None:
            self.names.add(NAME.get())
            super()._note(word)
            if word == "data":
                NAME.set("changed in a callback")
                self.names.discard("changed in a callback")

    async def open_as(name: str) -> Any:
        NAME.set(name)
        return await connect(Named)

    async def main() -> None:
        ends = [await asyncio.create_task(open_as(name)) for name in ("first", "second")]
        NAME.set("main")
        loop = asyncio.get_running_loop()
        for (transport, protocol, peer), name in zip(ends, ("first", "second"), strict=True):
            await loop.sock_sendall(peer, b"x")
            await protocol.until(lambda protocol: bool(protocol.data))
            assert protocol.names == {name}
            transport.close()
            await protocol.lost
            peer.close()
        assert NAME.get() == "main"

    run(main())


@pytest.mark.parametrize("callback", ["data_received", "eof_received"])
def test_what_a_callback_raises_is_reported_and_ends_the_connection(callback: str) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, peer = await connect(type("Faulty", (Recorder,), {callback: fail}))
        await loop.sock_sendall(peer, b"x")
        peer.close()
        error = await protocol.lost
        assert isinstance(error, ZeroDivisionError)
        (context,) = loop.reported  # type: ignore[attr-defined]
        assert context["message"] == f"Fatal error: protocol.{callback}() call failed."
        assert context["transport"] is transport
        assert context["protocol"] is protocol
        assert context["exception"] is error

    run(main())


@pytest.mark.parametrize("callback", ["pause_writing", "resume_writing"])
def test_what_flow_control_raises_is_reported_and_the_connection_goes_on(callback: str) -> None:
    def fail(_protocol: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, peer = await connect(type("Faulty", (Recorder,), {callback: fail}))
        transport.write(bytes(20_000_000))
        transport.close()
        assert len(await receive_all(peer)) == 20_000_000
        assert await protocol.lost is None
        (context,) = loop.reported  # type: ignore[attr-defined]
        assert context["message"] == f"protocol.{callback}() failed"
        peer.close()

    run(main())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_callback_leaves_the_loop(error: type[BaseException]) -> None:
    class Interrupting(Recorder):
        def data_received(self, data: bytes) -> None:
            raise error

    async def end(transport: Any, protocol: Any, peer: Any) -> None:
        transport.abort()
        assert await protocol.lost is None
        peer.close()

    loop = EventLoop()
    ends = loop.run_until_complete(connect(Interrupting))
    ends[2].send(b"x")
    with pytest.raises(error):
        loop.run_forever()
    loop.run_until_complete(end(*ends))
    loop.close()


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, size: int = 1000) -> None:
        self.buffer = bytearray(size)
        self.data = bytearray()
        self.hints: set[int] = set()
        self.is_over = asyncio.get_running_loop().create_future()

    def get_buffer(self, hint: int) -> Any:
        self.hints.add(hint)
        return memoryview(self.buffer)

    def buffer_updated(self, count: int) -> None:
        self.data += self.buffer[:count]

    def connection_lost(self, error: BaseException | None) -> None:
        self.is_over.set_result(error)


def test_a_buffered_protocol_is_read_into_its_own_memory() -> None:
    async def main() -> None:
        _transport, protocol, peer = await connect(Buffered)
        sent = bytes(range(256)) * 5000
        await asyncio.get_running_loop().sock_sendall(peer, sent)
        peer.close()
        assert await protocol.is_over is None
        assert protocol.data == sent
        assert protocol.hints == {-1}

    run(main())


@pytest.mark.parametrize(
    ("callback", "answer", "message"),
    [
        ("get_buffer", b"", "Fatal error: protocol.get_buffer() call failed."),
        ("get_buffer", 7, "Fatal error: protocol.get_buffer() call failed."),
        ("get_buffer", b"read-only", "Fatal read error on socket transport"),
        ("buffer_updated", ZeroDivisionError(), "Fatal error: protocol.buffer_updated() call failed."),
    ],
)
def test_a_faulty_buffered_protocol_is_reported(callback: str, answer: Any, message: str) -> None:
    def faulty(_protocol: object, _number: int) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def main() -> None:
        loop = asyncio.get_running_loop()
        _transport, protocol, peer = await connect(type("Faulty", (Buffered,), {callback: faulty}))
        await loop.sock_sendall(peer, b"x")
        assert isinstance(await protocol.is_over, Exception)
        (context,) = loop.reported  # type: ignore[attr-defined]
        assert context["message"] == message
        peer.close()

    run(main())


def test_the_kind_of_protocol_can_change() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, plain, peer = await connect()
        await loop.sock_sendall(peer, b"plain")
        await plain.until(lambda plain: plain.data == b"plain")
        buffered = Buffered()
        transport.set_protocol(buffered)
        await loop.sock_sendall(peer, b"buffered")
        peer.close()
        assert await buffered.is_over is None
        assert buffered.data == b"buffered"
        assert plain.data == b"plain"

    run(main())


def test_a_callback_that_takes_long_is_named_in_debug_mode(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, peer = await connect()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0
        with caplog.at_level(logging.WARNING, "asyncio"):
            await loop.sock_sendall(peer, b"x")
            await protocol.until(lambda protocol: bool(protocol.data))
        assert any("Executing <StreamTransport" in record.getMessage() for record in caplog.records)
        loop.set_debug(False)
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


def test_what_arrives_is_told_behind_the_callbacks_that_were_ready_before() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol, peer = await connect(Recorder)

        def be_busy() -> None:
            loop.call_soon(protocol.heard.append, "callback")
            loop.call_soon(peer.close)
            peer.sendall(b"x")
            # Long enough for the loop to look for news in its next turn.
            time.sleep(0.01)

        loop.call_soon(be_busy)
        await protocol.lost
        assert protocol.heard == ["made", "callback", "data", "eof", "lost"]
        transport.close()

    run(main())

"""What the tests of stream transports share: a loop of ours, a protocol that writes down what it hears, and plain peers."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from threefold.asyncio import EventLoop

LIMIT_S = 30.0


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a new loop of ours; what the loop's exception handler hears goes to `loop.reported`."""

    async def limited() -> Any:
        asyncio.get_running_loop().reported = []  # type: ignore[attr-defined]
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: loop.reported.append(context))
        result = await asyncio.wait_for(coroutine, LIMIT_S)
        # Those who serve the other ends; before Python 3.12 a server does not wait for them.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=LIMIT_S)
        await asyncio.sleep(0)
        return result

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(limited())


class Recorder(asyncio.Protocol):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.error: BaseException | None = None
        self.lost = asyncio.get_running_loop().create_future()
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._note("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.data += data
        self._note("data")

    def eof_received(self) -> bool | None:
        self._note("eof")
        return None

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    def connection_lost(self, error: BaseException | None) -> None:
        self.error = error
        self._note("lost")
        self.lost.set_result(error)

    def _note(self, word: str) -> None:
        if word != "data" or self.heard[-1:] != ["data"]:
            self.heard.append(word)
        self.changed.set()

    async def until(self, condition: Callable[["Recorder"], bool]) -> None:
        """Wait until the condition holds; asked whenever something was heard."""
        while not condition(self):
            self.changed.clear()
            await self.changed.wait()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a TCP connection, neither of which waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _address = server.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


async def connect(factory: Callable[[], Any] = Recorder, pair: Any = None) -> tuple[Any, Any, socket.socket]:
    """Return a transport of ours, its protocol, and the plain socket at the other end."""
    near, far = pair or tcp_pair()
    transport, protocol = await asyncio.get_running_loop().create_connection(factory, sock=near)
    return transport, protocol, far


async def receive_all(peer: socket.socket) -> bytes:
    """Return what arrives until the other end says that nothing more comes."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    while piece := await loop.sock_recv(peer, 1 << 20):
        received += piece
    return bytes(received)

"""A soak: connections of every kind come and go on one loop, half of them break, and every byte is accounted for.

    python tests/stress/loops/soak.py --seconds 600 --seed 7

Prints its seed first, and what it has found as one line of JSON at the end; the exit code is 1 if something was wrong.
"""

import argparse
import asyncio
import collections
import contextlib
import gc
import json
import logging
import os
import random
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from accounts import KEY_BYTES, Account, Flow, Wrong
from ends import RESET, BufferedEnd, End, ProtocolEnd, ReaderEnd, SocketEnd, StreamEnd
from figures import Curve, certificate_contexts, loop_factory, open_descriptors

AT_ONCE = 48
BACKLOG = 512
SETTLE_LIMIT_S = 60.0


class Soak:
    """The servers, the clients and their accounts."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.path = str(folder / "soak.socket")
        self.contexts = certificate_contexts(folder)
        self.loop = asyncio.get_running_loop()
        self.open: dict[int, Account] = {}
        self.serving: set[asyncio.Task[None]] = set()
        self.wrong: list[str] = []
        self.counts: collections.Counter[str] = collections.Counter()
        self.highest = 0
        self.longest = (0.0, "")
        self.addresses: dict[str, Any] = {}
        self.servers: list[Any] = []
        self.next_key = 0
        self.loop.set_exception_handler(lambda _loop, context: self.note(f"reported: {context}"))

    def note(self, text: str) -> None:
        """Note something that is wrong."""
        self.counts["wrong"] += 1
        if len(self.wrong) < 20:
            self.wrong.append(text)

    # Servers.

    async def start(self) -> None:
        """Open a server of each kind."""

        def factory(kind: type[ProtocolEnd]) -> Any:
            return lambda: kind(self.serve)

        async def streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.serve(StreamEnd(reader, writer))

        make = self.loop.create_server
        opened = {
            "protocol": await make(factory(ProtocolEnd), "127.0.0.1", 0, backlog=BACKLOG),
            "buffered": await make(factory(BufferedEnd), "127.0.0.1", 0, backlog=BACKLOG),
            "streams": await asyncio.start_server(streams, "127.0.0.1", 0, backlog=BACKLOG),
            "tls": await asyncio.start_server(streams, "127.0.0.1", 0, ssl=self.contexts[0], backlog=BACKLOG),
            "unix": await asyncio.start_unix_server(streams, self.path, backlog=BACKLOG),
        }
        self.servers = list(opened.values())
        self.addresses = {kind: server.sockets[0].getsockname() for kind, server in opened.items()}
        for kind, end in (("sock", SocketEnd), ("reader", ReaderEnd)):
            listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
            listening.setblocking(False)
            self.addresses[kind] = listening.getsockname()
            self.servers.append(asyncio.create_task(self.accept(listening, end)))

    async def accept(self, listening: socket.socket, end: type[SocketEnd]) -> None:
        """Take connections as sockets."""
        with listening:
            while True:
                own, _address = await self.loop.sock_accept(listening)
                self.serve(end(own))

    def serve(self, end: End) -> None:
        """Begin the server's side of a connection."""
        task = asyncio.create_task(self.answer(end))
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)

    async def answer(self, end: End) -> None:
        """Be the server's side of a connection."""
        account = None
        try:
            with contextlib.suppress(OSError):
                key = await self.key_of(end)
                account = None if key is None else self.open.get(key)
                if account is None:
                    self.counts["unheard"] += 1
                    if key is not None:
                        self.note(f"a server has heard of {key}, which is not open")
                else:
                    account.is_heard_of = True
                    await Side(self, account, "server", end).converse()
        except Wrong as error:
            self.note(f"{account}: {error}")
        finally:
            await self.finish(end, account, "server")

    async def key_of(self, end: End) -> int | None:
        """Read which connection it is; nothing if it broke before."""
        text = b""
        while len(text) < KEY_BYTES:
            piece = await end.receive(KEY_BYTES - len(text))
            if not piece:
                return None
            text += piece
        return int.from_bytes(text, "big")

    # Clients.

    async def connect(self, kind: str) -> End:
        """Open a connection."""
        address = self.addresses[kind]
        if kind in ("protocol", "buffered"):
            make = ProtocolEnd if kind == "protocol" else BufferedEnd
            return (await self.loop.create_connection(make, *address))[1]
        if kind == "unix":
            return StreamEnd(*await asyncio.open_unix_connection(address))
        if kind in ("streams", "tls"):
            secure = {"ssl": self.contexts[1], "server_hostname": "localhost"} if kind == "tls" else {}
            return StreamEnd(*await asyncio.open_connection(*address, **secure))
        own = socket.socket()
        try:
            own.setblocking(False)
            await self.loop.sock_connect(own, address)
        except BaseException:
            own.close()
            raise
        return (SocketEnd if kind == "sock" else ReaderEnd)(own)

    async def ask(self, key: int) -> None:
        """Be the client's side of a connection from its beginning to its end."""
        account = self.open[key] = Account(self.seed, key)
        end, begin = None, time.monotonic()
        try:
            with contextlib.suppress(OSError):
                end = await self.connect(account.kind)
                self.highest = max(self.highest, end.socket().fileno())
                await end.send(key.to_bytes(KEY_BYTES, "big"))
                await Side(self, account, "client", end).converse()
        except Wrong as error:
            self.note(f"{account}: {error}")
        finally:
            if end is None:
                account.finished.append("client")
            else:
                await self.finish(end, account, "client")
            elapsed = time.monotonic() - begin
            self.longest = max(self.longest, (elapsed, f"{elapsed:.1f} s: {account}"))

    async def finish(self, end: End, account: Account | None, side: str) -> None:
        """Close an end and see that the loop tells of it."""
        end.close()
        try:
            await end.lost()
        except TimeoutError:
            self.note(f"{account}: the {side} never heard of its end")
        if account is None:
            return
        account.finished.append(side)
        if side == "client":
            await self.settle(account)

    async def settle(self, account: Account) -> None:
        """Wait for the server's side, and close the account."""
        limit = time.monotonic() + SETTLE_LIMIT_S
        while "server" not in account.finished and time.monotonic() < limit:
            if not (account.is_whole or account.is_heard_of):
                break
            await asyncio.sleep(0.001)
        try:
            account.settle()
        except Wrong as error:
            self.note(str(error))
        if account.is_heard_of:
            self.open.pop(account.key, None)
        account.up.forget()
        account.down.forget()
        self.counts[account.kind] += 1
        self.counts[account.ending] += 1
        self.counts["bytes sent"] += account.up.sent + account.down.sent
        self.counts["bytes received"] += account.up.received + account.down.received
        self.counts["connections"] += 1

    # The whole.

    async def work(self, until: float) -> None:
        """Open one connection after another."""
        while time.monotonic() < until:
            key, self.next_key = self.next_key, self.next_key + 1
            # Of a connection that broke at once its server may hear later.
            if (old := self.open.get(key - 50 * AT_ONCE)) is not None and old.finished:
                del self.open[old.key]
            await self.ask(key)

    async def stir(self, until: float) -> None:
        """Take and give back other descriptors, so that numbers go from one kind of use to another."""
        chooser = random.Random(self.seed)
        kept: collections.deque[tuple[int, int, bytes]] = collections.deque()
        while time.monotonic() < until or kept:
            if len(kept) < chooser.randrange(20) and time.monotonic() < until:
                reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
                text = chooser.randbytes(8)
                os.write(writer, text)
                kept.append((reader, writer, text))
            elif kept:
                reader, writer, text = kept.popleft()
                try:
                    if os.read(reader, 100) != text:
                        self.note(f"the pipe {reader} has other bytes")
                    os.close(reader)
                    os.close(writer)
                except OSError as error:
                    self.note(f"the pipe {reader}, {writer}: {error}")
            await asyncio.sleep(0.0005)

    async def run(self, seconds: float, curve: Curve) -> None:
        """Run for a while, and end in order."""
        await self.start()
        begin = time.monotonic()
        until = begin + seconds
        tasks = [asyncio.create_task(self.work(until)) for _ in range(AT_ONCE)]
        tasks.append(asyncio.create_task(self.stir(until)))
        while time.monotonic() < until:
            await asyncio.sleep(min(1.0, seconds / 20))
            curve.sample((time.monotonic() - begin) / seconds)
        await asyncio.gather(*tasks)
        for server in self.servers:
            if isinstance(server, asyncio.Task):
                server.cancel()
            else:
                server.close()
        _done, late = await asyncio.wait(self.serving, timeout=SETTLE_LIMIT_S) if self.serving else ((), ())
        for task in late:
            self.note(f"still there at the end: {task}")
        for server in self.servers:
            if not isinstance(server, asyncio.Task):
                await server.wait_closed()
        # Waits that were cancelled, transports that say good-bye.
        await asyncio.sleep(0.05)


class Side:
    """One side of a conversation."""

    def __init__(self, soak: Soak, account: Account, name: str, end: End) -> None:
        self.account, self.name, self.end = account, name, end
        self.soak = soak
        self.chooser = account.chooser_of(name)
        self.sends, self.receives = (account.up, account.down) if name == "client" else (account.down, account.up)
        self.breaks = not account.is_whole and account.breaker == name
        self.task: Any = None

    async def converse(self) -> None:
        """Send and receive all, or until the connection breaks.

        Raises:
            Wrong: a byte was not the right one.
            OSError: the connection broke, as it should.
        """
        account = self.account
        timer = None
        self.task = asyncio.current_task()
        if self.breaks and account.break_s is not None:
            timer = self.soak.loop.call_later(account.break_s, self.break_off)
        sending = asyncio.create_task(self.send())
        try:
            await self.receive(self.receives)
            await sending
        except (OSError, asyncio.CancelledError) as error:
            if account.is_whole:
                raise Wrong(f"the {self.name} fails with {error!r}") from error
        finally:
            if timer is not None:
                timer.cancel()
            sending.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled() and isinstance(error := sending.exception(), Wrong):
                raise error

    async def send(self) -> None:
        breaks = self.breaks and self.account.break_s is None
        while piece := self.sends.next_piece(self.chooser):
            await self.end.send(piece)
            if breaks and self.sends.sent >= self.account.break_bytes:
                break
            if self.chooser.random() < 0.1:
                await asyncio.sleep(self.chooser.choice((0, 0.001)))
        if breaks:
            self.break_off()
        elif self.account.ending == "half-close":
            await self.end.send_end()

    async def receive(self, flow: Flow) -> None:
        # The server closes a connection that ends whole when it has all; others end when nothing more comes.
        counts = self.account.ending == "close" and self.name == "server"
        hiccups = 10 if self.account.has_hiccups else 0
        while not (counts and flow.received == flow.size):
            most = self.chooser.choice((1_000, 65_536, 300_000))
            try:
                async with asyncio.timeout(self.chooser.choice((0, 0.0003)) if hiccups else None):
                    data = await self.end.receive(most)
            except TimeoutError:
                hiccups -= 1
                continue
            if not data:
                break
            flow.take(data)
        flow.has_ended = True

    def break_off(self) -> None:
        """End the connection as planned, from a callback or from a task."""
        end, ending = self.end, self.account.ending
        if ending == "cancel" or not end.wakes:
            self.task.cancel()
            if ending == "reset":
                with contextlib.suppress(OSError):
                    end.socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        {"abort": end.abort, "reset": end.reset, "leave": end.close}[ending]()


def main() -> int:
    """Run a soak and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--loop", default="threefold.asyncio:EventLoop", help="module:name of what makes the loop")
    options = parser.parse_args()
    # Writes to connections that broke are told of there, by the thousand.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    before = open_descriptors()
    curve = Curve()

    async def run(folder: Path) -> Soak:
        soak = Soak(options.seed, folder)
        await soak.run(options.seconds, curve)
        if hasattr(soak.loop, "_counts") and soak.loop._counts()[2]:
            soak.note(f"descriptors are still watched: {soak.loop._counts()}")
        return soak

    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner,
    ):
        soak = runner.run(run(Path(folder)))
    gc.collect()
    after = open_descriptors()
    if before != after:
        soak.note(f"descriptors: {before} before, {after} after")
    figures = {"seed": options.seed, **soak.counts, "memory": curve.points()}
    figures |= {"highest descriptor": soak.highest, "longest": soak.longest[1]}
    print(json.dumps(figures | {"faults": soak.wrong}))
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

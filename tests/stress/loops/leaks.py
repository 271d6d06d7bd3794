"""Memory and descriptors in the course of very many connections, or of very many loops.

    python tests/stress/loops/leaks.py connections --count 1000000
    python tests/stress/loops/leaks.py loops --count 10000

Prints a line of JSON at the end; the exit code is 1 if memory or descriptors grow.
"""

import argparse
import asyncio
import collections
import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from figures import Curve, certificate_contexts, loop_factory, open_descriptors

# Of a hundred connections, how many are of which kind: a TLS handshake costs as much as twenty others.
SHARES = {"protocol": 60, "streams": 20, "unix": 18, "tls": 2}
AT_ONCE = 32
SAMPLE_COUNT = 20
# What allocators may keep in the second half of a run, and what each connection or loop may cost.
SLACK_KIB = 1536
SLACK_BYTES_EACH = 4
GREETING_BYTES = 64


class Echo(asyncio.Protocol):
    """Sends back what arrives."""

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Caller(asyncio.Protocol):
    """Sends its greeting, expects it back and closes."""

    def __init__(self, greeting: bytes, must_abort: bool) -> None:
        self.greeting = greeting
        self.must_abort = must_abort
        self.received = b""
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self.greeting)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) == len(self.greeting):
            self.transport.abort() if self.must_abort else self.transport.close()

    def connection_lost(self, _error: BaseException | None) -> None:
        self.lost.set_result(None)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what arrives."""
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def connections(count: int, curve: Curve, folder: Path) -> collections.Counter[str]:
    """Open and close connections of all kinds."""
    loop = asyncio.get_running_loop()
    secure, trusting = certificate_contexts(folder)
    path = str(folder / "leaks.socket")
    servers = {
        "protocol": await loop.create_server(Echo, "127.0.0.1", 0),
        "streams": await asyncio.start_server(echo, "127.0.0.1", 0),
        "unix": await asyncio.start_unix_server(echo, path),
        "tls": await asyncio.start_server(echo, "127.0.0.1", 0, ssl=secure),
    }
    ports = {kind: server.sockets[0].getsockname()[1] for kind, server in servers.items() if kind != "unix"}
    made: collections.Counter[str] = collections.Counter()

    async def by_protocol(number: int, greeting: bytes) -> None:
        make = lambda: Caller(greeting, number % 3 == 0)  # noqa: E731 - a factory
        _transport, caller = await loop.create_connection(make, "127.0.0.1", ports["protocol"])
        await caller.lost
        assert caller.received == greeting

    async def by_streams(kind: str, number: int, greeting: bytes) -> None:
        if kind == "unix":
            reader, writer = await asyncio.open_unix_connection(path)
        else:
            options = {"ssl": trusting, "server_hostname": "localhost"} if kind == "tls" else {}
            reader, writer = await asyncio.open_connection("127.0.0.1", ports[kind], **options)
        writer.write(greeting)
        assert await reader.readexactly(len(greeting)) == greeting
        if number % 3 == 0:
            writer.transport.abort()
        elif number % 3 == 1 and kind != "tls":
            writer.write_eof()
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    def kinds() -> list[str]:
        return random.Random(len(made)).sample(list(SHARES), counts=SHARES.values(), k=100)

    async def work(numbers: Any, order: list[str]) -> None:
        for number in numbers:
            kind = order[number % 100]
            greeting = b"%*d" % (GREETING_BYTES, number)
            await (by_protocol(number, greeting) if kind == "protocol" else by_streams(kind, number, greeting))
            made[kind] += 1

    for part in range(SAMPLE_COUNT):
        numbers = iter(range(count * part // SAMPLE_COUNT, count * (part + 1) // SAMPLE_COUNT))
        order = kinds()
        await asyncio.gather(*(work(numbers, order) for _ in range(AT_ONCE)))
        # Those who serve the others.
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)
        curve.sample((part + 1) / SAMPLE_COUNT)
    for server in servers.values():
        server.close()
        await server.wait_closed()
    return made


async def use() -> None:
    """Use a loop a little, in all ways that cost something to begin with."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    await loop.create_connection(lambda: Caller(b"x", False), *server.sockets[0].getsockname())
    loop.call_later(3600, loop.time)
    await loop.run_in_executor(None, loop.call_soon_threadsafe, int)
    loop.add_signal_handler(10, int)
    await asyncio.sleep(0)
    server.close()
    # What is left over stays with the loop, which must not stay itself.
    loop.call_soon(loop.call_soon, loop.time)


def loops(count: int, curve: Curve, make: Callable[[], Any]) -> collections.Counter[str]:
    """Create, use and close loops."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(main)

    for part in range(SAMPLE_COUNT):
        for number in range(count * part // SAMPLE_COUNT, count * (part + 1) // SAMPLE_COUNT):
            if number % 4:
                make().close()
            else:
                run(use())
        curve.sample((part + 1) / SAMPLE_COUNT)
    return collections.Counter(loops=count)


def faults(curve: Curve, count: int) -> list[str]:
    """Return what has grown in the second half of a run."""
    (_begin, before_kib, before), (_end, after_kib, after) = curve.at(0.5), curve.at(1.0)
    found = []
    if before != after:
        found.append(f"descriptors: {before} in the middle, {after} at the end")
    if after_kib - before_kib > SLACK_KIB + SLACK_BYTES_EACH * count // 2 // 1024:
        found.append(f"memory: {before_kib} KiB in the middle, {after_kib} KiB at the end")
    return found


def main() -> int:
    """Run one kind and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("connections", "loops"))
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--loop", default="threefold.asyncio:EventLoop", help="module:name of what makes the loop")
    options = parser.parse_args()
    curve, make, begin = Curve(), loop_factory(options.loop), time.monotonic()
    before = open_descriptors()
    if options.kind == "loops":
        done = loops(options.count, curve, make)
    else:
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=make) as runner:
            done = runner.run(connections(options.count, curve, Path(folder)))
    gc.collect()
    found = faults(curve, options.count)
    if open_descriptors() != before:
        found.append(f"descriptors: {before} before, {open_descriptors()} after")
    figures = {**done, "seconds": round(time.monotonic() - begin, 1), "memory": curve.points(), "faults": found}
    print(json.dumps(figures))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

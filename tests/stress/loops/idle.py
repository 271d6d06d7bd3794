"""What idle connections of a server cost in memory, all objects of the interpreter included.

    python tests/stress/loops/idle.py --count 10000

Prints a line of JSON; the clients are in a process of their own.
"""

import argparse
import asyncio
import json
import resource
import sys
from typing import Any

from figures import loop_factory, resident_kib

# Each is answered once, so that what a connection needs for reading and writing is there.
CLIENTS = """
import resource, socket, sys
port, count = map(int, sys.argv[1:])
_soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kept = []
for _ in range(count):
    kept.append(socket.create_connection(("127.0.0.1", port)))
    kept[-1].sendall(b"hello")
    assert kept[-1].recv(5, socket.MSG_WAITALL) == b"hello"
print("held", flush=True)
sys.stdin.read()
"""
FEW = 50


class Echo(asyncio.Protocol):
    """Sends back what arrives."""

    transport: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def measure(count: int) -> float:
    """Return the bytes of each of so many connections."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=1000)
    port = server.sockets[0].getsockname()[1]

    async def hold(held: int) -> Any:
        arguments = (sys.executable, "-c", CLIENTS, str(port), str(held))
        child = await asyncio.create_subprocess_exec(*arguments, stdin=-1, stdout=-1)
        assert child.stdout is not None
        assert await child.stdout.readline() == b"held\n"
        return child

    # What happens once has happened.
    children = [await hold(FEW)]
    before = resident_kib()
    children.append(await hold(count))
    grown = resident_kib() - before
    for child in children:
        child.stdin.close()
        await child.wait()
    server.close()
    return grown * 1024 / count


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--loop", default="threefold.asyncio:EventLoop", help="module:name of what makes the loop")
    options = parser.parse_args()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(options.count, hard - 200)
    with asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner:
        print(json.dumps({"connections": count, "bytes each": round(runner.run(measure(count)))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Echo servers on event loops, each on a processor of its own, loaded from another by a client that is not Python."""

from collections.abc import Callable
from pathlib import Path

from harness import Figures, Outcome, case, times
from load_ends import (
    NO_MMAP,
    PLAIN,
    build,
    certificate,
    counting_calls,
    exchange,
    for_a_while,
    holding,
    serving,
)
from loop_ends import LOOPS
from resident import resident_bytes

KIB = 1024
UNITS = {
    "rate": "requests/s",
    "p50": "us",
    "p99": "us",
    "server CPU": "us",
    "of it user": "us",
    "client CPU": "us",
}
CLIENT_NAMES = dict(
    zip(
        UNITS,
        ("requests_per_second", "p50_us", "p99_us", "server_us_each", "server_user_us_each", "own_us_each"),
        strict=True,
    )
)


def without_mmap(*names: str) -> dict[str, str]:
    """Return columns of some loops that run with another malloc."""
    return {f"{name} (no mmap)": LOOPS[name] + NO_MMAP for name in names}


# With the other malloc where a loop takes a new block for each read that is large enough to be mapped.
OVER_SOCKETS = LOOPS | without_mmap("asyncio", "rloop")
# The ceiling beside them.
OVER_TCP = OVER_SOCKETS | {PLAIN: PLAIN}
OVER_TLS = (
    LOOPS
    | without_mmap("asyncio", "uvloop")
    | {f"{name} + aiofastnet": f"{LOOPS[name]}+aiofastnet" for name in ("asyncio", "uvloop")}
)

IDLE_COUNT = 10_000
# What is taken off: connecting, and what else happens once.
FEW_MESSAGES = 500
# Few, because each call under strace takes a hundred times as long.
TRACED_MESSAGES = 2_000
# For a single connection: the server has nothing left to do when the next message comes, as it would have without strace.
TRACED_PAUSE_US = 1_000


def prepare() -> None:
    """Build the client."""
    build()


def figures(transport: str, kind: str, peer: str, connections: int, message_bytes: int) -> Figures:
    """Load a server for a while.

    Args:
        transport: "tcp", "udp" or "tls".
        kind: of `echo_servers.py`.
        peer: the loop's address.
        connections: how many, each with one message on its way at a time.
        message_bytes: its length.
    """
    if transport == "tls":
        with certificate() as (pem, own):
            return loaded(transport, kind, peer, connections, message_bytes, pem, own)
    return loaded(transport, kind, peer, connections, message_bytes)


def loaded(
    transport: str,
    kind: str,
    peer: str,
    connections: int,
    message_bytes: int,
    pem: Path | None = None,
    certificate: Path | None = None,
) -> Figures:
    """Load a server with or without a certificate."""
    with serving(peer, kind, message_bytes, pem) as (port, server):
        found = exchange(
            transport,
            port,
            connections=connections,
            bytes=message_bytes,
            server=server,
            certificate=certificate,
            **for_a_while(),
        )
    return {part: found[name] for part, name in CLIENT_NAMES.items()}


def echo(
    title: str, transport: str, kind: str, peers: dict[str, str], connections: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    """Declare the cases of one kind of server, for each size and count of connections."""

    def declare(count: int, size: int) -> None:
        case(f"{title}, {size} KiB x {count}", UNITS, peers)(
            lambda peer: figures(transport, kind, peer, count, size * KIB)
        )

    for size in sizes:
        for count in connections:
            declare(count, size)


echo("TCP, Protocol", "tcp", "protocol", OVER_TCP, (1, 10, 100), (1, 10, 100))
echo("TCP, BufferedProtocol", "tcp", "buffered", LOOPS | {PLAIN: PLAIN}, (10,), (1, 10, 100))
echo("TCP, streams", "tcp", "streams", OVER_SOCKETS, (10,), (1, 10, 100))
echo("TCP, streams by readexactly", "tcp", "readexactly", OVER_SOCKETS, (10,), (1,))
echo("TCP, sock_recv and sock_sendall", "tcp", "sock_recv", LOOPS, (1, 10), (1,))
echo("TCP, sock_recv and sock_sendall", "tcp", "sock_recv", LOOPS, (10,), (10, 100))
echo("TCP, sock_recv_into and sock_sendall", "tcp", "sock_recv_into", LOOPS, (10,), (1,))
echo("TLS, Protocol", "tls", "protocol", OVER_TLS, (10,), (1, 10, 100))
echo("TLS, streams", "tls", "streams", OVER_TLS, (10,), (1, 10))
# A hundred datagrams would not all find room in a socket.
echo("UDP", "udp", "udp", OVER_TCP, (1, 10, 50), (1,))


def calls_each(kind: str, transport: str, connections: int) -> Callable[[str], Outcome]:
    """Return a case's function: the system calls for a message, all together and by name."""

    def measure(peer: str) -> Outcome:
        few: dict[str, int] = {}
        many: dict[str, int] = {}
        more = times(TRACED_MESSAGES)
        pause_us = TRACED_PAUSE_US if connections == 1 else 0
        with serving(peer, kind, KIB) as (port, server):
            # The first load of all pays for what a server does once.
            counted = []
            for counts, count in (({}, FEW_MESSAGES), (few, FEW_MESSAGES), (many, FEW_MESSAGES + more)):
                with counting_calls(server, counts):
                    found = exchange(
                        transport, port, connections=connections, messages=count, warm_up_ms=0, pause_us=pause_us
                    )
                counted.append(found["messages"])
        each = {name: (many[name] - few.get(name, 0)) / (counted[2] - counted[1]) for name in many}
        often = sorted((name for name in each if each[name] >= 0.05), key=lambda name: (-round(each[name], 1), name))
        return Outcome(", ".join(f"{each[name]:.1f} {name}" for name in often), sum(each.values()))

    return measure


for title, kind, transport in (
    ("TCP, Protocol", "protocol", "tcp"),
    ("TCP, streams", "streams", "tcp"),
    ("TCP, sock_recv and sock_sendall", "sock_recv", "tcp"),
    ("UDP", "udp", "udp"),
):
    for connections in (1, 10):
        case(f"system calls a message: {title}, 1 KiB x {connections}", "calls", LOOPS | {PLAIN: PLAIN})(
            calls_each(kind, transport, connections)
        )


def idle(kind: str) -> Callable[[str], Figures]:
    """Return a case's function: what idle connections cost, in memory and for the others."""

    def measure(peer: str) -> Figures:
        def rate(port: int) -> float:
            return exchange("tcp", port, connections=10, bytes=KIB, **for_a_while())["requests_per_second"]

        count = times(IDLE_COUNT)
        with serving(peer, kind, KIB) as (port, server):
            alone = rate(port)
            before = resident_bytes(server)
            with holding(port, count, KIB):
                grown = resident_bytes(server) - before
                beside = rate(port)
        return {"memory of each": grown / count, "rate of 10 others": beside, "their rate before": alone}

    return measure


IDLE_UNITS = {"memory of each": "bytes", "rate of 10 others": "requests/s", "their rate before": "requests/s"}
for title, kind in (("Protocol", "protocol"), ("streams", "streams")):
    case(f"10,000 idle connections, {title}", IDLE_UNITS, LOOPS | {PLAIN: PLAIN})(idle(kind))

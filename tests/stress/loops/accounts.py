"""What each connection of a soak is to do, and what has become of its bytes."""

import dataclasses
import random

KEY_BYTES = 8
PERIOD = 1021
# Nobody can read on where a connection breaks; these end whole.
WHOLE = ("half-close", "close")
# One of the two breaks off: with what is queued lost, with a reset, in an orderly way, or its task is cancelled.
BROKEN = ("abort", "reset", "leave", "cancel")
KINDS = ("protocol", "buffered", "streams", "unix", "tls", "sock", "reader")


class Wrong(AssertionError):
    """A byte, an end or a connection is not accounted for."""


@dataclasses.dataclass
class Flow:
    """One direction of one connection: its bytes say whose they are."""

    name: str
    size: int
    sent: int = 0
    received: int = 0
    has_ended: bool = False
    _text: bytes | None = None

    @property
    def text(self) -> bytes:
        """All its bytes."""
        if self._text is None:
            period = random.Random(self.name).randbytes(PERIOD)
            self._text = (period * (self.size // PERIOD + 1))[: self.size]
        return self._text

    def forget(self) -> None:
        """Give the memory back; what is asked for later is made anew."""
        self._text = None

    def take(self, data: bytes) -> None:
        """Check what has arrived.

        Args:
            data: the next piece.

        Raises:
            Wrong: it is not what comes next in this direction of this connection.
        """
        if self.has_ended:
            raise Wrong(f"{self.name}: {len(data)} bytes after the end")
        if self.text[self.received : self.received + len(data)] != data or self.received + len(data) > self.sent:
            raise Wrong(f"{self.name}: {data[:40]!r}... at {self.received} of {self.sent} is not its own")
        self.received += len(data)

    def next_piece(self, chooser: random.Random) -> bytes:
        """Return what is to be sent next, which counts as sent; empty at the end."""
        most = chooser.choice((1, 100, 5_000, 100_000))
        piece = self.text[self.sent : self.sent + chooser.randint(1, most)]
        self.sent += len(piece)
        return piece


class Account:
    """One connection: its plan, which follows from its key, and what has become of it."""

    def __init__(self, seed: int, key: int) -> None:
        self.key = key
        self.chooser = random.Random(f"{seed}/{key}")
        choose = self.chooser
        self.kind = choose.choice(KINDS)
        self.ending = choose.choice(WHOLE) if choose.random() < 0.5 else choose.choice(BROKEN)
        if self.kind == "tls" and self.ending == "half-close":
            self.ending = "close"
        self.breaker = choose.choice(("client", "server"))
        # When it breaks off: after so many bytes of its own, or so many seconds.
        self.break_bytes = choose.randrange(0, 3_000)
        self.break_s = choose.choice((None, 0.0, choose.uniform(0, 0.02)))
        self.has_hiccups = choose.random() < 0.3
        most = choose.choice((10, 3_000, 3_000, 60_000, 400_000))
        self.up = Flow(f"{seed}/{key}/up", choose.randrange(most))
        self.down = Flow(f"{seed}/{key}/down", choose.randrange(most))
        # Whether its server has heard of it.
        self.is_heard_of = False
        # How many of its two ends have come to their end.
        self.finished: list[str] = []

    @property
    def is_whole(self) -> bool:
        """Whether all bytes must arrive."""
        return self.ending in WHOLE

    def chooser_of(self, side: str) -> random.Random:
        """Return what makes the choices of one side."""
        return random.Random(f"{self.key}/{self.ending}/{side}")

    def settle(self) -> None:
        """See that nothing is missing.

        Raises:
            Wrong: something is.
        """
        if "client" not in self.finished or self.finished.count("client") > 1 or self.finished.count("server") > 1:
            raise Wrong(f"{self}: its ends are {self.finished}")
        if not self.is_whole:
            return
        if "server" not in self.finished:
            raise Wrong(f"{self}: its server never ended")
        for flow in (self.up, self.down):
            if not flow.size == flow.sent == flow.received:
                raise Wrong(f"{self}: {flow.name} has {flow.received} of {flow.sent} of {flow.size} bytes")

    def __str__(self) -> str:
        return f"connection {self.key} ({self.kind}, {self.ending} by the {self.breaker})"

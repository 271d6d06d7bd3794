"""What a pool asks of a cluster: the port that the engines' adapters fill."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from threefold._errors import Error
from threefold.cluster.capabilities import Capabilities

FailureKind = Literal["worker_died", "out_of_memory", "timed_out", "cancelled", "raised"]


class BackendNotInstalled(Error, ImportError):  # noqa: N818 - a user reads it as a sentence
    """The engine that a backend stands on is not installed; the message says how to install it."""


@dataclass(frozen=True)
class Start:
    """Where and when a task began.

    Attributes:
        host: the machine's name.
        pid: the number of the process there.
        time_s: seconds since the epoch, by that machine's clock.
    """

    host: str
    pid: int
    time_s: float


@dataclass(frozen=True)
class TaskFailure:
    """How a task came to nothing, other than by an exception of its function.

    Attributes:
        kind: `raised` where the engine itself failed.
        detail: what happened, for people.
        start: where and when the task began, None where that is not known.
    """

    kind: FailureKind
    detail: str
    start: Start | None = None


@dataclass(frozen=True)
class TaskOptions:
    """How a chunk is to be run.

    Attributes:
        mode: what the chunk holds: one `(args, kwargs)`, arguments of `map`, or tuples of arguments of `starmap`.
        pool: a name that the pool shares with no other; the initializer runs once for it in each process.
        key: a number that the function shares with no other of the pool.
        tells_start: whether the task's start is to be reported before its end; costs a message for each task.
    """

    mode: Literal["call", "map", "star"] = "map"
    pool: str = ""
    key: int = 0
    tells_start: bool = False


class Handle(Protocol):
    """A submitted chunk. `start` is filled once the engine has told it."""

    start: Start | None


class Backend(Protocol):
    """An engine that runs chunks on a cluster; its methods may be called from any thread."""

    capabilities: Capabilities
    # At most once, or at least once and why.
    guarantees: str
    # The engine's own pickler.
    pickler: type

    def capacity(self) -> int:
        """Return how many tasks can run at once."""

    def backlog(self) -> int:
        """Return how many more tasks the engine may be given, so that it need not wait for us between two of them."""

    def put_shared(self, blob: bytes) -> Any:
        """Send a function to where the tasks will run, and return what `submit` takes for it."""

    def release(self, shared: Any) -> None:
        """Forget a function that no further chunk needs."""

    def submit(self, shared: Any, chunk: bytes, options: TaskOptions) -> Handle:
        """Begin a chunk somewhere, as soon as there is room for it."""

    def wait(self, handles: Collection[Handle], timeout: float | None) -> list[Handle]:
        """Wait until a chunk is over, has begun, or `wake` is called, and return those that are over.

        Args:
            handles: the chunks of interest; a view that changes in the meantime is looked at anew.
            timeout: seconds; None waits for ever.
        """

    def wake(self) -> None:
        """Have a `wait` return at once: the one that is under way, or else the next."""

    def result(self, handle: Handle) -> bytes | TaskFailure:
        """Return the reply of a chunk that is over, or how it failed."""

    def cancel(self, handle: Handle, kill: bool) -> None:
        """Give a chunk up.

        Args:
            handle: the chunk.
            kill: end it even if it runs.
        """

    def close(self) -> None:
        """Give up what is under way, and close what the backend has opened itself."""

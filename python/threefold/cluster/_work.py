"""What a pool on a cluster keeps of its calls and maps until they are over."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from threefold._pool import describe
from threefold._pool.errors import PoolTerminated, TaskCancelled, TaskTimeout, WorkerDied
from threefold.cluster.port import TaskFailure


class ClusterWorkerDied(WorkerDied):
    """The worker of a cluster that ran a task has died; the task failed with it, and nothing else did.

    Args:
        pid: its process on its machine, 0 where the engine does not say.
        exitcode: None, since no engine says.
        is_out_of_memory: whether the engine ended it because memory ran out.
        task: the call, shortened.
        detail: what the engine says.
    """

    def __init__(
        self,
        pid: int,
        exitcode: int | None = None,
        is_out_of_memory: bool = False,
        task: str | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(pid, exitcode, is_out_of_memory, task)
        self.args = (pid, exitcode, is_out_of_memory, task, detail)
        self.detail = detail

    def __str__(self) -> str:
        process = f"worker process {self.pid} of the cluster" if self.pid else "a worker process of the cluster"
        reason = ", since memory ran out," if self.is_out_of_memory else ""
        return f"{process} died{reason} while it ran {self.task}: {self.detail}"


@dataclass
class Function:
    """A function that was pickled once."""

    function: Any
    key: int
    blob: bytes


@dataclass
class Map:
    """A map: who is told, and where its items come from."""

    ticket: Any
    function: Function
    source: Iterable[Any]
    chunksize: int
    star: bool
    delivery: str
    timeout: float | None
    # The next position of a sequence; None where a thread reads.
    next: int | None
    results: list[Any] | None
    # Items that are over.
    done_count: int = 0
    failure: BaseException | None = None
    is_read: bool = False
    is_left: bool = False
    # What the thread that reads is told how much is wanted by, and what was wanted before it was there.
    wanted: Any = None
    wanted_count: int = 0

    def end(self, error: BaseException | None, tell: Callable[..., None]) -> None:
        """Tell the owner that no more will come.

        Args:
            error: why, where that is before its time.
            tell: calls a method of the owner.
        """
        if self.delivery == "collected":
            failure = self.failure or error
            tell(self.ticket._end, failure is None, self.results if failure is None else failure)
        else:
            tell(self.ticket._end_map, error)


@dataclass
class Job:
    """A call, or a chunk of a map."""

    function: Function
    mode: Literal["call", "map", "star"]
    # One `(args, kwargs)`, or the items of a chunk.
    items: Any
    timeout: float | None
    ticket: Any = None
    # The pickle of the items, where it was made when the call was.
    chunk: bytes | None = None
    map: int | None = None
    start: int = 0
    is_over: bool = False
    is_success: bool = False
    value: Any = None
    failure: TaskFailure | None = field(default=None)

    def settle(self, value: Any, *, is_success: bool) -> None:
        """Take what came of it."""
        self.value, self.is_success, self.is_over = value, is_success, True

    def description(self) -> str | None:
        """Return the call in a few words."""
        if self.mode == "call":
            return describe.task(((self.function.function, *self.items), None, None, False))
        return describe.task((self.function.function, self.items, None, self.mode == "star"))

    def error(self, outcome: str) -> BaseException:
        """Return the exception for a job that came to nothing.

        Args:
            outcome: what the scheduler says.
        """
        failure = self.failure
        start = failure.start if failure else None
        pid = start.pid if start else 0
        if outcome == "timed_out":
            return TaskTimeout(self.description() or "a task", self.timeout, pid or None)
        if outcome == "worker_died":
            is_out_of_memory = failure is not None and failure.kind == "out_of_memory"
            detail = failure.detail if failure else "its end was not reported"
            return ClusterWorkerDied(pid, None, is_out_of_memory, self.description(), detail)
        return TaskCancelled() if outcome == "cancelled" else PoolTerminated()


def chunk_of(sequence: Sequence[Any], start: int, size: int) -> list[Any]:
    """Return some items of a sequence.

    Args:
        sequence: the items.
        start: the position of the first.
        size: how many at most.
    """
    return list(sequence[start : start + size])

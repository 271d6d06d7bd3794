"""What goes wrong in a pool of processes, each with what a user needs to find the reason."""

from __future__ import annotations

import errno
import linecache
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool

from threefold._errors import Error
from threefold._pool import describe

__all__ = [
    "Error",
    "InitializerFailed",
    "NoWorker",
    "PoolTerminated",
    "RemoteError",
    "TaskCancelled",
    "TaskTimeout",
    "WorkerDied",
]


class WorkerDied(Error, BrokenProcessPool):
    """The process that ran a task has ended; the task failed with it, and nothing else did.

    Args:
        pid: the process.
        exitcode: its exit code, or the negative number of the signal that ended it; None if nobody knows.
        is_out_of_memory: whether it was probably killed because it needed too much memory.
        task: the call, shortened; None where it had not begun one.
    """

    def __init__(
        self, pid: int, exitcode: int | None = None, is_out_of_memory: bool = False, task: str | None = None
    ) -> None:
        super().__init__(pid, exitcode, is_out_of_memory, task)
        self.pid = pid
        self.exitcode = exitcode
        self.is_out_of_memory = is_out_of_memory
        self.task = task

    @property
    def signal(self) -> int | None:
        """The number of the signal that ended the process, or None."""
        return -self.exitcode if self.exitcode is not None and self.exitcode < 0 else None

    def __str__(self) -> str:
        reason = _name_end(self.exitcode)
        if self.is_out_of_memory:
            reason += ", probably killed because it needed too much memory"
        doing = "before it took a task" if self.task is None else f"while it ran {self.task}"
        return f"worker process {self.pid} died ({reason}) {doing}"


class TaskTimeout(Error, TimeoutError):
    """A task has run longer than it may, and its worker was ended.

    Args:
        task: the call, shortened.
        limit: seconds that it had; None where nobody knows.
        pid: the worker's process.
        line: the line of Python at which the task was: "file:line in function: source"; None if it did not say.
    """

    def __init__(self, task: str, limit: float | None, pid: int | None, line: str | None = None) -> None:
        # An OSError would take more than one argument for its own.
        super().__init__(task)
        self.task = task
        self.limit = limit
        self.pid = pid
        self.line = line

    def __reduce__(self) -> tuple[type[TaskTimeout], tuple[object, ...]]:
        return type(self), (self.task, self.limit, self.pid, self.line)

    def __str__(self) -> str:
        place = f", which was at {self.line}," if self.line else ""
        limit = "it may" if self.limit is None else f"{self.limit:g} s"
        return f"{self.task} took longer than {limit}; worker process {self.pid}{place} was ended"


class InitializerFailed(Error, BrokenProcessPool):
    """The pool has no workers, because its initializer raises in each.

    Args:
        pid: the last worker's process.
        reason: what the initializer raised; its traceback is the error's `__cause__`.
    """

    def __init__(self, pid: int | None, reason: BaseException | None) -> None:
        super().__init__(pid, reason)
        self.pid = pid
        self.reason = reason
        if reason is not None:
            self.__cause__ = reason.__cause__ or reason

    def __str__(self) -> str:
        what = "" if self.reason is None else f": {type(self.reason).__name__}: {self.reason}"
        return f"the initializer failed in worker process {self.pid}{what}"


class NoWorker(Error, BrokenProcessPool):
    """The pool has no workers, because no process could be started.

    Args:
        errno: the system's error number, if there was one.
        reason: what starting one raised, which is the error's `__cause__` too.
    """

    def __init__(self, errno: int | None = None, reason: BaseException | None = None) -> None:
        super().__init__(errno, reason)
        self.errno = errno
        self.reason = reason
        if reason is not None:
            self.__cause__ = reason

    def __str__(self) -> str:
        if self.errno is not None:
            return f"no worker process could be started: {os.strerror(self.errno)}"
        what = "" if self.reason is None else f": {type(self.reason).__name__}: {self.reason}"
        return f"no worker process could be started{what}"


class RemoteError(Error, BrokenProcessPool):
    """Stands for an exception or a result that reached the parent and cannot be unpickled there.

    Args:
        name: the exception's class.
        representation: the exception as its `repr()`.
        text: its traceback in the worker.
        reason: why it cannot be unpickled.
    """

    def __init__(self, name: str, representation: str, text: str, reason: BaseException | None = None) -> None:
        super().__init__(name, representation, text, reason)
        self.name = name
        self.representation = representation
        self.text = text
        self.reason = reason
        if text:
            from multiprocessing import pool

            self.__cause__ = pool.RemoteTraceback(f'\n"""\n{text}"""')  # type: ignore[attr-defined]

    def __str__(self) -> str:
        why = "" if self.reason is None else f" ({type(self.reason).__name__}: {self.reason})"
        if self.text:
            return f"a task raised {self.representation}, which cannot be unpickled here{why}"
        return f"a task's {self.name} {self.representation} cannot be unpickled here{why}"


class PoolTerminated(Error, BrokenProcessPool):
    """The pool was terminated before the task was over."""

    def __init__(self, message: str = "the pool was terminated before the task was over") -> None:
        super().__init__(message)


class TaskCancelled(Error, CancelledError):
    """The task was cancelled before it was over."""

    def __init__(self, message: str = "the task was cancelled") -> None:
        super().__init__(message)


def from_outcome(
    kind: str,
    pid: int | None,
    code: int | None,
    is_out_of_memory: bool,
    task: describe.Task | None,
    limit: float | None,
    line: str | None,
    cause: BaseException | None,
) -> BaseException:
    """Return the error of a task that did not return, or of a pool without workers.

    Args:
        kind: what the engine says became of it.
        pid: the worker's process.
        code: its exit code, the negative number of a signal, or the system's error number.
        is_out_of_memory: whether it was probably killed because it needed too much memory.
        task: what it was to do.
        limit: seconds that it had, or None.
        line: where the task was: "file:line in function".
        cause: what the initializer raised.
    """
    makers: dict[str, Callable[[], BaseException]] = {
        "worker_died": lambda: WorkerDied(pid or 0, code, is_out_of_memory, describe.task(task)),
        "died_at_start": lambda: _died_at_start(WorkerDied(pid or 0, code, is_out_of_memory)),
        "timed_out": lambda: TaskTimeout(describe.task(task) or "a task", limit, pid, with_source(line)),
        "initializer_failed": lambda: InitializerFailed(pid, cause),
        "not_started": lambda: _not_started(NoWorker(code, cause)),
        "cancelled": TaskCancelled,
        "terminated": PoolTerminated,
    }
    return makers.get(kind, lambda: Error(f"a task did not return: {kind}"))()


def _died_at_start(error: WorkerDied) -> WorkerDied:
    if error.exitcode == 1:
        explain_missing_program(error)
    return error


def _not_started(error: NoWorker) -> NoWorker:
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
        # Nothing else connects to anything at a start: there is no forkserver.
        explain_missing_program(error)
    return error


def explain_missing_program(error: BaseException) -> None:
    """Say in a note that processes that are not forked cannot read the main program, if that is so.

    Args:
        error: what has come of it.
    """
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    # Processes that are not forked run the main program's file again, unless the program has a name to be imported by.
    if path and getattr(main, "__spec__", None) is None and not os.path.exists(path):
        error.add_note(
            f"A process that is not forked reads the main program again, and there is no file {path!r} to read: "
            "put the program into a file, or use the start method 'fork'."
        )


def with_source(place: str | None) -> str | None:
    """Add the text of the line to "file:line in function"."""
    if place is None:
        return None
    file, _, rest = place.rpartition(":")
    number = rest.split(" ", 1)[0]
    source = linecache.getline(file, int(number)).strip() if number.isdigit() else ""
    return f"{place}: {source}" if source else place


def _name_end(exitcode: int | None) -> str:
    if exitcode is None:
        return "nobody knows of what"
    if exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"

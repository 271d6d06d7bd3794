"""A worker process: it gets ready, does the jobs that come through its link, and ends with its pool."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing import context, process, util
from multiprocessing.reduction import DupFd

from threefold._pool import deaths, life_line, remote_errors
from threefold._threefold import PoolWorker

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The kernel's way to have a worker write where it is, even when it never returns to Python.
DUMP_SIGNAL = signal.SIGRTMAX - 3


class Passage:
    """A descriptor on its way to a child process, which a forked one inherits."""

    def __init__(self, descriptor: int) -> None:
        """Keep `descriptor`, which belongs to the caller."""
        self._descriptor = descriptor
        self._sent: Any = None

    def __getstate__(self) -> Any:
        context.assert_spawning(self)
        return (DupFd(self._descriptor),)

    def __setstate__(self, state: tuple[Any]) -> None:
        self._sent = state[0]

    def arrive(self) -> int:
        """Return the descriptor of this process."""
        return self._descriptor if self._sent is None else self._sent.detach()


def main(
    link: Passage,
    capacity_bytes: int,
    doorbell: Passage,
    line: Passage,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
    style: str,
    max_memory_bytes: int | None,
) -> None:
    """Do jobs until the pool says that there are no more.

    Args:
        link: the memory that this worker shares with its pool.
        capacity_bytes: how long that memory may become.
        doorbell: where the pool is told that something was reported.
        line: the pool's process holds its other end.
        initializer: what to call first.
        initargs: its arguments.
        style: "pool" or "executor".
        max_memory_bytes: resident memory after which the worker asks to be replaced.
    """
    life_line.hold(line.arrive())
    # A pool may be made in a task: only the parent treats this process as a daemon, by ending it at its exit.
    process.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    worker = PoolWorker(link.arrive(), capacity_bytes, doorbell.arrive(), max_memory_bytes or 0)
    encode = partial(remote_errors.encode, style=style)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:
        # What to do about it is for the pool's process to say.
        pass
    if initializer is not None:
        try:
            initializer(*initargs)
        except BaseException as error:
            if style == "executor":
                import logging

                logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
            worker.fail(*encode(error))
            return
    worker.work(encode, _encode_unsendable if style == "pool" else None, _prepare_dump, style == "executor")
    util.debug(f"worker exiting after {worker.done_count} tasks")


def _encode_unsendable(error: Exception, value: object) -> remote_errors.Parts:
    """Return what stands for a result that cannot be pickled."""
    from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined]

    return remote_errors.encode(MaybeEncodingError(error, value), "pool")


def _prepare_dump() -> int:
    """Have `DUMP_SIGNAL` write the main thread's traceback; return the descriptor of what it is written to."""
    import faulthandler

    descriptor = os.memfd_create(deaths.DUMP_NAME)
    faulthandler.register(DUMP_SIGNAL, file=descriptor, all_threads=False)
    return descriptor

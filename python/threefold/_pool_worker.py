"""What each thread of a pool does: takes calls from the queue and makes them, until the pool is over."""

from __future__ import annotations

import weakref
from concurrent.futures._base import LOGGER
from queue import Empty

from threefold import _pool_exit
from threefold._future import PoolFuture
from threefold._threefold import SimpleQueue

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Work = SimpleQueue[PoolFuture | None]


class PlainContext:
    """What a worker needs before Python 3.14, which has worker contexts of its own.

    Args:
        initializer: what to call when a worker begins, or None.
        initargs: its arguments.
    """

    def __init__(self, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
        self._initializer = initializer
        self._initargs = initargs

    def initialize(self) -> None:
        """Call the initializer."""
        if self._initializer is not None:
            self._initializer(*self._initargs)

    def finalize(self) -> None:
        """Do nothing."""


def work(executor_reference: weakref.ref[Any], context: Any, run_task: Callable[..., Any] | None, queue: Work) -> None:
    """Make calls until the interpreter exits, or the executor is shut down or gone.

    Args:
        executor_reference: the executor; a worker does not keep it alive.
        context: with `initialize()` and `finalize()`, run at the begin and at the end.
        run_task: how to make a call, where the context has its own way; None makes it directly.
        queue: futures to run; None says that there may be no more.
    """
    try:
        context.initialize()
    except BaseException:  # noqa: BLE001 - it breaks the pool, and is logged
        LOGGER.critical("Exception in initializer:", exc_info=True)
        executor = executor_reference()
        if executor is not None:
            executor._initializer_failed()
        return
    try:
        _make_calls(executor_reference, run_task, queue)
    except BaseException:  # noqa: BLE001 - the last place that can report it
        LOGGER.critical("Exception in worker", exc_info=True)
    finally:
        context.finalize()


def _make_calls(executor_reference: weakref.ref[Any], run_task: Callable[..., Any] | None, queue: Work) -> None:
    is_counted = True
    while True:
        if is_counted and queue.empty():
            is_counted = _count_as_idle(executor_reference)
        future = queue.get()
        if future is not None:
            future.run(run_task)
            # Nothing of a call outlives it while the worker waits.
            del future
        elif _is_over(executor_reference):
            _finish(run_task, queue)
            return


def _count_as_idle(executor_reference: weakref.ref[Any]) -> bool:
    """Tell the executor of an idle worker, which saves it a new one; False if it has all it may have."""
    executor = executor_reference()
    if executor is None or executor._has_all_threads:
        return False
    executor._idle_semaphore.release()
    return True


def _is_over(executor_reference: weakref.ref[Any]) -> bool:
    executor = executor_reference()
    if not (_pool_exit.is_exiting or executor is None or executor._shutdown):
        return False
    if executor is not None:
        executor._shutdown = True
    return True


def _finish(run_task: Callable[..., Any] | None, queue: Work) -> None:
    """Make the calls that are left, if any came in behind the word that there are no more, and pass that word on."""
    while True:
        try:
            future = queue.get_nowait()
        except Empty:
            break
        if future is not None:
            future.run(run_task)
    queue.put(None)

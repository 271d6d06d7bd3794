"""What makes a pool's calls: processes of this machine, or a cluster; and what becomes of calls that none of them takes."""

from __future__ import annotations

import _thread
import importlib
import os
import sys
from collections.abc import Callable

from threefold._pool import checks

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOCAL = "local"
BACKENDS = (LOCAL, "ray", "dask")

GUARANTEES = (
    "each call is made at most once, or at most 1 + retries times where retries are asked for; "
    "a call whose worker dies raises WorkerDied, and no other call is affected"
)
"""What a pool of processes of this machine promises."""


_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep


def refuse_in_subinterpreters() -> None:
    """Raise RuntimeError outside of the main interpreter, in which alone the engine works."""
    if sys.version_info >= (3, 13):
        is_main: bool = _thread._is_main_interpreter()  # type: ignore[attr-defined]
    else:
        try:
            from threefold._threefold import is_main_interpreter
        except ImportError:
            # There it is not even loaded.
            import _xxsubinterpreters  # type: ignore[import-not-found,unused-ignore]

            is_main = int(_xxsubinterpreters.get_current()) == int(_xxsubinterpreters.get_main())
            if is_main:
                raise
        else:
            # Does not load what only this question needs.
            is_main = is_main_interpreter()
    if not is_main:
        raise RuntimeError("a pool of processes cannot be made in a subinterpreter: make it in the main interpreter")


def open_supervisor(
    backend: str, context: Any, worker_count: int | None, options: dict[str, Any], more: dict[str, Any]
) -> Any:
    """Start what makes a pool's calls.

    Args:
        backend: "local", or the name of a cluster's engine.
        context: the `multiprocessing` context of local processes.
        worker_count: how many calls are made at once; None, for a cluster, means as many as it has room for.
        options: the pool's options, as the supervisor takes them.
        more: options of the backend alone.

    Returns:
        The supervisor: `threefold._pool.supervisor.Supervisor`, or what has its methods.

    Raises:
        ValueError: there is no such backend.
        TypeError: the backend does not know one of its options.
    """
    if backend == LOCAL:
        if more:
            raise TypeError(f"Pool() got an unexpected keyword argument {next(iter(more))!r}")
        from threefold._pool.supervisor import Supervisor

        return Supervisor(context, worker_count or checks.usable_processors(), **options)
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(map(repr, BACKENDS))}, not {backend!r}")
    cluster: Any = importlib.import_module("threefold.cluster")
    return cluster.open_supervisor(backend, worker_count, **options, **more)


class ContextWithProcess:
    """A context that makes processes in a way of its own, as a subclass of `Pool` may.

    Args:
        context: the context that does all else.
        make: called with the context and what `Process` is called with.
    """

    def __init__(self, context: Any, make: Callable[..., Any]) -> None:
        self._context = context
        self._make = make

    def Process(self, *arguments: Any, **keywords: Any) -> Any:  # noqa: N802 - the standard library's name
        """Make a process."""
        return self._make(self._context, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class Refused(Exception):  # noqa: N818 - the engine's word for it, and nobody else sees it
    """The engine takes no more calls.

    Args:
        reason: a sentence.
        is_broken: whether that is because no worker can be had.
        failure: why there is none, if the engine knows.
    """

    def __init__(self, reason: str, is_broken: bool = False, failure: BaseException | None = None) -> None:
        super().__init__(reason, is_broken, failure)
        self.reason = reason
        self.is_broken = is_broken
        self._failure = failure

    def raise_failure(self) -> None:
        """Raise why there is no worker, if the engine knows.

        Raises:
            BrokenProcessPool: that.
        """
        failure, self._failure, self.args = self._failure, None, ()
        if failure is None:
            return
        try:
            raise failure from failure.__cause__
        finally:
            # Its traceback holds this frame, and this it.
            del failure


def without_our_frames(error: BaseException) -> BaseException:
    """Return an error whose traceback begins where the program's own code does: our frames hold whom it is given to."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_OURS):
        traceback = traceback.tb_next
    return error.with_traceback(traceback)

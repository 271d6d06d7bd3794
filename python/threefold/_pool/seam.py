"""What makes a pool's calls: processes of this machine, or a cluster."""

from __future__ import annotations

import importlib
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


def refuse_in_subinterpreters() -> None:
    """Raise RuntimeError outside of the main interpreter, in which alone the engine works."""
    if sys.version_info >= (3, 13):
        import _interpreters  # type: ignore[import-not-found,unused-ignore]
    else:
        import _xxsubinterpreters as _interpreters  # type: ignore[import-not-found,unused-ignore]

    def number(interpreter: Any) -> int:
        # From Python 3.13 on an interpreter comes with who owns it.
        return int(interpreter[0] if isinstance(interpreter, tuple) else interpreter)

    if number(_interpreters.get_current()) != number(_interpreters.get_main()):
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

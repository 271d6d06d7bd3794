"""Threads, processes and async tasks on one engine written in Rust, behind the standard library's own API.

    from threefold import threading, queue, futures, multiprocessing, asyncio

or, for a program as it is: `threefold run app.py`, or `threefold.install()`.

The package is a pytest plugin too, of which there is nothing to rewrite: PYTEST_DONT_REWRITE
"""

from threefold._activate import install, is_active, uninstall
from threefold._errors import Error, OwnerDied

# Type checkers take this as true; at run time the engine is loaded when it is first needed.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from threefold._pool.errors import InitializerFailed, TaskTimeout, WorkerDied
    from threefold._threefold import Wait, __version__
    from threefold.asyncio import EventLoop
    from threefold.crawl._typed import crawl as crawl

__all__ = [
    "Error",
    "EventLoop",
    "InitializerFailed",
    "OwnerDied",
    "TaskTimeout",
    "Wait",
    "WorkerDied",
    "__version__",
    "install",
    "is_active",
    "uninstall",
]


def __getattr__(name: str) -> object:
    """Load the engine for the names that are its own, the errors of pools, and the event loop."""
    if name in ("Wait", "__version__"):
        from threefold import _threefold

        return getattr(_threefold, name)
    if name in ("InitializerFailed", "TaskTimeout", "WorkerDied"):
        from threefold._pool import errors

        return getattr(errors, name)
    if name == "EventLoop":
        from threefold.asyncio import EventLoop

        return EventLoop
    if name == "crawl":
        import importlib

        # A module that can be called.
        return importlib.import_module("threefold.crawl")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

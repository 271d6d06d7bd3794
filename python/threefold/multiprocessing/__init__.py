"""Processes: every name of `multiprocessing`, with locks, queues and pools that outlive any process.

All names that are not the engine's are the standard library's own objects.
"""

import importlib
import importlib.util
import multiprocessing as _standard

from threefold._errors import OwnerDied as OwnerDied
from threefold.multiprocessing.context import _default_context

__all__ = list(_standard.__all__)

# Value and Array are the standard library's, with a lock of ours.
_ON_THE_ENGINE = (
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Pipe",
    "Pool",
    "Queue",
    "RLock",
    "Semaphore",
    "SimpleQueue",
    "Value",
    "get_context",
)

_ERRORS = ("InitializerFailed", "PoolTerminated", "RemoteError", "TaskCancelled", "TaskTimeout", "WorkerDied")

globals().update((name, getattr(_standard, name)) for name in __all__)
globals().update((name, getattr(_default_context, name)) for name in _ON_THE_ENGINE)


def __getattr__(name: str) -> object:
    """Find the errors of pools, our modules and the standard package's, and its other names."""
    if name in _ERRORS:
        return getattr(importlib.import_module("threefold._pool.errors"), name)
    if not name.startswith("__"):
        for package in (__name__, _standard.__name__):
            module = f"{package}.{name}"
            if importlib.util.find_spec(module):
                return importlib.import_module(module)
        if hasattr(_standard, name):
            return getattr(_standard, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The standard library's `threading` on the Rust engine: every public name of the running version."""

import threading as _standard
from threading import *  # noqa: F403 - all that the engine does not replace is the standard library's own

from threefold._thread import Thread, Timer, _change_in_place, _patch_thread, _unpatch_thread  # noqa: F401 - for `threefold run`
from threefold._threefold import (  # type: ignore[assignment]  # noqa: F401 - re-exported
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Lock,
    RLock,
    Semaphore,
)

__all__ = [*_standard.__all__]


def __getattr__(name: str) -> object:
    """Look up in the standard module what is not public but used: `_active`, `_shutdown`, `_register_atexit` and so on."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_standard, name)

"""The standard library's `asyncio` on the Rust engine: every public name of the running version."""

import asyncio as _standard
from asyncio import *  # noqa: F403 - all that the engine does not replace is the standard library's own

from threefold.asyncio._event_loop import EventLoop
from threefold.asyncio._streams import open_connection, open_unix_connection

__all__ = [*_standard.__all__]


def new_event_loop():
    return EventLoop()


def __getattr__(name: str) -> object:
    """Look up in the standard module what is not public but used: its submodules and such."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_standard, name)

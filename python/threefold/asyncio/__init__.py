"""Tasks: every name of `asyncio`, on an event loop whose callbacks, timers and sockets are the engine's.

All names that are not the engine's are the standard library's own objects.
"""

import asyncio as _standard
import sys as _sys
from asyncio import *  # noqa: F403 - all that the engine does not replace is the standard library's own

from threefold.asyncio._event_loop import EventLoop as EventLoop
from threefold.asyncio._policy import _change_in_place  # noqa: F401 - for `threefold run`
from threefold.asyncio._runners import Runner, new_event_loop, run  # noqa: F401 - re-exported
from threefold.asyncio._streams import open_connection, open_unix_connection  # noqa: F401 - re-exported

# Python 3.11 and 3.12 have no name for the loop of their platform.
__all__ = list(dict.fromkeys([*_standard.__all__, "EventLoop"]))


def __getattr__(name: str) -> object:
    """Find the policy, for Pythons that have such, and what the standard package has besides its public names."""
    if name == "EventLoopPolicy" and _sys.version_info < (3, 14):
        from threefold.asyncio import _policy

        return getattr(_policy, name)
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_standard, name)

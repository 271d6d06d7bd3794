"""The event loop of programs that choose none, or choose it by a policy, as those of Pythons before 3.14 may."""

import functools
import sys
from asyncio import unix_events
from collections.abc import Callable
from types import ModuleType
from typing import Any

from threefold.asyncio._event_loop import EventLoop

_StandardPolicy: Any = unix_events._UnixDefaultEventLoopPolicy

if sys.version_info < (3, 14):

    class EventLoopPolicy(_StandardPolicy):  # type: ignore[misc]
        """The standard policy, with our event loop.

        Examples:
            >>> import asyncio, threefold.asyncio
            >>> asyncio.set_event_loop_policy(threefold.asyncio.EventLoopPolicy())

        Source: CPython Lib/asyncio/unix_events.py
        """

        _loop_factory = EventLoop


def _change_in_place(_standard: ModuleType) -> Callable[[], None] | None:
    """Let the standard policy make our loops, and return what lets it make its own; None if it makes ours already."""
    before = _StandardPolicy._loop_factory
    if before is EventLoop:
        return None
    _StandardPolicy._loop_factory = EventLoop
    return functools.partial(setattr, _StandardPolicy, "_loop_factory", before)

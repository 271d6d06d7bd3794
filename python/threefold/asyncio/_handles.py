"""Handles of callbacks: the standard library's own classes, whose instances the engine makes, cancels and runs."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from threefold._threefold import install_handles


class Handle(asyncio.Handle):
    """A callback that is to be run.

    Source: CPython Lib/asyncio/events.py
    """

    __slots__ = ()


class TimerHandle(asyncio.TimerHandle):
    """A callback that is to be run at a time.

    Source: CPython Lib/asyncio/events.py
    """

    __slots__ = ()


def _call_later(
    loop: Any, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
) -> Any:
    """Arrange for a callback to be called after `delay` seconds."""
    if delay is None:
        raise TypeError("delay must not be None")
    timer = _call_at(loop, loop.time() + delay, callback, *args, context=context)
    if timer._source_traceback:
        del timer._source_traceback[-1]
    return timer


def _call_at(
    loop: Any, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
) -> Any:
    """Arrange for a callback to be called at the time `when`, in seconds of the loop's clock."""
    if when is None:
        raise TypeError("when cannot be None")
    loop._check_closed()
    if loop._debug:
        loop._check_thread()
        loop._check_callback(callback, "call_at")
    timer: Any = TimerHandle(when, callback, args, loop, context)
    if timer._source_traceback:
        del timer._source_traceback[-1]
    timer._scheduled = True
    loop._take_at(when, timer)
    return timer


# For what the engine's own methods leave to complete ones: debug mode, a closed loop, odd arguments.
_Loop = asyncio.BaseEventLoop
install_handles(Handle, TimerHandle, (_Loop.call_soon, _call_later, _call_at, _Loop.call_soon_threadsafe))

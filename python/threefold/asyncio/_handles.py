"""Handles of callbacks: the standard library's own classes, whose instances the engine makes, cancels and runs."""

import asyncio
import sys
from asyncio import events
from collections.abc import Callable
from contextvars import Context
from typing import Any

from threefold._threefold import args_of_handle, context_of_handle, install_handles, lock_of_handle

# Handles that were made together may share a context until somebody asks for it, who gets the handle's own.
_CONTEXT: Any = property(context_of_handle, asyncio.Handle._context.__set__)  # type: ignore[attr-defined]
# An only argument has no tuple until somebody asks for it.
_ARGS: Any = property(args_of_handle, asyncio.Handle._args.__set__)  # type: ignore[attr-defined, misc]


class Handle(asyncio.Handle):
    """A callback that is to be run.

    Source: CPython Lib/asyncio/events.py
    """

    __slots__ = ()
    _args = _ARGS
    _context = _CONTEXT


class TimerHandle(asyncio.TimerHandle):
    """A callback that is to be run at a time.

    Source: CPython Lib/asyncio/events.py
    """

    __slots__ = ()
    _args = _ARGS
    _context = _CONTEXT


if sys.version_info >= (3, 14):

    class ThreadSafeHandle(events._ThreadSafeHandle):  # type: ignore[misc, name-defined]
        """A callback that another thread brings: whoever cancels it waits until it has ended.

        Source: CPython Lib/asyncio/events.py
        """

        __slots__ = ()
        _args = _ARGS
        _context = _CONTEXT
        # Most handles are nobody else's when they run, and need none.
        _lock: Any = property(lock_of_handle, events._ThreadSafeHandle._lock.__set__)  # type: ignore[attr-defined]

    # Of making one, in the list of calls that led to it: the loop's method and the class's own constructor.
    _OWN_CALLS = 2

else:
    ThreadSafeHandle = Handle
    _OWN_CALLS = 1


def _create_task(loop: Any, coro: Any, **keywords: Any) -> Any:
    """Make a task; `eager_start` is passed on to it, as later Pythons do."""
    if loop.get_task_factory() is not None:
        return asyncio.BaseEventLoop.create_task(loop, coro, **keywords)
    task: Any
    if "eager_start" in keywords:
        loop._check_closed()
        task = asyncio.Task(coro, loop=loop, **keywords)
    else:
        task = asyncio.BaseEventLoop.create_task(loop, coro, **keywords)
    if task._source_traceback:
        del task._source_traceback[-1]
    return task


class CompleteCalls:
    """The methods of an event loop for what the engine's own leave to them: debug mode, a closed loop, odd arguments."""

    call_soon: Any = asyncio.BaseEventLoop.call_soon

    def call_later(
        self: Any, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Any:
        """Arrange for a callback to be called after `delay` seconds."""
        if delay is None:
            raise TypeError("delay must not be None")
        timer: Any = CompleteCalls.call_at(self, self.time() + delay, callback, *args, context=context)
        if timer._source_traceback:
            del timer._source_traceback[-1]
        return timer

    def call_at(
        self: Any, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Any:
        """Arrange for a callback to be called at the time `when`, in seconds of the loop's clock."""
        if when is None:
            raise TypeError("when cannot be None")
        self._check_closed()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, "call_at")
        timer: Any = TimerHandle(when, callback, args, self, context)
        if timer._source_traceback:
            del timer._source_traceback[-1]
        timer._scheduled = True
        self._take_at(when, timer)
        return timer

    def call_soon_threadsafe(
        self: Any, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Any:
        """Arrange for a callback to be called soon; from any thread."""
        self._check_closed()
        if self._debug:
            self._check_callback(callback, "call_soon_threadsafe")
        handle: Any = ThreadSafeHandle(callback, args, self, context)
        if handle._source_traceback:
            del handle._source_traceback[-_OWN_CALLS:]
        self._take_threadsafe(handle)
        return handle

    create_future = asyncio.BaseEventLoop.create_future
    create_task: Any = _create_task if (3, 12) <= sys.version_info < (3, 13, 3) else asyncio.BaseEventLoop.create_task
    get_debug = asyncio.BaseEventLoop.get_debug

    sock_recv = asyncio.SelectorEventLoop.sock_recv
    sock_recv_into = asyncio.SelectorEventLoop.sock_recv_into
    sock_recvfrom = asyncio.SelectorEventLoop.sock_recvfrom
    sock_recvfrom_into = asyncio.SelectorEventLoop.sock_recvfrom_into
    sock_sendall = asyncio.SelectorEventLoop.sock_sendall
    sock_sendto = asyncio.SelectorEventLoop.sock_sendto
    sock_accept = asyncio.SelectorEventLoop.sock_accept


# A call with missing arguments names the method of the standard library's loop.
for _method in (CompleteCalls.call_later, CompleteCalls.call_at, CompleteCalls.call_soon_threadsafe, _create_task):
    _method.__qualname__ = f"BaseEventLoop.{_method.__name__.removeprefix('_')}"

install_handles(Handle, TimerHandle, ThreadSafeHandle, CompleteCalls)

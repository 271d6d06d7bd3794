"""The event loop: its life and its callbacks, with the engine behind them."""

from __future__ import annotations

import asyncio
import os
import selectors
import weakref
from asyncio import format_helpers
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from threefold._threefold import EventLoopCore
from threefold.asyncio import _executors, _signal_pipe, _visible
from threefold.asyncio._connections import Connections
from threefold.asyncio._descriptors import Descriptors, Watched
from threefold.asyncio._handles import Handle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context


# Those that live: in the child of a fork, they leave to the parent what is the parent's.
_loops: weakref.WeakSet[EventLoop] = weakref.WeakSet()


class EventLoop(EventLoopCore, Connections, Descriptors):
    """An event loop whose callbacks, timers and descriptors are the engine's.

    Args:
        selector: not used; closed, since the standard library's loop would own it.

    Examples:
        >>> import asyncio, threefold.asyncio
        >>> async def main():
        ...     await asyncio.sleep(0.01)
        ...     return "done"
        >>> with asyncio.Runner(loop_factory=threefold.asyncio.EventLoop) as runner:
        ...     runner.run(main())
        'done'

    Differs from the standard library:
        Timers are as fine as the clock (0.3 ms is 0.3 ms), and a cancelled one does not stay in memory until its time.
        In a storm of signals none of a kind is lost.
        While callbacks keep it busy, it looks for news of descriptors every 50 microseconds, not in each turn.

    Source: CPython Lib/asyncio/base_events.py, selector_events.py, unix_events.py
    """

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._children = None
        self._files = {}
        super().__init__(Watched(self))
        if selector is not None:
            selector.close()
        _loops.add(self)

    # What the engine calls.

    def _run_handle(self, handle: Any) -> None:
        """Run a handle that is not ours, or any in debug mode."""
        try:
            if handle._cancelled:
                return
            if not self._debug:
                handle._run()
                return
            self._current_handle = handle
            begin = self.time()
            handle._run()
            elapsed = self.time() - begin
            if elapsed >= self.slow_callback_duration:
                logger.warning("Executing %s took %.3f seconds", _described(handle), elapsed)
        finally:
            self._current_handle = None
            # A task's exception may keep this frame, and the frame the task.
            handle = None

    def _report_callback(self, handle: Any, exception: BaseException) -> None:
        """Tell the exception handler what a callback has raised."""
        callback = format_helpers._format_callback_source(handle._callback, handle._args)
        context = {"message": f"Exception in callback {callback}", "exception": exception, "handle": handle}
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)

    # Beginning and end.

    def stop(self) -> None:
        """Stop running after this turn."""
        super().stop()
        self._end_turns()

    def set_debug(self, enabled: bool) -> None:
        """Turn debug mode on or off."""
        super().set_debug(enabled)
        self._set_debugging(bool(enabled))

    def set_task_factory(self, factory: Any) -> None:
        """Set what makes tasks, or the standard library's own class with None."""
        super().set_task_factory(factory)
        self._set_task_factory(factory is not None)

    def close(self) -> None:
        """Close the loop, and drop the callbacks that have not run.

        Raises:
            RuntimeError: it is running.
        """
        super().close()
        self._close()
        self._files.clear()
        if self._children is not None:
            self._children.close()

    # Callbacks, where the engine's own methods leave them to the standard library's.

    def _call_soon(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> Handle:
        handle: Any = Handle(callback, args, self, context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        self._take_soon(handle)
        return handle  # type: ignore[no-any-return]

    def _add_callback(self, handle: Any) -> None:
        if not handle._cancelled:
            self._take_soon(handle)

    def _add_callback_signalsafe(self, handle: Any) -> None:
        if not handle._cancelled:
            self._take_threadsafe(handle)

    def run_in_executor(self, executor: Any, func: Callable[..., object], *args: object) -> Any:
        """Call `func(*args)` in an executor; None is the loop's own threads."""
        if executor is None and not self._executor_shutdown_called:
            executor = self._default_executor
        if executor is None or self._debug or self.is_closed():
            return super().run_in_executor(executor, func, *args)
        return _executors.future_of(self, executor.submit(func, *args))

    # The bell: the engine has its own, and a pipe is made when signal handlers need one.

    def _make_self_pipe(self) -> None:
        self._ssock: Any = None
        self._csock: Any = None
        self._internal_fds += 1

    def _close_self_pipe(self) -> None:
        if self._ssock is not None:
            super()._close_self_pipe()
        self._internal_fds -= 1

    def _write_to_self(self) -> None:
        self._ring()

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:
        """Call `callback(*args)` in the loop when the signal `sig` arrives."""
        if self._ssock is None and not self.is_closed():
            self._ssock, self._csock = _signal_pipe.make()
            self._internal_fds += 1
            self._add_reader(self._ssock.fileno(), self._read_from_self)
        super().add_signal_handler(sig, callback, *args)


def _leave_to_the_parent() -> None:
    for loop in list(_loops):
        try:
            loop._after_fork()
        except OSError as error:
            # Somebody who never uses the loop in this process misses nothing.
            logger.warning("%r shares its descriptors with the process that it was forked from: %s", loop, error)


os.register_at_fork(after_in_child=_leave_to_the_parent)


def _described(handle: Any) -> str:
    task = getattr(handle._callback, "__self__", None)
    return repr(task) if isinstance(task, asyncio.Task) else str(handle)


_visible.look_after_loops()

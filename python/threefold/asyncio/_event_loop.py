"""The event loop: the engine's turns and timers under the standard library's own connections."""

import asyncio
import selectors
import weakref
from asyncio import base_events, format_helpers, unix_events

from threefold._threefold import EventLoopCore
from threefold.asyncio import _children
from threefold.asyncio._datagrams import DatagramTransport
from threefold.asyncio._handles import Handle


class _Watched:
    """What the engine watches, as the standard library's transports look it up: its loop keeps a selector there."""

    def __init__(self, loop: "EventLoop") -> None:
        self._loop = weakref.ref(loop)

    def get_key(self, fileobj: object) -> selectors.SelectorKey:
        """Return what is watched of a descriptor, or of an object that has one.

        Raises:
            KeyError: it is not watched.
        """
        loop = self._loop()
        descriptor = _descriptor_of(fileobj)
        reads, writes = loop._is_watched(descriptor) if loop is not None else (False, False)
        mask = (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if writes else 0)
        if not mask:
            raise KeyError(f"{descriptor!r} is not watched")
        return selectors.SelectorKey(fileobj, descriptor, mask, (None, None))

    def close(self) -> None:
        """Do nothing: the engine's set of descriptors lives as long as the loop."""


class EventLoop(EventLoopCore, asyncio.SelectorEventLoop):
    """An event loop whose callbacks, timers and descriptors are the engine's.

    Source: CPython Lib/asyncio/base_events.py, selector_events.py, unix_events.py
    """

    def __init__(self, selector: object = None) -> None:
        """Make a loop.

        Args:
            selector: ignored; the standard library's loop takes one.
        """
        self._children = None
        super().__init__(_Watched(self))
        if selector is not None:
            selector.close()

    def _run_handle(self, handle):
        """Run a handle that is not ours, or any in debug mode."""
        if handle._cancelled:
            return
        try:
            if not self._debug:
                handle._run()
                return
            self._current_handle = handle
            begin = self.time()
            handle._run()
            elapsed = self.time() - begin
            if elapsed >= self.slow_callback_duration:
                base_events.logger.warning("Executing %s took %.3f seconds", _format_handle(handle), elapsed)
        finally:
            self._current_handle = None
            # A task's exception may keep this frame, and the frame the task.
            handle = None

    def _report_callback(self, handle, exception):
        """Tell the exception handler what a callback has raised."""
        callback = format_helpers._format_callback_source(handle._callback, handle._args)
        context = {"message": f"Exception in callback {callback}", "exception": exception, "handle": handle}
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)

    def stop(self):
        super().stop()
        self._end_turns()

    def set_debug(self, enabled):
        super().set_debug(enabled)
        self._set_debugging(bool(enabled))

    def set_task_factory(self, factory):
        super().set_task_factory(factory)
        self._set_task_factory(factory is not None)

    def close(self):
        if self.is_closed() or self.is_running():
            super().close()
            return
        super().close()
        self._close()
        if self._children is not None:
            self._children.close()

    def _call_soon(self, callback, args, context):
        handle = Handle(callback, args, self, context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        self._take_soon(handle)
        return handle

    def _add_callback(self, handle):
        if not handle._cancelled:
            self._take_soon(handle)

    def _add_callback_signalsafe(self, handle):
        if not handle._cancelled:
            self._take_threadsafe(handle)

    def _write_to_self(self):
        pass

    def _make_self_pipe(self):
        # The engine has a bell; a pipe is made when signal handlers need one.
        self._ssock = self._csock = None
        self._internal_fds += 1

    def _close_self_pipe(self):
        if self._ssock is not None:
            super()._close_self_pipe()
        self._internal_fds -= 1

    def add_signal_handler(self, sig, callback, *args):
        if self._ssock is None:
            super()._make_self_pipe()
        super().add_signal_handler(sig, callback, *args)

    def _make_datagram_transport(self, sock, protocol, address=None, waiter=None, extra=None):
        return DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_read_pipe_transport(self, pipe, protocol, waiter=None, extra=None):
        return _children.ReadPipeTransport(self, pipe, protocol, waiter, extra)

    async def _make_subprocess_transport(
        self, protocol, args, shell, stdin, stdout, stderr, bufsize, extra=None, **kwargs
    ):
        if not _children.are_ours():
            return await super()._make_subprocess_transport(
                protocol, args, shell, stdin, stdout, stderr, bufsize, extra=extra, **kwargs
            )
        waiter = self.create_future()
        transport = unix_events._UnixSubprocessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter=waiter, extra=extra, **kwargs
        )
        if self._children is None:
            self._children = _children.Children(self)
        self._children.watch(transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport

    def _add_reader(self, fd, callback, *args):
        return self._listen(fd, False, callback, args)

    def _add_writer(self, fd, callback, *args):
        return self._listen(fd, True, callback, args)

    def _listen(self, fd, is_writer, callback, args):
        self._check_closed()
        handle = Handle(callback, args, self, None)
        previous = self._watch(_descriptor_of(fd), is_writer, handle)
        if previous is not None:
            previous.cancel()
        return handle

    def _remove_reader(self, fd):
        return self._ignore(fd, False)

    def _remove_writer(self, fd):
        return self._ignore(fd, True)

    def _ignore(self, fd, is_writer):
        if self.is_closed():
            return False
        previous = self._unwatch(_descriptor_of(fd), is_writer)
        if previous is None:
            return False
        previous.cancel()
        return True


def _descriptor_of(fd):
    if isinstance(fd, int):
        descriptor = fd
    else:
        try:
            descriptor = int(fd.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fd!r}") from None
    if descriptor < 0:
        raise ValueError(f"Invalid file descriptor: {descriptor}")
    return descriptor


def _format_handle(handle):
    callback = handle._callback
    if isinstance(getattr(callback, "__self__", None), asyncio.Task):
        return repr(callback.__self__)
    return str(handle)

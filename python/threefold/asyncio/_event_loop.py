"""The event loop: the seams of the standard library's loop, with the engine behind them."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import ssl
import weakref
from asyncio import constants, format_helpers, unix_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from threefold._threefold import EventLoopCore
from threefold.asyncio import _accepting, _children, _connecting, _executors, _pipes, _streams, _visible
from threefold.asyncio._datagrams import DatagramTransport
from threefold.asyncio._handles import Handle
from threefold.asyncio._stream_transport import StreamTransport
from threefold.asyncio._tls_protocol import TlsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context


# Descriptors are of C's type int.
_LARGEST_DESCRIPTOR = 2**31 - 1

# Those that live: in the child of a fork, they leave to the parent what is the parent's.
_loops: weakref.WeakSet[EventLoop] = weakref.WeakSet()

# What this class is built on are the standard loop's private parts, which no stub has.
_StandardLoop: Any = asyncio.SelectorEventLoop


class EventLoop(EventLoopCore, _StandardLoop):  # type: ignore[misc]
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
        While callbacks keep it busy, it looks for news of descriptors every 50 microseconds, not in each turn.

    Source: CPython Lib/asyncio/base_events.py, selector_events.py, unix_events.py
    """

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._children: _children.Children | None = None
        # The objects, other than numbers, that are listened to, by descriptor and side, with the handles.
        self._files: dict[tuple[int, bool], tuple[Any, Handle]] = {}
        super().__init__(_Watched(self))
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
            super()._make_self_pipe()
        super().add_signal_handler(sig, callback, *args)

    # Connections.

    create_connection = _connecting.with_races(_StandardLoop.create_connection)
    _connect_sock = _connecting.connect

    def _accept_connection(
        self,
        factory: Any,
        listening: Any,
        context: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        *rest: Any,
    ) -> None:
        limits = (ssl_handshake_timeout, ssl_shutdown_timeout)
        _accepting.accept_connections(self, factory, listening, context, server, backlog, *limits, *rest)

    def _make_socket_transport(
        self,
        sock: Any,
        protocol: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
        context: Context | None = None,
    ) -> StreamTransport:
        self._ensure_fd_no_transport(sock)
        _connecting.note_owner(sock)
        _streams.adopt(protocol)
        return StreamTransport(self, sock, protocol, waiter, extra, server, context)

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: Context | None = None,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)
        _connecting.note_owner(rawsock)
        _streams.adopt(protocol)
        between = TlsProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        StreamTransport(self, rawsock, between, extra=extra, server=server, context=context)
        return between._app_transport

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        """Begin TLS on a connection that exists.

        What a stream's reader of the server's side has buffered belongs to the handshake.

        Args:
            transport: of the connection.
            protocol: who hears of what arrives through the new transport.
            sslcontext: an `ssl.SSLContext`.
            server_side: whether this is the server.
            server_hostname: whose certificate a client wants to see.
            ssl_handshake_timeout: seconds; None for a minute.
            ssl_shutdown_timeout: seconds that the end may take; None for half a minute.

        Returns:
            The transport that is to be used from now on.

        Raises:
            TypeError: this is no context, or the transport cannot carry TLS.
            ssl.SSLError: the handshake has failed.

        Source: CPython Lib/asyncio/base_events.py
        """
        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}")
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        waiter = self.create_future()
        between = TlsProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            call_connection_made=False,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        # Nothing may arrive before the handshake has begun.
        transport.pause_reading()
        if server_side:
            between._core.put(_streams.take_buffered(protocol))
        transport.set_protocol(between)
        begins = self.call_soon(between.connection_made, transport)
        resumes = self.call_soon(transport.resume_reading)
        try:
            await waiter
        except BaseException:
            transport.close()
            begins.cancel()
            resumes.cancel()
            raise
        return between._app_transport

    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> DatagramTransport:
        self._ensure_fd_no_transport(sock)
        return DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_read_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        return _pipes.ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> Any:
        return _pipes.WritePipeTransport(self, pipe, protocol, waiter, extra)

    async def _make_subprocess_transport(
        self,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> Any:
        _pipes.adopt(protocol)
        if not _children.are_ours(self):
            return await super()._make_subprocess_transport(
                protocol, args, shell, stdin, stdout, stderr, bufsize, extra=extra, **kwargs
            )
        waiter = self.create_future()
        transport: Any = unix_events._UnixSubprocessTransport(  # type: ignore[attr-defined]
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

    async def sock_connect(self, sock: Any, address: Any) -> Any:
        """Connect a socket; one that is closed meanwhile stays open until that is done.

        Source: CPython Lib/asyncio/selector_events.py
        """
        if type(sock) is not socket.socket:
            return await super().sock_connect(sock, address)
        # As a file of `makefile` keeps its socket open.
        sock._io_refs += 1  # type: ignore[attr-defined]
        try:
            return await super().sock_connect(sock, address)
        finally:
            sock._decref_socketios()  # type: ignore[attr-defined]

    # Descriptors.

    def _add_reader(
        self, fd: Any, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self._listen(fd, False, callback, args, context)

    def _add_writer(
        self, fd: Any, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self._listen(fd, True, callback, args, context)

    def _remove_reader(self, fd: Any) -> bool:
        return self._ignore(fd, False)

    def _remove_writer(self, fd: Any) -> bool:
        return self._ignore(fd, True)

    def _listen(
        self, fd: Any, is_writer: bool, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> Handle:
        self._check_closed()
        handle = Handle(callback, args, self, context)
        descriptor = _descriptor_of(fd)
        if descriptor > _LARGEST_DESCRIPTOR:
            raise OverflowError("Python int too large to convert to C int")
        previous = self._watch(descriptor, is_writer, handle)
        if previous is not None:
            previous.cancel()
        if isinstance(fd, int):
            self._files.pop((descriptor, is_writer), None)
        else:
            self._files[descriptor, is_writer] = fd, handle
        return handle

    def _ignore(self, fd: Any, is_writer: bool) -> bool:
        if self.is_closed():
            return False
        try:
            descriptor = _descriptor_of(fd)
        except ValueError:
            if self._ignore_closed(fd, is_writer):
                return True
            raise
        self._files.pop((descriptor, is_writer), None)
        previous = self._unwatch(descriptor, is_writer) if descriptor <= _LARGEST_DESCRIPTOR else None
        if previous is None:
            return False
        previous.cancel()
        return True

    def _ignore_closed(self, fd: Any, is_writer: bool) -> bool:
        """Forget an object that has lost its number, which may by now be another's."""
        for key, (file, handle) in self._files.items():
            if file is fd and key[1] is is_writer:
                del self._files[key]
                self._unwatch(*key, handle)
                handle.cancel()
                return True
        return False


def _leave_to_the_parent() -> None:
    for loop in list(_loops):
        try:
            loop._after_fork()
        except OSError as error:
            # Somebody who never uses the loop in this process misses nothing.
            logger.warning("%r shares its descriptors with the process that it was forked from: %s", loop, error)


os.register_at_fork(after_in_child=_leave_to_the_parent)


class _Watched:
    """What the engine watches, as the standard library's transports look it up: its loop keeps a selector there."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = weakref.ref(loop)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
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
        return selectors.SelectorKey(fileobj, descriptor, mask, None)

    def close(self) -> None:
        """Do nothing: the engine's set of descriptors lives as long as the loop."""


def _descriptor_of(fd: Any) -> int:
    try:
        descriptor = fd if isinstance(fd, int) else int(fd.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fd!r}") from None
    if descriptor < 0:
        raise ValueError(f"Invalid file descriptor: {descriptor}")
    return descriptor


def _described(handle: Any) -> str:
    task = getattr(handle._callback, "__self__", None)
    return repr(task) if isinstance(task, asyncio.Task) else str(handle)


_visible.look_after_loops()

"""The transports of pipes: what happens per connection; what happens per packet is the engine's."""

import asyncio.subprocess
import errno
import os
import stat
import warnings
import weakref
from asyncio import base_subprocess, futures, transports
from asyncio.log import logger
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from threefold import _threefold
from threefold.asyncio import _streams
from threefold.asyncio._debug_mode import DebugMode
from threefold.asyncio._flow_control import FlowControl

# What a transport needs of these is private, and no stub has it.
_standard_futures: Any = futures
_StandardReadProtocol: Any = base_subprocess.ReadSubprocessPipeProto


class _Pipe(DebugMode):
    """What both ends have in common; the end's file, which it closes once, is `_pipe`."""

    __slots__ = ()

    _extra: dict[str, Any]
    _loop: Any
    _pipe: Any

    def _take_over(self, loop: Any, pipe: Any, extra: dict[str, Any] | None, kinds: str) -> int:
        """Set a descriptor not to wait; returns its mode.

        Raises:
            ValueError: a regular file, or a folder.
        """
        transports.BaseTransport.__init__(self, extra)  # type: ignore[arg-type]
        self._extra["pipe"] = pipe
        self._loop = loop
        self._pipe: Any = None
        self._fileno: int = pipe.fileno()  # type: ignore[misc]
        mode = os.fstat(self._fileno).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
            raise ValueError(f"Pipe transport is {kinds}")
        os.set_blocking(self._fileno, False)
        self._pipe = pipe
        self._context = copy_context()  # type: ignore[misc]
        self._core = _threefold.StreamCore(loop, self._fileno, self._context, True)  # type: ignore[misc]
        return mode

    def _begin(self, protocol: Any, waiter: Any, hears: bool) -> None:
        call_soon, context = self._loop.call_soon, self._context
        call_soon(protocol.connection_made, self, context=context)
        if hears:
            call_soon(self._core.begin_reading, self, context=context)
        if waiter is not None:
            call_soon(_standard_futures._set_result_unless_cancelled, waiter, None, context=context)

    def _described(self, is_writer: bool) -> list[str]:
        info = [type(self).__name__]
        if self._pipe is None:
            info.append("closed")
        elif self.is_closing():  # type: ignore[attr-defined]
            info.append("closing")
        info.append(f"fd={self._fileno}")
        if self._pipe is None:
            info.append("closed")
        elif self._loop.is_closed():
            info.append("open")
        else:
            info.append("polling" if self._loop._is_watched(self._fileno)[is_writer] else "idle")
        return info

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        """Close the pipe of a transport that nobody has closed."""
        if getattr(self, "_pipe", None) is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._pipe.close()

    @property
    def _protocol(self) -> Any:
        return self._core.protocol

    @property
    def _closing(self) -> bool:
        return self.is_closing()  # type: ignore[attr-defined, no-any-return]

    def get_protocol(self) -> Any:
        """Return who hears of what happens here."""
        return self._core.protocol

    def close(self) -> None:
        """Close the pipe; what is queued goes out first."""
        if self._core.close():
            self._loop.call_soon(self._call_connection_lost, None, context=self._context)

    def _end(self, error: BaseException | None) -> None:
        if self._core.abort():
            self._loop.call_soon(self._call_connection_lost, error, context=self._context)

    def _call_connection_lost(self, error: BaseException | None) -> None:
        try:
            self._core.protocol.connection_lost(error)
        finally:
            self._pipe.close()
            self._pipe = None
            self._core.set_protocol(None)
            self._loop = None

    def _report(self, error: BaseException, message: str) -> None:
        context = {"message": message, "exception": error, "transport": self, "protocol": self._core.protocol}
        self._loop.call_exception_handler(context)


class ReadPipeTransport(_Pipe, transports.ReadTransport):
    """The reading end of a pipe.

    `pause_reading`, `resume_reading`, `is_reading` and `is_closing` are the engine's.

    Source: CPython Lib/asyncio/unix_events.py, _UnixReadPipeTransport
    """

    __slots__ = ("__dict__", "__weakref__", "_context", "_core", "_fileno", "_loop", "_pipe")

    def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> None:
        """Take over the reading end of a pipe; the protocol hears of it in the loop's next turn.

        Args:
            loop: an event loop of ours.
            pipe: a file that has a descriptor; the transport closes it.
            protocol: who hears of what arrives.
            waiter: a future that gets its result when the protocol has heard of the connection.
            extra: what `get_extra_info` returns in addition.

        Raises:
            ValueError: it is no pipe, socket or character device.
        """
        self._take_over(loop, pipe, extra, "for pipes/sockets only.")
        self.set_protocol(protocol)
        self._begin(protocol, waiter, True)

    def __repr__(self) -> str:
        """Return the transport's state."""
        return f"<{' '.join(self._described(False))}>"

    @property
    def _paused(self) -> bool:
        return self._core.is_reading_paused

    def set_protocol(self, protocol: Any) -> None:
        """Set who hears of what arrives from now on."""
        self._core.set_protocol(protocol)

    def _bring_to(self, reader: Any) -> None:
        """What arrives goes to a stream's reader, as it would by way of the protocol."""
        self._core.set_reader(self._core.protocol, weakref.ref(reader), reader._core)

    def _read_end(self) -> None:
        """Nobody writes any more."""
        if self._loop.get_debug():
            logger.info("%r was closed by peer", self)
        if self._core.close():
            self._loop.call_soon(self._core.protocol.eof_received, context=self._context)
            self._loop.call_soon(self._call_connection_lost, None, context=self._context)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on pipe transport") -> None:
        # A terminal whose other end has gone.
        if isinstance(exc, OSError) and exc.errno == errno.EIO:
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        else:
            self._report(exc, message)
        self._end(exc)


class WritePipeTransport(_Pipe, FlowControl, transports._FlowControlMixin, transports.WriteTransport):
    """The writing end of a pipe.

    `write`, `writelines`, `is_closing` and `get_write_buffer_size` are the engine's.

    Differs from the standard library:
        Bytes that do not fit into the pipe are copied only if they are not `bytes`, and what is no bytes is a `TypeError`.
        `connection_lost` is called once, also when `abort` follows `close`.

    Source: CPython Lib/asyncio/unix_events.py, _UnixWritePipeTransport
    """

    __slots__ = ("__dict__", "__weakref__", "_context", "_core", "_fileno", "_pipe")

    def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None) -> None:
        """Take over the writing end of a pipe; the protocol hears of it in the loop's next turn.

        Args:
            loop: an event loop of ours.
            pipe: a file that has a descriptor; the transport closes it.
            protocol: who hears of the end, and when to pause.
            waiter: a future that gets its result when the protocol has heard of the connection.
            extra: what `get_extra_info` returns in addition.

        Raises:
            ValueError: it is no pipe, socket or character device.
        """
        mode = self._take_over(loop, pipe, extra, "only for pipes, sockets and character devices")
        self.set_protocol(protocol)
        # A device may have something to read.
        self._begin(protocol, waiter, not stat.S_ISCHR(mode))

    def __repr__(self) -> str:
        """Return the transport's state."""
        info = self._described(True)
        if self._pipe is not None:
            info.append(f"bufsize={self.get_write_buffer_size()}")
        return f"<{' '.join(info)}>"

    @property
    def _conn_lost(self) -> int:
        return int(self._core.is_lost)

    def set_protocol(self, protocol: Any) -> None:
        """Set who hears of the end, and when to pause."""
        self._core.set_writer(protocol)

    def can_write_eof(self) -> bool:
        """Return True: to close a pipe is to end it."""
        return True

    def write_eof(self) -> None:
        """Close the pipe when what is queued has gone out."""
        self.close()

    def abort(self) -> None:
        """Close the pipe at once; what is queued is lost."""
        self._end(None)

    def _read_end(self) -> None:
        """Nobody reads any more."""
        if self._loop.get_debug():
            logger.info("%r was closed by peer", self)
        self._end(BrokenPipeError() if self.get_write_buffer_size() else None)

    def _be_drained(self) -> None:
        """What was queued has gone out, and the pipe is being closed."""
        if self._core.finish():
            self._context.copy().run(self._call_connection_lost, None)

    def _fail_writing(self, error: BaseException, message: str) -> None:
        self._fatal_error(error, message)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on pipe transport") -> None:
        if not isinstance(exc, OSError):
            self._report(exc, message)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=exc)
        self._end(exc)

    def _warn_of_late_writes(self) -> None:
        logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")


class SubprocessStreamProtocol(asyncio.subprocess.SubprocessStreamProtocol):
    """What makes streams of a child's pipes.

    Source: CPython Lib/asyncio/subprocess.py
    """

    def connection_made(self, transport: Any) -> None:
        """Make the readers and the writer, and let what arrives go to the readers without a detour."""
        super().connection_made(transport)
        if type(self.stdin) is asyncio.StreamWriter:
            self.stdin.__class__ = _streams.StreamWriter
        for number, reader in ((1, self.stdout), (2, self.stderr)):
            pipe = transport.get_pipe_transport(number)
            if type(reader) is not asyncio.StreamReader or type(pipe) is not ReadPipeTransport:
                continue
            if _streams.adopt_reader(reader, pipe._loop) and type(pipe.get_protocol()) is _StandardReadProtocol:
                pipe._bring_to(reader)


def adopt(protocol: Any) -> None:
    """Make the standard library's own protocol of a new child ours; others stay as they are."""
    if type(protocol) is asyncio.subprocess.SubprocessStreamProtocol:
        protocol.__class__ = SubprocessStreamProtocol


_threefold.install_pipe_transports(ReadPipeTransport, WritePipeTransport)

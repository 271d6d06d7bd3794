"""The transport of TCP and Unix stream sockets: what happens per connection; what happens per packet is the engine's."""

import socket
import warnings
from asyncio import base_events, constants, futures, transports, trsock
from asyncio.log import logger
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from threefold import _threefold
from threefold.asyncio import _streams
from threefold.asyncio._debug_mode import DebugMode
from threefold.asyncio._flow_control import FlowControl
from threefold.asyncio._tls_protocol import TlsProtocol

# What a transport needs of these is private, and no stub has it.
_standard_loops: Any = base_events
_standard_futures: Any = futures

# Until then a server only counts its connections.
_SERVER_KNOWS_TRANSPORTS = _standard_loops.Server._attach.__code__.co_argcount > 1


class StreamTransport(DebugMode, FlowControl, transports._FlowControlMixin):
    """A connected stream socket.

    `write`, `writelines`, `pause_reading`, `resume_reading`, `is_reading`, `is_closing` and `get_write_buffer_size` are the
    engine's.

    Differs from the standard library:
        Bytes that do not fit into the socket are copied if they are not `bytes`: their owner may change them at once.
        A protocol is a buffered one, too, if it has `get_buffer` and no `data_received`, whatever its class.
        Every TCP socket has TCP_NODELAY, also one that was made without naming its protocol.
        All that the protocol hears, it hears in the connection's context, and not in that of the caller of `write`,
        `resume_reading` or `close`.

    Source: CPython Lib/asyncio/selector_events.py, _SelectorSocketTransport
    """

    __slots__ = ("__dict__", "__weakref__", "_context", "_core", "_empty_waiter", "_server", "_sock", "_sock_fd")

    _extra: dict[str, Any]
    _loop: Any

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: Any,
        waiter: Any = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        context: Context | None = None,
    ) -> None:
        """Take over a connected socket; the protocol hears of it in the loop's next turn.

        Args:
            loop: an event loop of ours.
            sock: a connected socket that does not wait; the transport closes it.
            protocol: who hears of what arrives.
            waiter: a future that gets its result when the protocol has heard of the connection.
            extra: what `get_extra_info` returns in addition.
            server: the server that has accepted the connection.
            context: in which everything is called; None for the one in which it is asked for.
        """
        transports.Transport.__init__(self, extra)
        information = self._extra
        information["socket"] = trsock.TransportSocket(sock)
        information["sockname"] = _name_of(sock.getsockname)
        if "peername" not in information:
            information["peername"] = _name_of(sock.getpeername)
        self._loop = loop
        self._sock_fd = sock.fileno()
        # What the protocol is told on behalf of a caller, it hears in its own context all the same.
        self._context = copy_context() if context is None else context
        self._core = _threefold.StreamCore(loop, self._sock_fd, self._context)
        self._sock: Any = sock
        self._empty_waiter: Any = None
        self.set_protocol(protocol)
        self._server = server
        if server is not None:
            server._attach(self) if _SERVER_KNOWS_TRANSPORTS else server._attach()
        loop._transports[self._sock_fd] = self
        _send_at_once(sock)
        loop.call_soon(protocol.connection_made, self, context=context)
        loop.call_soon(self._core.begin_reading, self, context=context)
        if waiter is not None:
            loop.call_soon(_standard_futures._set_result_unless_cancelled, waiter, None, context=context)

    def __repr__(self) -> str:
        """Return the transport's state."""
        info = [type(self).__name__]
        if self._sock is None:
            info.append("closed")
        elif self.is_closing():
            info.append("closing")
        info.append(f"fd={self._sock_fd}")
        if self._loop is not None and not self._loop.is_closed():
            reads, writes = self._loop._is_watched(self._sock_fd)
            info.append("read=polling" if reads else "read=idle")
            size = self.get_write_buffer_size()
            info.append(f"write=<{'polling' if writes else 'idle'}, bufsize={size}>")
        return f"<{' '.join(info)}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        """Close the socket of a transport that nobody has closed."""
        if getattr(self, "_sock", None) is None:
            return
        _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
        self._sock.close()
        self._leave_server()

    @property
    def _protocol(self) -> Any:
        return self._core.protocol

    @property
    def _paused(self) -> bool:
        return self._core.is_reading_paused

    @property
    def _closing(self) -> bool:
        return self.is_closing()

    @property
    def _eof(self) -> bool:
        return self._core.has_ended

    @property
    def _conn_lost(self) -> int:
        return int(self._core.is_lost)

    def set_protocol(self, protocol: Any) -> None:
        """Set who hears of what arrives from now on."""
        reader = _streams.reader_of(protocol)
        if isinstance(protocol, TlsProtocol):
            self._core.set_tls(protocol, protocol._core)
        elif reader is not None:
            self._core.set_reader(protocol, protocol._stream_reader_wr, reader._core)
        else:
            self._core.set_protocol(protocol, _streams.is_buffered(protocol))

    def get_protocol(self) -> Any:
        """Return who hears of what arrives."""
        return self._core.protocol

    def close(self) -> None:
        """Close the connection when what is queued has gone out."""
        if self._core.close():
            self._loop.call_soon(self._call_connection_lost, None, context=self._context)

    def abort(self) -> None:
        """Close the connection at once; what is queued is lost."""
        self._force_close(None)

    def write_eof(self) -> None:
        """Tell the other end that nothing more comes, when what is queued has gone out."""
        if self._core.end_writing():
            self._sock.shutdown(socket.SHUT_WR)

    def can_write_eof(self) -> bool:
        """Return True: one direction of a stream socket can be closed."""
        return True

    def _read_end(self) -> None:
        """The other end has said that nothing more comes."""
        if self._loop.get_debug():
            logger.debug("%r received EOF", self)
        try:
            keeps_open = self._core.protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            self._fatal_error(error, "Fatal error: protocol.eof_received() call failed.")
            return
        if keeps_open:
            self._core.end_reading()
        else:
            self.close()

    def _be_drained(self) -> None:
        """What was queued has gone out, and somebody waits for that."""
        if self._empty_waiter is not None and not self._empty_waiter.done():
            self._empty_waiter.set_result(None)
        if self._core.finish():
            self._context.copy().run(self._call_connection_lost, None)
        elif self._core.has_ended and not self._core.is_lost:
            self._sock.shutdown(socket.SHUT_WR)

    def _fail_writing(self, error: BaseException, message: str) -> None:
        self._fatal_error(error, message)
        if self._empty_waiter is not None and not self._empty_waiter.done():
            self._empty_waiter.set_exception(error)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        else:
            context = {"message": message, "exception": exc, "transport": self, "protocol": self._core.protocol}
            self._loop.call_exception_handler(context)
        self._force_close(exc)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._core.abort():
            self._loop.call_soon(self._call_connection_lost, exc, context=self._context)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            self._core.protocol.connection_lost(exc)
        finally:
            self._sock.close()
            self._sock = None
            self._core.set_protocol(None)
            self._loop = None
            self._leave_server()
            if self._empty_waiter is not None and not self._empty_waiter.done():
                self._empty_waiter.set_exception(ConnectionError("Connection is closed by peer"))

    def _leave_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server._detach(self) if _SERVER_KNOWS_TRANSPORTS else server._detach()

    def _make_empty_waiter(self) -> Any:
        if self._empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        self._empty_waiter = self._loop.create_future()
        if self._core.lend(True):
            self._empty_waiter.set_result(None)
        return self._empty_waiter

    def _reset_empty_waiter(self) -> None:
        self._empty_waiter = None
        self._core.lend(False)

    def _warn_of_late_writes(self) -> None:
        logger.warning("socket.send() raised exception.")


def _send_at_once(sock: socket.socket) -> None:
    """Let small writes to a TCP connection go out without waiting for an acknowledgement."""
    is_internet = sock.family == socket.AF_INET or sock.family == socket.AF_INET6
    # A socket that the program has made mostly says 0 for its protocol.
    if is_internet and sock.type == socket.SOCK_STREAM and sock.proto in (0, socket.IPPROTO_TCP):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _name_of(get: Callable[[], Any]) -> Any:
    """Return an end's address, or None when there is none."""
    try:
        return get()
    except OSError:
        return None


_threefold.install_stream_transport(StreamTransport)

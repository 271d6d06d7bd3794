"""TLS between a program's protocol and a transport: the handshake, the end, timeouts; records are the engine's."""

import enum
import ssl
from asyncio import constants, protocols, sslproto
from asyncio.log import logger
from typing import Any

from threefold import _threefold
from threefold.asyncio import _streams
from threefold.asyncio._tls_transport import SSLTransport

# What is needed of it is private, and no stub has it.
_standard: Any = sslproto

# The other end must be heard first.
_AGAIN = (ssl.SSLWantReadError, ssl.SSLSyscallError)
# Whether records may go through OpenSSL without a call of the interpreter; tests look at both ways.
_CALLS_OPENSSL = True
# What is read at once through a transport that is not ours, and of what nobody wants any more.
_READ_BYTES = 64 * 1024


class _Phase(enum.Enum):
    """How far a connection is."""

    NEW = "new"
    HANDSHAKE = "handshake"
    OPEN = "open"
    # What is queued goes out.
    FLUSHING = "flushing"
    # We have said that nothing more comes, and wait for the other end to say so.
    SHUTDOWN = "shutdown"
    OVER = "over"


class _Told(enum.Enum):
    """What the program's protocol has heard."""

    NOTHING = "nothing"
    MADE = "made"
    END = "end"
    LOST = "lost"


class TlsProtocol(protocols.BufferedProtocol):
    """The protocol of a connection below, which carries TLS.

    A transport of ours hands over what arrives without a call of Python; any other uses this as a buffered protocol.

    Source: CPython Lib/asyncio/sslproto.py, SSLProtocol
    """

    def __init__(
        self,
        loop: Any,
        app_protocol: Any,
        sslcontext: Any,
        waiter: Any,
        server_side: bool = False,
        server_hostname: str | None = None,
        call_connection_made: bool = True,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Prepare the TLS of a connection; the handshake begins when `connection_made` is called.

        Args:
            loop: an event loop of ours.
            app_protocol: who hears of what arrives.
            sslcontext: an `ssl.SSLContext`; None for a client's default.
            waiter: a future that gets its result after the handshake, or None.
            server_side: whether this is the server.
            server_hostname: whose certificate a client wants to see.
            call_connection_made: whether `app_protocol` has yet to hear of the connection.
            ssl_handshake_timeout: seconds; None for a minute.
            ssl_shutdown_timeout: seconds that the end may take; None for half a minute.

        Raises:
            ValueError: a timeout is not positive, or a server has no context.
        """
        self._handshake_timeout = _checked("handshake", ssl_handshake_timeout, constants.SSL_HANDSHAKE_TIMEOUT)
        self._shutdown_timeout = _checked("shutdown", ssl_shutdown_timeout, constants.SSL_SHUTDOWN_TIMEOUT)
        if not sslcontext:
            sslcontext = _standard._create_transport_context(server_side, server_hostname)
        self._extra: dict[str, Any] = {"sslcontext": sslcontext}
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hostname = server_hostname if server_hostname and not server_side else None
        self._sslobj = sslcontext.wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=hostname)
        self._core: Any = _threefold.TlsCore(loop, self._sslobj, incoming, outgoing, _CALLS_OPENSSL)
        self._loop = loop
        self._waiter = waiter
        self._phase = _Phase.NEW
        self._told = _Told.NOTHING if call_connection_made else _Told.MADE
        self._transport: Any = None
        self._timer: Any = None
        self._handshake_began = 0.0
        self._has_ended_below = False
        self._buffer: memoryview | None = None
        self._app_transport: SSLTransport | None = SSLTransport(loop, self, self._core)
        self._set_app_protocol(app_protocol)

    def _set_app_protocol(self, protocol: Any) -> None:
        reader = _streams.reader_of(protocol)
        if reader is not None:
            self._core.set_reader(protocol, protocol._stream_reader_wr, reader._core)
        else:
            self._core.set_protocol(protocol, _streams.is_buffered(protocol))

    @property
    def _app_protocol(self) -> Any:
        return self._core.protocol

    @property
    def _app_reading_paused(self) -> bool:
        return bool(self._core.is_reading_paused)

    def _get_extra_info(self, name: str, default: Any = None) -> Any:
        if name in self._extra:
            return self._extra[name]
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    def _is_closing_below(self) -> bool:
        return self._transport is not None and self._transport.is_closing()

    # What the transport below calls.

    def connection_made(self, transport: Any) -> None:
        """Begin the handshake."""
        self._transport = transport
        self._core.join(transport, self)
        self._phase = _Phase.HANDSHAKE
        if self._loop.get_debug():
            logger.debug("%r starts SSL handshake", self)
            self._handshake_began = self._loop.time()
        self._timer = self._loop.call_later(self._handshake_timeout, self._check_handshake)
        self._do_handshake()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the program's protocol, if it knows of the connection."""
        self._cancel_timer()
        protocol = self._core.protocol
        if self._app_transport is not None:
            self._app_transport._closed = True
        is_told = self._phase is not _Phase.HANDSHAKE and self._told in (_Told.MADE, _Told.END)
        self._phase = _Phase.OVER
        self._core.end()
        self._transport = None
        self._app_transport = None
        self._wake_waiter(exc)
        if is_told:
            self._told = _Told.LOST
            protocol.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - as transports call it
        """Return where a transport that is not ours puts what arrives."""
        if self._buffer is None:
            self._buffer = memoryview(bytearray(_READ_BYTES))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what a transport that is not ours has put into the buffer."""
        assert self._buffer is not None
        self._core.take(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        """The other end sends nothing more, with or without having said so in TLS.

        Returns:
            True if there is still something to deliver or to send.
        """
        self._has_ended_below = True
        try:
            if self._loop.get_debug():
                logger.debug("%r received EOF", self)
            if self._phase is _Phase.HANDSHAKE:
                self._end_handshake(ConnectionResetError())
            elif self._phase is _Phase.OPEN:
                self._begin_flushing()
                if self._core.is_reading_paused:
                    return True
                self._do_flush()
                # The other end may still want to have what is queued.
                return self._is_flushing()
            elif self._phase is _Phase.FLUSHING:
                self._do_flush()
                return self._is_flushing()
            elif self._phase is _Phase.SHUTDOWN:
                self._do_shutdown()
        except Exception:
            self._transport.close()
            raise
        return None

    def pause_writing(self) -> None:
        """Encrypt no more: the transport below has enough to write."""
        self._core.set_below_full(True)

    def resume_writing(self) -> None:
        """Encrypt what is queued: the transport below has little to write."""
        self._core.set_below_full(False)
        try:
            is_empty = self._core.advance()
        except Exception as error:  # noqa: BLE001 - reported, whatever it is
            self._fatal_error(error, "Fatal error on SSL protocol")
            return
        if is_empty and self._phase is _Phase.FLUSHING:
            self._do_flush()

    # What the engine calls.

    def _receive(self, data: bytes) -> None:
        """Go on with the handshake, or with the end."""
        self._core.put(data)
        if self._phase is _Phase.HANDSHAKE:
            self._do_handshake()
        elif self._phase is _Phase.FLUSHING:
            # Closed: nobody wants it any more.
            self._drop_rest()
        elif self._phase is _Phase.SHUTDOWN:
            self._do_shutdown()

    def _end_reading(self) -> None:
        """The other end has said that nothing more comes."""
        self._tell_end()
        self._close()

    def _resume_soon(self) -> None:
        self._loop.call_soon(self._resume, context=getattr(self._transport, "_context", None))

    def _resume(self) -> None:
        """The program wants to read again."""
        if self._phase is _Phase.OPEN:
            self._core.deliver()
        elif self._phase is _Phase.FLUSHING:
            self._do_flush()
        elif self._phase is _Phase.SHUTDOWN:
            self._do_shutdown()

    def _pause_program(self) -> None:
        self._tell_program("pause_writing")

    def _resume_program(self) -> None:
        self._tell_program("resume_writing")

    def _tell_program(self, method: str) -> None:
        try:
            tell = getattr(self._core.protocol, method)
            context = getattr(self._transport, "_context", None)
            # Not in that of whoever writes.
            tell() if context is None else context.copy().run(tell)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            context = {
                "message": f"protocol.{method}() failed",
                "exception": error,
                "transport": self._app_transport,
                "protocol": self,
            }
            self._loop.call_exception_handler(context)

    # The handshake.

    def _check_handshake(self) -> None:
        self._timer = None
        if self._phase is _Phase.HANDSHAKE:
            seconds = self._handshake_timeout
            message = f"SSL handshake is taking longer than {seconds} seconds: aborting the connection"
            self._fatal_error(ConnectionAbortedError(message))

    def _do_handshake(self) -> None:
        try:
            self._sslobj.do_handshake()
        except _AGAIN:
            self._core.flush()
        except ssl.SSLError as error:
            self._end_handshake(error)
        else:
            self._end_handshake(None)

    def _end_handshake(self, error: Exception | None) -> None:
        self._cancel_timer()
        sslobj = self._sslobj
        try:
            if error is not None:
                raise error
            certificate = sslobj.getpeercert()
        except Exception as reason:  # noqa: BLE001 - reported, whatever it is
            error = None
            # The other end shall hear why.
            self._core.flush()
            self._phase = _Phase.OVER
            is_certificate = isinstance(reason, ssl.CertificateError)
            self._fatal_error(
                reason, "SSL handshake failed" + (" on verifying the certificate" if is_certificate else "")
            )
            self._wake_waiter(reason)
            return
        self._phase = _Phase.OPEN
        self._core.begin()
        if self._loop.get_debug():
            duration = self._loop.time() - self._handshake_began
            logger.debug("%r: SSL handshake took %.1f ms", self, duration * 1e3)
        self._extra.update(
            peercert=certificate, cipher=sslobj.cipher(), compression=sslobj.compression(), ssl_object=sslobj
        )
        if self._told is _Told.NOTHING:
            self._told = _Told.MADE
            self._core.protocol.connection_made(self._app_transport)
        self._wake_waiter(None)
        try:
            self._core.flush()
            self._core.advance()
        except Exception as reason:  # noqa: BLE001 - reported, whatever it is
            self._fatal_error(reason, "Fatal error on SSL protocol")
            return
        # Behind those who wait for the handshake: `start_tls` has yet to return the transport.
        self._resume_soon()

    def _wake_waiter(self, exc: BaseException | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.cancelled():
            return
        if exc is not None:
            waiter.set_exception(exc)
        else:
            waiter.set_result(None)

    # The end.

    def _close(self) -> None:
        """Close the connection when what is queued has gone out."""
        if self._app_transport is not None:
            self._app_transport._closed = True
        if self._phase is _Phase.HANDSHAKE:
            self._abort(None)
        elif self._phase is _Phase.OPEN:
            self._begin_flushing()
            self._do_flush()

    def _begin_flushing(self) -> None:
        self._phase = _Phase.FLUSHING
        self._core.begin_closing()
        self._timer = self._loop.call_later(self._shutdown_timeout, self._check_shutdown)

    def _is_flushing(self) -> bool:
        return self._phase is _Phase.FLUSHING

    def _check_shutdown(self) -> None:
        self._timer = None
        if self._phase in (_Phase.FLUSHING, _Phase.SHUTDOWN):
            _force_close(self._transport, TimeoutError("SSL shutdown timed out"))

    def _do_flush(self) -> None:
        self._core.deliver()
        if self._phase is not _Phase.FLUSHING or not self._core.advance():
            return
        if self._has_ended_below and self._core.is_reading_paused and self._core.incoming_bytes:
            return
        self._phase = _Phase.SHUTDOWN
        self._do_shutdown()

    def _do_shutdown(self) -> None:
        try:
            if not self._has_ended_below:
                self._drop_rest()
                self._sslobj.unwrap()
        except _AGAIN:
            self._core.flush()
        except ssl.SSLError as error:
            self._end_shutdown(error)
        else:
            self._core.flush()
            self._tell_end()
            self._end_shutdown(None)

    def _drop_rest(self) -> None:
        """Read what nobody wants any more, since the end cannot be read before that."""
        try:
            while self._sslobj.read(_READ_BYTES):
                pass
        except (*_AGAIN, ssl.SSLZeroReturnError):
            pass

    def _end_shutdown(self, error: BaseException | None) -> None:
        self._cancel_timer()
        if error is not None:
            self._fatal_error(error)
        elif self._transport is not None:
            self._loop.call_soon(self._transport.close)

    def _abort(self, exc: BaseException | None) -> None:
        self._phase = _Phase.OVER
        self._core.begin_closing()
        if self._transport is not None:
            _force_close(self._transport, exc)

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _tell_end(self) -> None:
        if self._told is not _Told.MADE:
            return
        self._told = _Told.END
        try:
            if self._core.protocol.eof_received():
                logger.warning("returning true from eof_received() has no effect when using ssl")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - reported, whatever it is
            self._fatal_error(error, "Error calling eof_received()")

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        transport = self._transport
        if transport is not None:
            _force_close(transport, exc)
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        elif not isinstance(exc, _standard.exceptions.CancelledError):
            context = {"message": message, "exception": exc, "transport": transport, "protocol": self}
            self._loop.call_exception_handler(context)


def _checked(name: str, seconds: float | None, default: float) -> float:
    if seconds is None:
        return default
    if seconds <= 0:
        raise ValueError(f"ssl_{name}_timeout should be a positive number, got {seconds}")
    return seconds


def _force_close(transport: Any, exc: BaseException | None) -> None:
    force = getattr(transport, "_force_close", None)
    if force is None:
        transport.abort()
    else:
        force(exc)

"""Connections of an event loop: the seams at which the standard library's loop makes servers, transports and children."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import constants, unix_events
from typing import TYPE_CHECKING, Any

from threefold.asyncio import _accepting, _children, _connecting, _pipes, _streams
from threefold.asyncio._datagrams import DatagramTransport
from threefold.asyncio._stream_transport import StreamTransport
from threefold.asyncio._tls_protocol import TlsProtocol

if TYPE_CHECKING:
    from contextvars import Context

# What this class is built on are the standard loop's private parts, which no stub has.
_StandardLoop: Any = asyncio.SelectorEventLoop


class Connections(_StandardLoop):  # type: ignore[misc]
    """What an event loop of ours does per connection; what happens per packet is the transports'.

    Source: CPython Lib/asyncio/base_events.py, selector_events.py, unix_events.py
    """

    _children: _children.Children | None

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
        _streams.adopt(protocol, self)
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
        _streams.adopt(protocol, self)
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

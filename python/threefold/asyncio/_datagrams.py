"""The datagram transport: the standard library's own, with its packets received and sent by the engine."""

import contextvars
import socket
from asyncio import constants, selector_events, transports
from asyncio.log import logger
from typing import Any

from threefold import _threefold

# Private there, and no stub has it.
_StandardTransport: Any = selector_events._SelectorDatagramTransport  # type: ignore[attr-defined]


class _NamelessPeer:
    """A connected socket whose peer has no name: what goes to nobody in particular goes there."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendto(self, data: Any, address: Any) -> int:
        """Send a datagram to the peer."""
        return int(self._sock.send(data) if address is None else self._sock.sendto(data, address))


class DatagramTransport(_StandardTransport, transports.DatagramTransport):  # type: ignore[misc]
    """A transport for datagrams.

    Differs from the standard library:
        The protocol hears of the end in the endpoint's context, and not in that of the caller of `close`.
        What is sent after the end is dropped with a warning, however late.
        One end of a `socketpair` can send to the other, which has no name.

    Source: CPython Lib/asyncio/selector_events.py, _SelectorDatagramTransport
    """

    __slots__ = ("_end", "_protocol_context", "_takes_batches")

    _end: _threefold.DatagramEnd
    # Of the standard transport, which is private.
    _sock: Any

    def __init__(self, loop: Any, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None):
        """Serve a socket, as the standard library's transport does."""
        # Until the socket is known: `set_protocol` is called before.
        self._end = None  # type: ignore[assignment]
        self._protocol_context = contextvars.copy_context()
        super().__init__(loop, sock, protocol, address, waiter, extra)  # type: ignore[call-arg]
        is_connected = bool(self._extra["peername"])
        if not is_connected and self._extra["peername"] is not None:
            # The peer has no name, as in a `socketpair`: the standard transport would ask for one.
            self._sock = _NamelessPeer(sock)
            is_connected = True
        is_ipv6 = sock.family == socket.AF_INET6
        self._takes_batches = (is_ipv6 or sock.family == socket.AF_INET) and sock.type == socket.SOCK_DGRAM
        self._end = _threefold.DatagramEnd(loop, self._sock_fd, is_ipv6, is_connected)
        self._end.set_receiver(protocol.datagram_received)
        self._settle()

    def _settle(self) -> None:
        # An address without a connection is compared with each datagram's: that is the complete method's.
        has_other_address = self._address and not self._extra["peername"]
        self._end.set_open(not (self._buffer or self._closing or has_other_address))

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram, or queue it."""
        if self._sock is None and isinstance(data, (bytes, bytearray, memoryview)):
            self._conn_lost += 1
            if self._conn_lost >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("socket.send() raised exception.")
            return
        try:
            super().sendto(data, addr)
        finally:
            if self._sock is not None:
                self._settle()

    def _sendto_ready(self) -> None:
        try:
            super()._sendto_ready()
        finally:
            self._settle()

    def _note_error(self, error: OSError) -> None:
        if self._protocol is not None:
            self._protocol.error_received(error)

    def _add_reader(self, fd: int, callback: Any, *args: Any) -> None:
        if self._closing or getattr(self, "_paused", False):
            return
        if self._takes_batches:
            self._end.listen(self._loop._add_reader(fd, self._end._read_ready), self._note_error)
        else:
            super()._add_reader(fd, callback, *args)

    def _hand_over_kept(self) -> None:
        while not self._conn_lost and not getattr(self, "_paused", False) and (kept := self._end.take_kept()):
            self._protocol.datagram_received(*kept)

    def pause_reading(self) -> None:
        """Pause the receiving end."""
        super().pause_reading()
        self._end.pause()

    def resume_reading(self) -> None:
        """Resume the receiving end."""
        super().resume_reading()
        self._loop.call_soon(self._hand_over_kept)

    def set_protocol(self, protocol: Any) -> None:
        """Set the protocol that gets the datagrams from now on."""
        super().set_protocol(protocol)
        if self._end is not None:
            self._end.set_receiver(protocol.datagram_received)

    def close(self) -> None:
        """Close the transport when what is queued has been sent."""
        self._protocol_context.copy().run(super().close)
        self._end.pause()
        self._end.set_open(False)

    def _force_close(self, exc: BaseException | None) -> None:
        self._protocol_context.copy().run(super()._force_close, exc)
        self._end.pause()
        self._end.set_open(False)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            super()._call_connection_lost(exc)
        finally:
            self._end.set_receiver(None)


_threefold.install_datagrams(DatagramTransport)

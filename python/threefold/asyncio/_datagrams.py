"""The datagram transport: the standard library's own, with its packets received and sent by the engine."""

import socket
from asyncio import selector_events, transports
from typing import Any

from threefold import _threefold

# Private there, and no stub has it.
_StandardTransport: Any = selector_events._SelectorDatagramTransport  # type: ignore[attr-defined]


class DatagramTransport(_StandardTransport, transports.DatagramTransport):  # type: ignore[misc]
    """A transport for datagrams.

    Source: CPython Lib/asyncio/selector_events.py, _SelectorDatagramTransport
    """

    __slots__ = ("_end", "_takes_batches")

    _end: _threefold.DatagramEnd

    def __init__(self, loop: Any, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None):
        """Serve a socket, as the standard library's transport does."""
        # Until the socket is known: `set_protocol` is called before.
        self._end = None  # type: ignore[assignment]
        super().__init__(loop, sock, protocol, address, waiter, extra)  # type: ignore[call-arg]
        is_ipv6 = sock.family == socket.AF_INET6
        self._takes_batches = (is_ipv6 or sock.family == socket.AF_INET) and sock.type == socket.SOCK_DGRAM
        self._end = _threefold.DatagramEnd(loop, self._sock_fd, is_ipv6, bool(self._extra["peername"]))
        self._end.set_receiver(protocol.datagram_received)
        self._settle()

    def _settle(self) -> None:
        # An address without a connection is compared with each datagram's: that is the complete method's.
        has_other_address = self._address and not self._extra["peername"]
        self._end.set_open(not (self._buffer or self._closing or has_other_address))

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram, or queue it."""
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
        super().close()
        self._end.pause()
        self._end.set_open(False)

    def _force_close(self, exc: BaseException | None) -> None:
        super()._force_close(exc)
        self._end.pause()
        self._end.set_open(False)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        try:
            super()._call_connection_lost(exc)
        finally:
            self._end.set_receiver(None)


_threefold.install_datagrams(DatagramTransport)

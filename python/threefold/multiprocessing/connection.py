"""Connections on the engine: `multiprocessing.connection` with our `Connection` and `Pipe`."""

import os
import socket
from multiprocessing import connection as _standard
from multiprocessing import context, reduction
from typing import Any

from threefold._threefold import (
    connection_poll,
    connection_receive,
    connection_receive_bytes,
    connection_receive_into,
    connection_send,
    connection_send_bytes,
)

__all__ = ["Client", "Listener", "Pipe", "wait"]

Client = _standard.Client
Listener = _standard.Listener
wait = _standard.wait

_Standard: Any = _standard.Connection


class Connection(_Standard):  # type: ignore[misc]
    """A stream of messages over a descriptor, in the standard library's format.

    A message leaves by one system call, and the interpreter goes on with other threads while one is waited for.

    Differs from the standard library: a descriptor that does not block is waited for all the same, and a wait ends with
    OSError when another thread closes the connection.

    Source: CPython Lib/multiprocessing/connection.py, Connection.
    """

    def send(self, obj: Any) -> None:
        """Pickle an object and send it.

        Raises:
            OSError: the connection is closed, at this end or the other, or is not for sending.
        """
        connection_send(self, obj)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """Send bytes as one message.

        Args:
            buf: an object with contiguous memory.
            offset: where in it to begin, in bytes.
            size: how many bytes to send; None means to the end.

        Raises:
            OSError: as for `send`.
            ValueError: the buffer does not have these bytes.
        """
        self._check_closed()
        self._check_writable()
        view = memoryview(buf)
        if view.itemsize > 1:
            view = view.cast("B")
        if offset < 0:
            raise ValueError("offset is negative")
        if view.nbytes < offset:
            raise ValueError("buffer length < offset")
        if size is None:
            size = view.nbytes - offset
        elif size < 0:
            raise ValueError("size is negative")
        elif offset + size > view.nbytes:
            raise ValueError("buffer length < offset + size")
        self._send_bytes(view[offset : offset + size])

    def recv(self) -> Any:
        """Take the next object; wait for it if there is none.

        Raises:
            EOFError: there is none, and the other end is closed.
            OSError: the connection is closed or is not for receiving.
        """
        return connection_receive(self)

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Take the bytes of the next message; wait for it if there is none.

        Args:
            maxlength: the most bytes that it may have.

        Raises:
            EOFError: there is none, and the other end is closed.
            OSError: the message is longer, after which nothing can be received; or as for `recv`.
        """
        return connection_receive_bytes(self, maxlength)

    def recv_bytes_into(self, buf: Any, offset: int = 0) -> int:
        """Take the next message into a buffer.

        Args:
            buf: an object with contiguous, writable memory.
            offset: where in it to begin, in bytes.

        Returns:
            How many bytes the message has.

        Raises:
            BufferTooShort: the message, which is the exception's argument, does not fit.
            EOFError: there is none, and the other end is closed.
            OSError: as for `recv`.
        """
        self._check_closed()
        self._check_readable()
        with memoryview(buf) as view, view.cast("B") as view_of_bytes:
            if offset < 0:
                raise ValueError("negative offset")
            if offset > view_of_bytes.nbytes:
                raise ValueError("offset too large")
            size, message = connection_receive_into(self, view_of_bytes, offset)
        if message is not None:
            raise context.BufferTooShort(message)
        return size

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Return whether there is something to receive, or nothing more will come.

        Args:
            timeout: seconds to wait for it at most; None waits for ever.
        """
        return connection_poll(self, timeout)

    # For the standard library's own code, and for classes derived from its Connection.
    def _send_bytes(self, buf: Any) -> None:
        connection_send_bytes(self, buf)

    def _poll(self, timeout: float | None) -> bool:
        return connection_poll(self, timeout)


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - the standard library's name
    """Return the two ends of a connection.

    Args:
        duplex: whether both ends can send and receive; else the first one receives and the second one sends.

    Source: CPython Lib/multiprocessing/connection.py, Pipe.
    """
    if duplex:
        here, there = socket.socketpair()
        return Connection(here.detach()), Connection(there.detach())
    reader, writer = os.pipe()
    return Connection(reader, writable=False), Connection(writer, readable=False)


def _find(descriptor: Any, readable: bool, writable: bool) -> Connection:
    return Connection(descriptor.detach(), readable, writable)


def _reduce(connection: Connection) -> tuple[Any, ...]:
    return _find, (reduction.DupFd(connection.fileno()), connection.readable, connection.writable)


reduction.register(Connection, _reduce)


def __getattr__(name: str) -> Any:
    """Find the standard module's other names."""
    return getattr(_standard, name)

"""The pipe by which signals reach a loop: the interpreter writes a signal's number into it, and the loop reads it.

The standard library has a pair of sockets there. It holds 278 numbers; in a storm of signals the others are lost, and with them
perhaps the only one of its kind. A pipe holds 65,536.
"""

from __future__ import annotations

import os


class End:
    """One end of a pipe, with as much of a socket as the standard library's loop uses.

    Args:
        descriptor: the end's descriptor, which is this object's from now on.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor, -1 when it is closed."""
        return self._descriptor

    def recv(self, size: int) -> bytes:
        """Read at most `size` bytes.

        Raises:
            BlockingIOError: there are none.
        """
        return os.read(self._descriptor, size)

    def close(self) -> None:
        """Close the descriptor, once."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


def make() -> tuple[End, End]:
    """Return the ends to read from and to write to; neither blocks."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    return End(reader), End(writer)

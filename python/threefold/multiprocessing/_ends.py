"""What programs that know the standard queue's pipe find in its place: ends that receive and send through the queue."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable
from typing import Any

from threefold._threefold import SharedQueue
from threefold.multiprocessing._pickle import dump_whole

# How often `poll` looks: the engine waits to take an object, not for there to be one.
_LOOKS_PER_SECOND = 200


class _End:
    def __init__(self, shared: SharedQueue | None, is_closed: Callable[[], bool]) -> None:
        self._shared = shared
        self._is_closed = is_closed

    @property
    def closed(self) -> bool:
        """Whether the queue is closed in this process."""
        return self._is_closed()

    def close(self) -> None:
        """Do nothing: the queue itself is closed."""

    def fileno(self) -> int:
        """Refuse: a queue in shared memory has no descriptor that becomes ready.

        Raises:
            UnsupportedOperation: always; it is an OSError.
        """
        raise io.UnsupportedOperation(
            "a queue of threefold has no pipe to wait for; wait with queue.get(timeout=...), or use a Pipe"
        )

    def _queue(self) -> SharedQueue:
        if self._shared is None:
            raise OSError("handle is closed")
        return self._shared


class Reader(_End):
    """The end of a queue that is read from.

    Args:
        shared: the queue; None if it is closed.
        is_closed: tells whether the queue was closed.
    """

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Return whether there is an object to take.

        Args:
            timeout: seconds to wait for one at most; None waits for ever.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._queue().qsize():
            left = 1.0 if end is None else end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, 1 / _LOOKS_PER_SECOND))
        return True

    def recv(self) -> Any:
        """Take the first object; wait for it if there is none."""
        return self._queue().get()

    def recv_bytes(self) -> bytes:
        """Take the first object and return its pickle."""
        return dump_whole(self.recv())


class Writer(_End):
    """The end of a queue that is written to; its arguments are those of Reader."""

    def send(self, obj: Any) -> None:
        """Put an object; raises what pickling it raises."""
        outcome = self._queue().put(obj)
        if isinstance(outcome, BaseException):
            raise outcome

    def send_bytes(self, buf: Any) -> None:
        """Put the object of a pickle."""
        self.send(pickle.loads(buf))

"""The standard library's queues on the Rust engine: every name of `queue`, for threads and tasks alike."""

import sys
from queue import Empty, Full

from threefold._queue_hooks import attach as _attach
from threefold._threefold import LifoQueue, PriorityQueue, Queue, SimpleQueue

__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]

if sys.version_info >= (3, 13):
    from queue import ShutDown
else:

    class ShutDown(Exception):  # noqa: N818 - the standard library's name
        """Raised by `put()` and `get()` of a queue that was shut down.

        Differs from the standard library: there it exists from Python 3.13 on, and is the very same object then.
        """


_attach(Queue, LifoQueue, PriorityQueue)

# What type checkers see of `threefold.queue`: the standard exceptions, the engine's queues.

import sys
from queue import Empty as Empty
from queue import Full as Full

from threefold._threefold import (
    LifoQueue as LifoQueue,
)
from threefold._threefold import (
    PriorityQueue as PriorityQueue,
)
from threefold._threefold import (
    Queue as Queue,
)
from threefold._threefold import (
    SimpleQueue as SimpleQueue,
)

if sys.version_info >= (3, 13):
    from queue import ShutDown as ShutDown
else:
    class ShutDown(Exception): ...

__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]

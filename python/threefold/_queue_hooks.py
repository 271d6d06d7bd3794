"""What the queue classes' own `_init`, `_put` and `_get` do to the visible `queue` attribute, for each of the three kinds."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def init_fifo(owner: Any, _maxsize: int) -> None:
    """Give the owner an empty first-in, first-out store."""
    owner.queue = deque()


def put_fifo(owner: Any, item: Any) -> None:
    """Store an item at the end."""
    owner.queue.append(item)


def get_fifo(owner: Any) -> Any:
    """Take the oldest item."""
    return owner.queue.popleft()


def init_lifo(owner: Any, _maxsize: int) -> None:
    """Give the owner an empty last-in, first-out store."""
    owner.queue = []


def put_lifo(owner: Any, item: Any) -> None:
    """Store an item on top."""
    owner.queue.append(item)


def get_lifo(owner: Any) -> Any:
    """Take the newest item."""
    return owner.queue.pop()


def init_priority(owner: Any, _maxsize: int) -> None:
    """Give the owner an empty heap."""
    owner.queue = []


def put_priority(owner: Any, item: Any) -> None:
    """Store an item at its rank."""
    heappush(owner.queue, item)


def get_priority(owner: Any) -> Any:
    """Take the lowest item."""
    return heappop(owner.queue)


def qsize(owner: Any) -> int:
    """Count the items."""
    return len(owner.queue)


def _visible(name: str) -> property:
    """Return a property that leads to the same attribute of the compatible queue."""

    def read(owner: Any) -> Any:
        return getattr(owner._compatible(), name)

    def write(owner: Any, value: Any) -> None:
        setattr(owner._compatible(), name, value)

    return property(read, write, doc="Turns the queue into the slower, fully visible one.")


def attach(fifo: type, lifo: type, priority: type) -> None:
    """Give the native classes the hooks and the visible parts that programs may override and touch.

    Args:
        fifo: the first-in, first-out class, base of the other two.
        lifo: the last-in, first-out class.
        priority: the class that yields the lowest item first.
    """
    kinds = (
        (fifo, init_fifo, put_fifo, get_fifo),
        (lifo, init_lifo, put_lifo, get_lifo),
        (priority, init_priority, put_priority, get_priority),
    )
    for kind, init, put, get in kinds:
        for name, hook in (("_init", init), ("_put", put), ("_get", get)):
            setattr(kind, name, hook)
    setattr(fifo, "_qsize", qsize)  # noqa: B010 - an assignment to a native class that type checkers know better
    for part in ("queue", "mutex", "not_empty", "not_full", "all_tasks_done"):
        setattr(fifo, part, _visible(part))

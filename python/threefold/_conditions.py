"""Waiting for a predicate on a condition, in a task."""

from __future__ import annotations

from time import monotonic

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from threefold._threefold import Wait

    class _Condition(Protocol):
        """A condition of either kind."""

        def wait_async(self, timeout: float | None = None) -> Wait[bool]: ...


async def wait_for_async(condition: _Condition, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
    """Wait until the predicate is true, looking at it at each notification.

    Args:
        condition: whose lock the task holds.
        predicate: its result is taken as a truth value.
        timeout: seconds to wait at most; None waits for ever.

    Returns:
        What the predicate returned last.

    Raises:
        RuntimeError: the task does not hold the lock.
    """
    deadline = None if timeout is None else monotonic() + timeout
    result = predicate()
    while not result:
        left = None if deadline is None else deadline - monotonic()
        if left is not None and left <= 0:
            break
        await condition.wait_async(left)
        result = predicate()
    return result

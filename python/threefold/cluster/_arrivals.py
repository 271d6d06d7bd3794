"""Waiting for chunks that an engine reports as over from threads of its own."""

from collections.abc import Collection
from typing import Any

from threefold.threading import Condition


class Arrivals:
    """Collects what has happened, for one thread that waits."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._over: set[Any] = set()
        self._has_news = False

    def add(self, handle: Any) -> None:
        """Say that a chunk is over."""
        with self._condition:
            self._over.add(handle)
            self._condition.notify_all()

    def wake(self) -> None:
        """Have the wait that is under way, or else the next one, return at once."""
        with self._condition:
            self._has_news = True
            self._condition.notify_all()

    def wait(self, handles: Collection[Any], timeout: float | None) -> list[Any]:
        """Wait until a chunk is over or somebody wakes this, and return those of the chunks that are over.

        Args:
            handles: the chunks of interest; a view that changes in the meantime is looked at anew.
            timeout: seconds; None waits for ever.
        """
        found: list[Any] = []

        def is_over() -> bool:
            found[:] = [handle for handle in self._over if handle in handles]
            return bool(found) or self._has_news

        with self._condition:
            self._condition.wait_for(is_over, timeout)
            self._has_news = False
            self._over.difference_update(found)
        return found

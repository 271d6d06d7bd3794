"""Finds the workers that take more memory than they may while they are at a task: between two they look by themselves."""

from __future__ import annotations

import os
import time

# Who has too much at two looks, so long apart, has it for more than a moment; seconds.
PERIOD_S = 1.0

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class MemoryWatch:
    """Looks at the resident memory of a pool's processes now and then.

    Args:
        limit_bytes: how much each may have.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._pids: dict[int, int] = {}
        self._suspects: set[int] = set()
        self._next_look = time.monotonic() + PERIOD_S

    def add(self, number: int, pid: int) -> None:
        """Watch a process from its start on, unless it has too much already: what it was forked with is not of its doing."""
        if _resident_bytes(pid) <= self._limit_bytes:
            self._pids[number] = pid

    def remove(self, number: int) -> None:
        """Look no more at a process, which has ended."""
        self._pids.pop(number, None)

    def patience(self) -> float:
        """Return in how many seconds it is time for a look."""
        return max(0.0, self._next_look - time.monotonic())

    def look(self) -> list[int]:
        """Return the numbers of the processes that have too much now and had at the look before, if it is time for a look."""
        now = time.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + PERIOD_S
        before = self._suspects
        self._suspects = {number for number, pid in self._pids.items() if _resident_bytes(pid) > self._limit_bytes}
        return sorted(before & self._suspects)


def _resident_bytes(pid: int) -> int:
    """Return how much memory a process has, in bytes; 0 if that cannot be known."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0

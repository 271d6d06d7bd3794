"""What a pool's arguments must be; each refusal is the standard library's where it has one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def worker_count(processes: int | None) -> int:
    """Return how many processes a pool has.

    Raises:
        ValueError: it would be none.
    """
    if processes is None:
        processes = usable_processors()
    if processes < 1:
        raise ValueError("Number of processes must be at least 1")
    return processes


def usable_processors() -> int:
    """Return how many processors there are for this process, as the running Python counts them for pools."""
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def pool_options(
    initializer: Callable[..., object] | None, maxtasksperchild: int | None, max_memory_per_worker: int | None
) -> None:
    """Check the options of a pool.

    Raises:
        TypeError: the initializer cannot be called.
        ValueError: a limit is no positive number.
    """
    if not _is_positive_or_none(maxtasksperchild):
        raise ValueError("maxtasksperchild must be a positive int or None")
    max_memory(max_memory_per_worker)
    if initializer is not None and not callable(initializer):
        raise TypeError("initializer must be a callable")


def max_memory(size_bytes: int | None) -> None:
    """Check the memory that a worker may have.

    Raises:
        ValueError: it is no positive number of bytes.
    """
    if not _is_positive_or_none(size_bytes):
        raise ValueError("max_memory_per_worker must be a positive number of bytes or None")


def limits(timeout: float | None, retries: int) -> None:
    """Check the limits of a call.

    Raises:
        TypeError: one is no number.
        ValueError: the time is not positive, or the count is negative.
    """
    if timeout is not None and not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout must be positive, not {timeout!r}")
    if not isinstance(retries, int):
        raise TypeError(f"retries must be an int, not {retries!r}")
    if retries < 0:
        raise ValueError(f"retries must not be negative, not {retries!r}")


def map_limits(extras: dict[str, Any]) -> dict[str, Any]:
    """Check and return the limits among the extras of a map."""
    timeout, retries = extras["timeout"], extras["retries"]
    limits(timeout, retries)
    return {"timeout": timeout, "retries": retries}


def chunksize(size: int | None, item_count: int, workers: int, limits: dict[str, Any]) -> int:
    """Return how many items make a chunk.

    Args:
        size: what was asked for; None means four chunks for each worker, and where calls have a time limit chunks of one.
        item_count: how many items there are.
        workers: how many workers there are.
        limits: the limits of the map.

    Raises:
        ValueError: it would be none.
    """
    if size is None:
        if limits["timeout"] is not None:
            return 1
        return max(1, -(-item_count // (workers * 4)))
    if size < 1:
        raise ValueError(f"Chunksize must be 1+, not {size!r}")
    return size


def read_ahead(buffersize: int | None, chunksize: int) -> int | None:
    """Return how many chunks of a source are read ahead; None leaves it to the engine.

    Raises:
        TypeError: the size is no number.
        ValueError: it is not positive.
    """
    if buffersize is None:
        return None
    if not isinstance(buffersize, int):
        raise TypeError("buffersize must be an integer or None")
    if buffersize < 1:
        raise ValueError("buffersize must be None or > 0")
    return -(-buffersize // chunksize)


def materialized(iterable: Iterable[Any]) -> tuple[Sequence[Any], Exception | None]:
    """Return the items of a map; and what their source raised, where the standard library leaves that to the result."""
    if isinstance(iterable, (list, tuple, range)):
        return iterable, None
    if not hasattr(iterable, "__len__"):
        return list(iterable), None
    try:
        return list(iterable), None
    except Exception as error:  # noqa: BLE001 - whatever it raises
        return (), error


def _is_positive_or_none(number: object) -> bool:
    return number is None or (isinstance(number, int) and number > 0)

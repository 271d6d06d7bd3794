"""Reads the source of a map that is no sequence, as far ahead as its pool wants, on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from threefold._thread import Thread
from threefold._threefold import SimpleQueue

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def start(dispatcher: Any, number: int, source: Iterable[Any], chunksize: int, head: Sequence[Any] = ()) -> None:
    """Begin to read `source` in chunks of `chunksize` items for the map `number`.

    Args:
        dispatcher: what the chunks are added to.
        number: which map they are of.
        source: the items.
        chunksize: how many make a chunk.
        head: items before those of the source, whole chunks and no more than are wanted at first: they are added at once.
    """
    for first in range(0, len(head), chunksize):
        dispatcher.add_chunk(number, head[first : first + chunksize])
    wanted: SimpleQueue[int | None] = SimpleQueue()
    dispatcher.set_reader(number, wanted)
    arguments = (dispatcher, number, source, chunksize, wanted, len(head) // chunksize)
    Thread(target=_read, args=arguments, name="threefold imap", daemon=True).start()


def _read(dispatcher: Any, number: int, source: Iterable[Any], chunksize: int, wanted: Any, added_count: int) -> None:
    try:
        items = iter(source)
        while (chunk_count := wanted.get()) is not None:
            # What was added without being asked for is asked for all the same.
            added_count, skipped_count = 0, added_count
            for _ in range(chunk_count - skipped_count):
                chunk = list(islice(items, chunksize))
                if not chunk:
                    dispatcher.end_source(number, None)
                    return
                # The map may be over: its pool was terminated.
                if not dispatcher.add_chunk(number, chunk):
                    return
    except BaseException as error:  # noqa: BLE001 - whatever the source raises is the map's next result
        dispatcher.end_source(number, error)

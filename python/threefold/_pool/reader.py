"""Reads the source of a map that is no sequence, as far ahead as its pool wants, on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from threefold._thread import Thread
from threefold._threefold import SimpleQueue

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def start(dispatcher: Any, number: int, source: Iterable[Any], chunksize: int) -> None:
    """Begin to read `source` in chunks of `chunksize` items for the map `number`."""
    wanted: SimpleQueue[int | None] = SimpleQueue()
    dispatcher.set_reader(number, wanted)
    Thread(
        target=_read, args=(dispatcher, number, source, chunksize, wanted), name="threefold imap", daemon=True
    ).start()


def _read(dispatcher: Any, number: int, source: Iterable[Any], chunksize: int, wanted: Any) -> None:
    try:
        items = iter(source)
        while (chunk_count := wanted.get()) is not None:
            for _ in range(chunk_count):
                chunk = list(islice(items, chunksize))
                if not chunk:
                    dispatcher.end_source(number, None)
                    return
                # The map may be over: its pool was terminated.
                if not dispatcher.add_chunk(number, chunk):
                    return
    except BaseException as error:  # noqa: BLE001 - whatever the source raises is the map's next result
        dispatcher.end_source(number, error)

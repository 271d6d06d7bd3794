"""What `imap` returns: the results of a map as they come, for threads and for tasks.

```
 engine's thread ── _add, _end_map ──► Stream: a queue of chunks ──► IMapIterator: the items of one chunk ──► whoever asks
        ▲                                                                  │
        └────────────────────────────── took, leave ◄──────────────────────┘
```

The engine holds the stream, and the stream the pool, until the map ends. Nobody but its user holds the iterator: so it is
noticed when nobody can ask for results any more.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from multiprocessing import TimeoutError
from multiprocessing import pool as _standard
from queue import Empty

from threefold._threefold import SimpleQueue

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from threefold._pool.progress import Progress

_next_number = count().__next__


class _Last:
    """The last item of a chunk: who takes it is through with the chunk."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Stream:
    """The chunks of a map's results that nobody has taken yet.

    Args:
        pool: the pool that makes the calls; None if there is nobody to be kept alive.
        line: where to write how far the map is, or None.
    """

    def __init__(self, pool: Any, line: Progress | None = None) -> None:
        self.chunks: SimpleQueue[tuple[bool | None, Any]] = SimpleQueue()
        self._pool = pool
        self._line = line
        self._job = _next_number()
        if pool is not None:
            pool._cache[self._job] = self

    def join_line(self) -> None:
        """Wait until it was written for the last time how far the map is."""
        if self._line is not None:
            self._line.join()

    def _add(self, success: bool, value: Any, count: int) -> None:
        """Take the next chunk's list of results, or its exception; on the engine's thread."""
        self.chunks.put((success, value))
        if self._line is not None:
            self._line.advance(count)

    def _end_map(self, error: BaseException | None) -> None:
        """Take the word that no more will come; on the engine's thread."""
        self.chunks.put((None, error))
        if self._line is not None:
            self._line.finish()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool._cache.pop(self._job, None)


class IMapIterator(_standard.IMapIterator):  # type: ignore[type-arg]
    """The results of a map, one after another: an iterator for threads and, with `async for`, for tasks.

    Several threads and tasks may take from it; each result goes to one of them.

    Args:
        pool: the pool that makes the calls.
        line: where to write how far the map is, or None.

    Differs from the standard library: it is of this class for every chunk size; `next()` goes on after a chunk that
    failed.

    Source: CPython Lib/multiprocessing/pool.py, IMapIterator.
    """

    def __init__(self, pool: Any, line: Progress | None = None) -> None:
        self._supervisor = pool._supervisor
        self._map: int | None = None
        self._stream = Stream(pool, line)
        self._chunks = self._stream.chunks
        self._items: deque[Any] = deque()

    def __iter__(self) -> Self:
        return self

    def next(self, timeout: float | None = None) -> Any:
        """Return the next result, or raise what the call raised.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            StopIteration: there is no more.
            TimeoutError: of `multiprocessing`; there was none in time.
        """
        try:
            while True:
                # No wait within the handler: what is raised meanwhile would carry the deque's error along.
                try:
                    item = self._items.popleft()
                except IndexError:
                    pass
                else:
                    return self._finish(item) if type(item) is _Last else item
                chunk = self._chunks.get() if timeout is None else self._next_chunk(timeout)
                success, value = chunk
                if success and len(value) == 1:
                    self._took()
                    return value[0]
                if not self._take(chunk):
                    self._stream.join_line()
                    raise StopIteration
        finally:
            # The traceback of an exception holds this frame, and this the exception.
            self = item = chunk = value = None  # noqa: PLW0642

    __next__ = next  # noqa: A003 - the method, as in the standard library

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                item = self._items.popleft()
            except IndexError:
                pass
            else:
                return self._finish(item) if type(item) is _Last else item
            if not self._take(await self._chunks.get_async()):
                raise StopAsyncIteration

    def close(self) -> None:
        """Take no more results; calls that have not begun are not made."""
        if self._map is not None:
            self._supervisor.leave(self._map, cancel=True)
            self._stream._end_map(None)

    def __del__(self) -> None:
        # What nobody takes the results of is done all the same, for its effects.
        if getattr(self, "_map", None) is not None:
            self._supervisor.leave(self._map, cancel=False)

    def _next_chunk(self, timeout: float) -> tuple[bool | None, Any]:
        try:
            return self._chunks.get(timeout=max(timeout, 0))
        except Empty:
            raise TimeoutError from None

    def _take(self, chunk: tuple[bool | None, Any]) -> bool:
        """Keep the items of a chunk; False if it is the end. Raises what a chunk has raised."""
        success, value = chunk
        if success is None:
            # For whoever else waits; an error is told once.
            self._chunks.put((None, None))
            self._map = None
            if value is not None:
                raise value
            return bool(self._items)
        if not success:
            self._took()
            raise value
        if self._map is not None:
            # It may stop within the chunk.
            self._supervisor.reads(self._map)
        last = _Last(value.pop())
        self._items.extend(value)
        self._items.append(last)
        return True

    def _finish(self, last: _Last) -> Any:
        self._took()
        return last.value

    def _took(self) -> None:
        if self._map is not None:
            self._supervisor.took(self._map)


class IMapUnorderedIterator(IMapIterator, _standard.IMapUnorderedIterator):  # type: ignore[type-arg]
    """The same, in the order in which the calls are over.

    Source: CPython Lib/multiprocessing/pool.py, IMapUnorderedIterator.
    """

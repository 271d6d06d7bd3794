"""The methods of a pool that have a function called with many items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from threefold._pool import checks
from threefold._pool.results import MapResult
from threefold._pool.seam import Refused, without_our_frames

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from threefold._pool.progress import Progress
    from threefold._pool.streams import IMapIterator

    _Callback = Callable[[Any], object] | None


class PoolMaps:
    """What `Pool` does with many items; the pool itself is the rest of the class.

    Source: CPython Lib/multiprocessing/pool.py, Pool.
    """

    _supervisor: Any
    _processes: int
    _check_running: Callable[[], None]
    _refuse: Callable[[Any, Refused], NoReturn]

    def map(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: bool = False,
    ) -> list[Any]:
        """Have `func` called with each item, and return the list of the results.

        Args:
            func: what to call.
            iterable: the items.
            chunksize: items that a process gets at once; None means a quarter of its share, or 1 where there is a timeout.
            timeout: seconds that a chunk may take before its process is ended; None means any time.
            retries: how often a chunk is done again after its process has died.
            progress: whether to write on a terminal how far it is.

        Raises:
            Exception: the first one, in time, that a call raised; when all calls are over.
        """
        results: list[Any] = self.map_async(func, iterable, chunksize, **_extras(timeout, retries, progress)).get()
        return results

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: _Callback = None,
        error_callback: _Callback = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: bool = False,
    ) -> MapResult:
        """Begin what `map` does; `callback` and `error_callback` as of `apply_async`."""
        return self._collect(
            func, iterable, False, chunksize, (callback, error_callback), _extras(timeout, retries, progress)
        )

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: bool = False,
    ) -> list[Any]:
        """Do what `map` does with items that are the positional arguments of a call."""
        results: list[Any] = self.starmap_async(func, iterable, chunksize, **_extras(timeout, retries, progress)).get()
        return results

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: _Callback = None,
        error_callback: _Callback = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: bool = False,
    ) -> MapResult:
        """Begin what `starmap` does; `callback` and `error_callback` as of `apply_async`."""
        return self._collect(
            func, iterable, True, chunksize, (callback, error_callback), _extras(timeout, retries, progress)
        )

    def imap(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        progress: bool = False,
    ) -> IMapIterator:
        """Have `func` called with each item, and return an iterator of the results, in the order of the items.

        Args:
            func: what to call.
            iterable: the items; it may be without an end, and is read by a thread if it is no sequence.
            chunksize: items that a process gets at once.
            buffersize: items that are read before their results are taken, rounded up to chunks; None means two chunks
                for each process.
            timeout: seconds that a chunk may take before its process is ended; None means any time.
            retries: how often a chunk is done again after its process has died.
            progress: whether to write on a terminal how far it is.
        """
        extras = _extras(timeout, retries, progress)
        from threefold._pool.streams import IMapIterator

        return self._stream(IMapIterator, "ordered", func, iterable, chunksize, buffersize, extras)

    def imap_unordered(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        progress: bool = False,
    ) -> IMapIterator:
        """Do what `imap` does, with the results in the order in which they come."""
        extras = _extras(timeout, retries, progress)
        from threefold._pool.streams import IMapUnorderedIterator

        return self._stream(IMapUnorderedIterator, "unordered", func, iterable, chunksize, buffersize, extras)

    # The iterators serve `async for`, too; these names say what is meant.
    imap_async = imap
    imap_unordered_async = imap_unordered

    def _collect(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        star: bool,
        chunksize: int | None,
        callbacks: tuple[_Callback, _Callback],
        extras: dict[str, Any],
    ) -> MapResult:
        self._check_running()
        limits = checks.map_limits(extras)
        items, error = checks.materialized(iterable)
        chunksize = checks.chunksize(chunksize, len(items), self._processes, limits)
        result = MapResult(self, chunksize, len(items) or (error is not None), *callbacks)
        if error is not None:
            result._end(False, error)
        elif items:
            if extras["progress"]:
                result._show_progress(_line(len(items)))
            delivery = {"delivery": "collected", "read_ahead": None, **limits}
            self._map(result, result._end, func, items, chunksize, star=star, **delivery)
        return result

    def _stream(
        self,
        kind: type[IMapIterator],
        delivery: str,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int,
        buffersize: int | None,
        extras: dict[str, Any],
    ) -> IMapIterator:
        self._check_running()
        limits = checks.map_limits(extras)
        read_ahead = checks.read_ahead(buffersize, checks.chunksize(chunksize, 0, 1, limits))
        total = len(iterable) if isinstance(iterable, Sequence) else None
        results = kind(self, _line(total) if extras["progress"] else None)

        def fail(_success: bool, error: BaseException) -> None:
            results._stream._add(False, error, 1)
            results._stream._end_map(None)

        options = {"star": False, "delivery": delivery, "read_ahead": read_ahead, **limits}
        results._map = self._map(results._stream, fail, func, iterable, chunksize, **options)
        return results

    def _map(
        self,
        ticket: Any,
        fail: Callable[[bool, BaseException], None],
        func: Callable[..., Any],
        items: Iterable[Any],
        chunksize: int,
        **options: Any,
    ) -> int | None:
        try:
            number: int = self._supervisor.map(ticket, func, items, chunksize, **options)
        except Refused as refused:
            self._refuse(ticket, refused)
        except Exception as error:  # noqa: BLE001 - what cannot be sent fails its calls, not the caller
            fail(False, without_our_frames(error))
            return None
        return number


def _line(total: int | None) -> Progress | None:
    from threefold._pool import progress

    return progress.start(total)


def _extras(timeout: float | None, retries: int, progress: bool) -> dict[str, Any]:
    return {"timeout": timeout, "retries": retries, "progress": progress}

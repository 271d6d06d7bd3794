"""The calls and maps of a pool on a cluster: their payloads, and what comes of them on its way to their owners."""

import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from threefold._pool.errors import PoolTerminated
from threefold._threefold import PoolScheduler
from threefold.cluster._work import Function, Job, Map, chunk_of


class Ledger:
    """Keeps the payload of each job and map under the scheduler's number, and does what is decided about them.

    Args:
        scheduler: the pool's.
        read_ahead: chunks of a stream that are read before their results are taken.
        forget: called with the key of a function that no further chunk needs.
    """

    def __init__(self, scheduler: PoolScheduler, read_ahead: int, forget: Callable[[int], None]) -> None:
        self.jobs: dict[int, Job] = {}
        self._maps: dict[int, Map] = {}
        self._scheduler = scheduler
        self._read_ahead = read_ahead
        self._forget = forget
        # What is added has its payload before anything is to be done with it: both happen under this lock.
        self._lock = threading.Lock()

    def next_action(self) -> tuple[str, int, int | None, str | None] | None:
        """Return what is to be done next, if anything."""
        with self._lock:
            return self._scheduler.next_action()

    def add_call(self, job: Job, retries: int) -> int:
        """Add a call; return its number."""
        with self._lock:
            number = self._scheduler.add_job(job.timeout, retries)
            self.jobs[number] = job
        return number

    def add_map(self, map: Map, read_ahead: int | None, retries: int) -> int:
        """Add a map; return its number."""
        with self._lock:
            number = self._scheduler.add_map(map.delivery, read_ahead or self._read_ahead, map.timeout, retries)
            self._maps[number] = map
            if isinstance(map.source, Sequence) and not map.source:
                self._scheduler.end_source(number, False)
        return number

    def took(self, map: int) -> None:
        """Say that the consumer is through with the next chunk of a map."""
        self.reads(map)
        with self._lock:
            self._scheduler.took(map)

    def reads(self, map: int) -> None:
        """Say that the consumer has begun to take a map's results."""
        with self._lock:
            if map in self._maps:
                self._maps[map].is_read = True

    def leave(self, map: int, cancel: bool) -> None:
        """Say that nobody takes a map's results any more."""
        with self._lock:
            if map in self._maps:
                self._maps[map].is_left = True
            self._scheduler.leave(map, cancel)

    def join(self) -> None:
        """Have the sources of half-read streams read no further, since nobody may come to take more."""
        with self._lock:
            cut = [number for number, map in self._maps.items() if map.is_read and map.next is None]
        self._scheduler.join(cut)

    def set_reader(self, map: int, wanted: Any) -> None:
        """Say who reads a map's source, and tell it how much was wanted by now."""
        with self._lock:
            found = self._maps.get(map)
            if found is not None:
                found.wanted = wanted
        # The pool may have been terminated in the meantime.
        wanted.put(None if found is None else found.wanted_count)

    def add_chunk(self, map: int, items: list[Any], start: int = 0) -> bool:
        """Add a chunk that was asked for; return whether the map still takes it."""
        with self._lock:
            number = self._scheduler.add_chunk(map)
            if number is not None:
                found = self._maps[map]
                mode: Literal["map", "star"] = "star" if found.star else "map"
                self.jobs[number] = Job(found.function, mode, items, found.timeout, map=map, start=start)
        return number is not None

    def end_source(self, map: int, error: BaseException | None) -> None:
        """Say that a map's source has no more, or that it raised."""
        with self._lock:
            number = self._scheduler.end_source(map, error is not None)
            if number is not None:
                job = self.jobs[number] = Job(self._maps[map].function, "map", [], None, map=map)
                job.settle(error, is_success=False)

    def pull(self, number: int, chunk_count: int) -> None:
        """Read some chunks of a map's source, or have its thread do so."""
        map = self._maps[number]
        if map.next is None or not isinstance(map.source, Sequence):
            with self._lock:
                wanted = map.wanted
                if wanted is None:
                    map.wanted_count += chunk_count
            if wanted is not None:
                wanted.put(chunk_count)
            return
        for _ in range(chunk_count):
            start = map.next
            items = chunk_of(map.source, start, map.chunksize)
            map.next += len(items)
            is_taken = bool(items) and self.add_chunk(number, items, start)
            if not is_taken or map.next >= len(map.source):
                self.end_source(number, None)
                return

    def resolve(self, number: int, outcome: str) -> None:
        """A job is over."""
        job = self.jobs[number]
        if outcome not in ("returned", "raised") or not job.is_over:
            job.settle(job.error(outcome), is_success=False)
        map = None if job.map is None else self._maps[job.map]
        if map is None:
            tell(job.ticket._end, job.is_success, job.value[0] if job.is_success else job.value)
        elif map.delivery == "collected":
            self._collect(map, job)
        elif not map.is_left:
            # It is delivered in its turn.
            return
        del self.jobs[number]

    def _collect(self, map: Map, job: Job) -> None:
        if not job.is_success:
            map.failure = map.failure or job.value
        elif map.results is not None:
            map.results[job.start : job.start + len(job.value)] = job.value
        map.done_count += len(job.items)
        progress = getattr(map.ticket, "_progress", None)
        if progress is not None:
            tell(progress, map.done_count)

    def deliver(self, map: int, number: int) -> None:
        """A job is the next of its map for the consumer."""
        job = self.jobs.pop(number, None)
        if job is not None:
            tell(self._maps[map].ticket._add, job.is_success, job.value, len(job.items))

    def end_map(self, number: int, cause: str | None) -> None:
        """A map is over.

        Args:
            number: the map.
            cause: why before its time, if so.
        """
        with self._lock:
            map = self._maps.pop(number)
            for left in [left for left, job in self.jobs.items() if job.map == number]:
                del self.jobs[left]
        tell(self._forget, map.function.key)
        if map.wanted is not None:
            map.wanted.put(None)
        map.end(PoolTerminated() if cause else None, tell)

    def fail_all(self, error: Exception) -> None:
        """Tell all owners that nothing will come any more."""
        with self._lock:
            jobs, maps = list(self.jobs.values()), list(self._maps.values())
        for job in jobs:
            if job.ticket is not None:
                tell(job.ticket._end, False, error)
        for map in maps:
            map.failure = map.failure or error
            map.end(error, tell)


def source_of(source: Iterable[Any], delivery: str) -> tuple[Iterable[Any], list[Any] | None]:
    """Return what a map reads, and the list for its results if they are collected."""
    if delivery != "collected":
        return source, None
    sequence = source if isinstance(source, Sequence) else list(source)
    return sequence, [None] * len(sequence)


def new_map(ticket: Any, function: Function, source: Iterable[Any], **details: Any) -> Map:
    """Return a map that has not begun."""
    source, results = source_of(source, details["delivery"])
    return Map(ticket, function, source, next=0 if isinstance(source, Sequence) else None, results=results, **details)


def tell(method: Callable[..., object], *arguments: Any) -> None:
    """Call an owner's method; one owner's fault must not cost the others their results."""
    try:
        method(*arguments)
    except BaseException as error:  # noqa: BLE001 - reported, whatever it is
        if not sys.is_finalizing():
            arguments = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(arguments))

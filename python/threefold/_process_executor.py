"""`ProcessPoolExecutor` on the engine: the standard library's, whose pool survives its workers."""

from __future__ import annotations

import multiprocessing
import os
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future
from concurrent.futures import process as _standard
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from queue import Empty
from time import monotonic

from threefold._pool import checks
from threefold._pool.call_future import CallFuture
from threefold._pool.seam import LOCAL, Refused, open_supervisor, without_our_frames
from threefold._pool.streams import Stream
from threefold._pool.views import End, Processes
from threefold._threefold import RLock

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["BrokenProcessPool", "ProcessPoolExecutor"]

_executors: weakref.WeakSet[ProcessPoolExecutor] = weakref.WeakSet()
# Also those whose executors are gone: their calls are made before the interpreter ends.
_supervisors: weakref.WeakSet[Any] = weakref.WeakSet()
_is_exiting = False


class ProcessPoolExecutor(_standard.ProcessPoolExecutor):
    """A pool of processes that make calls; one that dies costs the one call that it was making.

    Args:
        max_workers: how many processes there are at most; None means one for each processor.
        mp_context: the `multiprocessing` context that starts them.
        initializer: what each process calls first; if it raises, the executor is broken.
        initargs: its arguments.
        max_tasks_per_child: calls after which a process is replaced; not with the start method "fork".
        max_memory_per_worker: bytes of resident memory after which a process is replaced, between two calls; in the middle of
            one it is killed if it has more for longer than a second or two.
        task_timeout: seconds that a call (of `map`: a chunk) may take before its process is ended.
        task_retries: how often a call is made again after its process has died.

    Differs from the standard library: the death of a process fails its call with `WorkerDied`, a `BrokenProcessPool`,
    and the executor goes on; processes end with their parent, however it ends.

    Source: CPython Lib/concurrent/futures/process.py, ProcessPoolExecutor.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        max_memory_per_worker: int | None = None,
        task_timeout: float | None = None,
        task_retries: int = 0,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self._max_workers = checks.usable_processors() if max_workers is None else max_workers
        self._mp_context = mp_context or multiprocessing.get_context(None if max_tasks_per_child is None else "spawn")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._is_forking = self._mp_context.get_start_method(allow_none=False) == "fork"
        _check_max_tasks(max_tasks_per_child, self._is_forking)
        checks.max_memory(max_memory_per_worker)
        checks.limits(task_timeout, task_retries)
        self._limits = {"timeout": task_timeout, "retries": task_retries}
        self._options = {
            "initializer": initializer,
            "initargs": initargs,
            "max_jobs_per_worker": max_tasks_per_child,
            "max_memory_per_worker": max_memory_per_worker,
            # Forking beside threads is not safe, so all processes are forked before there is one.
            "on_demand": not self._is_forking,
            "style": "executor",
        }
        self._begin_anew()
        _executors.add(self)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn(*args, **kwargs)` called by a process of the pool.

        Returns:
            Its future.

        Raises:
            RuntimeError: after `shutdown()`, or when the interpreter exits.
            BrokenProcessPool: no process can be had: the initializer raises, say.
        """
        with self._shutdown_lock:
            supervisor = self._open()
            number = self._queue_count
            self._queue_count = number + 1
            future = CallFuture(supervisor, self._pending_work_items, number)
            try:
                future._job = supervisor.call(future, fn, args, kwargs, **self._limits)
            except Refused as refused:
                del self._pending_work_items[number]
                self._refuse(refused)
            except Exception as error:  # noqa: BLE001 - what cannot be sent fails its call, not the caller
                future._end(False, without_our_frames(error))
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Have `fn` called with an item of each iterable at a time; return the results, in order, as they come.

        Args:
            fn: what to call.
            iterables: the arguments; as many calls are made as the shortest has items.
            timeout: seconds from now after which the iterator raises TimeoutError; None means never.
            chunksize: calls that a process gets at once.
            buffersize: chunks whose arguments are read before the results are taken, the first of them now and the others by
                a thread; None reads all now.

        Raises:
            ValueError: a size is not positive.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        read_ahead = checks.read_ahead(buffersize, 1)
        deadline = None if timeout is None else timeout + monotonic()
        source: Any = zip(*iterables, strict=False)
        head = list(source if read_ahead is None else islice(source, read_ahead * chunksize))
        stream = _Results(None)
        if read_ahead is None or len(head) < read_ahead * chunksize:
            source, head = head, []
            read_ahead = max(1, -(-len(source) // chunksize))
        else:
            source = stream.watch(source)
        with self._shutdown_lock:
            supervisor = self._open()
            map_number: int | None = None
            options = {"star": True, "delivery": "ordered", "read_ahead": read_ahead, "head": head, **self._limits}
            try:
                map_number = supervisor.map(stream, fn, source, chunksize, **options)
            except Refused as refused:
                self._refuse(refused)
            except Exception as error:  # noqa: BLE001 - what cannot be sent fails its calls, not the caller
                stream._add(False, without_our_frames(error), 1)
            else:
                self._queue_count += -(-len(source) // chunksize) if isinstance(source, Sized) else 1
                self._maps[map_number or 0] = stream
        return _results(supervisor, map_number, stream, deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and let the processes end when they have made those there are.

        Args:
            wait: whether to wait for that.
            cancel_futures: whether to cancel the calls that have not begun.
        """
        with self._shutdown_lock:
            self._shutdown_thread = True
            supervisor = self._supervisor
            if supervisor is None:
                return
            if cancel_futures:
                self._cancel_all()
            supervisor.close()
        if wait:
            supervisor.join()

    def terminate_workers(self) -> None:
        """End the processes with SIGTERM; calls that are not over raise `BrokenProcessPool`."""
        self._force_shutdown(operation="terminate")

    def kill_workers(self) -> None:
        """End the processes with SIGKILL; calls that are not over raise `BrokenProcessPool`."""
        self._force_shutdown(operation="kill")

    def _force_shutdown(self, operation: str) -> None:
        if operation not in ("terminate", "kill"):
            raise ValueError(f"Unsupported operation: {operation!r}")
        processes = [] if self._supervisor is None else self._supervisor.processes
        self.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            try:
                getattr(process, operation)()
            except (ValueError, ProcessLookupError):
                # It has just ended.
                continue
        if self._supervisor is not None:
            self._supervisor.terminate()

    @property
    def _broken(self) -> str | bool:
        """Why no process can be had, or False."""
        broken: str | bool = getattr(self._supervisor, "failure", False)
        return broken

    @property
    def _processes(self) -> Mapping[int | None, Any] | None:
        """The processes by their pids; a view."""
        return None if self._shutdown_thread else self._process_view

    @property
    def _executor_manager_thread(self) -> End | None:
        return None if self._shutdown_thread or self._supervisor is None else End(self._supervisor)

    @property
    def _call_queue(self) -> End | None:
        return self._executor_manager_thread

    def _begin_anew(self) -> None:
        """Set up what changes; in a forked child also, where there are none of the parent's processes."""
        self._supervisor: Any = None
        # Re-entrant: a call may be submitted by a signal handler or a `__del__` method while one is being submitted.
        self._shutdown_lock = RLock()
        self._shutdown_thread = False
        self._queue_count = 0
        self._pending_work_items: dict[int, CallFuture] = {}
        self._maps: weakref.WeakValueDictionary[int, Stream] = weakref.WeakValueDictionary()
        self._process_view = Processes()

    def _open(self) -> Any:
        """Return what has the calls made, if there may be more."""
        if self._shutdown_thread:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _is_exiting:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self._supervisor is None:
            supervisor = open_supervisor(LOCAL, self._mp_context, self._max_workers, self._options, {})
            self._supervisor = self._process_view.supervisor = supervisor
            _supervisors.add(supervisor)
            # The calls of an executor that nobody holds any more are made.
            weakref.finalize(self, _close, supervisor, os.getpid()).atexit = False
        return self._supervisor

    def _refuse(self, refused: Refused) -> NoReturn:
        if refused.is_broken:
            self._supervisor.failure = self._broken or refused.reason
        refused.raise_failure()
        if refused.is_broken:
            raise BrokenProcessPool(refused.reason) from None
        raise RuntimeError("cannot schedule new futures after shutdown") from None

    def _cancel_all(self) -> None:
        # As many as there are workers run, or are about to: these are made, as those in the standard executor's queue are.
        for future in list(self._pending_work_items.values())[self._max_workers :]:
            future.cancel()
        from threefold._pool.errors import TaskCancelled

        for map_number, stream in list(self._maps.items()):
            self._supervisor.leave(map_number, cancel=True)
            stream._end_map(TaskCancelled())


class _Results(Stream):
    """The results of a map, which may end before its arguments: after a shutdown no more of them are read."""

    is_whole = True

    def watch(self, source: Iterable[Any]) -> Iterator[Any]:
        """Return an iterator of the items of a source, by which it is known whether they all were read."""
        self.is_whole = False
        return self._watched(source)

    def _watched(self, source: Iterable[Any]) -> Iterator[Any]:
        try:
            yield from source
        except Exception:
            self.is_whole = True
            raise
        self.is_whole = True


def _results(
    supervisor: Any, map_number: int | None, stream: _Results, deadline: float | None
) -> Generator[Any, None, None]:
    """Give the results of a map; who stops taking them cancels the calls that have not begun."""
    try:
        while True:
            try:
                success, value = stream.chunks.get(timeout=None if deadline is None else max(0, deadline - monotonic()))
            except Empty:
                raise TimeoutError from None
            if success is None:
                map_number = None
                if value is not None:
                    raise value
                if not stream.is_whole:
                    raise RuntimeError("cannot schedule new futures after shutdown")
                return
            if not success:
                raise value
            # Nothing of a result is kept here once it is given.
            value.reverse()
            while value:
                yield value.pop()
            supervisor.took(map_number)
    finally:
        if map_number is not None:
            supervisor.leave(map_number, cancel=True)


def _close(supervisor: Any, process: int) -> None:
    # A forked child forgets its parent's executors, too; the processes go on.
    if process == os.getpid():
        supervisor.close()


def _check_max_tasks(count: int | None, is_forking: bool) -> None:
    if count is None:
        return
    if not isinstance(count, int):
        raise TypeError("max_tasks_per_child must be an integer")
    if count <= 0:
        raise ValueError("max_tasks_per_child must be >= 1")
    if is_forking:
        raise ValueError(
            "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; "
            "supply a different mp_context."
        )


def _exit() -> None:
    global _is_exiting
    _is_exiting = True
    supervisors = list(_supervisors)
    for supervisor in supervisors:
        supervisor.close()
    for supervisor in supervisors:
        supervisor.join()


def _forget_the_parents_processes() -> None:
    _supervisors.clear()
    for executor in list(_executors):
        executor._begin_anew()


# As the standard executor does: before the interpreter waits for threads, while they can still be started and joined.
threading._register_atexit(_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents_processes)

"""Runs a pool's chunks as tasks on Dask."""

import asyncio
import collections
import contextlib
import itertools
import logging
import os
import pickle
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Collection
from concurrent.futures import CancelledError
from typing import Any

import cloudpickle
import dask
import distributed
from distributed.deploy.spec import SpecCluster

from threefold.cluster import _run_chunk
from threefold.cluster._arrivals import Arrivals
from threefold.cluster.capabilities import Capabilities
from threefold.cluster.port import BackendNotInstalled, Start, TaskFailure, TaskOptions

# A function up to this size travels with each chunk; a larger one is put on each worker.
_SMALL_BYTES = 16 * 1024
# How often the scheduler of our own cluster may send a chunk to another worker after a death. The marker of a chunk that
# was running turns it away there; one that was only waiting at the dead worker, or whose result had not been fetched yet,
# is none the worse for it.
_SENT_AGAIN = 100
# When the scheduler has heard at the latest that nobody wants a result any more, and the workers from it; seconds.
_RELEASE_LIMIT_S = 10.0
# What a worker that runs a task gets to end, and the whole cluster, which may just be starting another worker.
_LAST_WORDS_S = 0.5
_CLOSE_LIMIT_S = 30.0

_AT_MOST_ONCE = "at most once: a task is begun once, and again only for each of its retries"


class _LastingCluster(distributed.LocalCluster):  # type: ignore[misc]
    """Keeps the nannies of workers that die.

    Some seconds after a death Dask looks whether a worker of that name is there, and lets its nanny go if not. Where tasks kill
    their workers one after another, that is now and then between two of them, and in the end nobody is left.
    """

    def _update_worker_status(self, op: str, msg: Any) -> None:
        if op == "remove":
            super(SpecCluster, self)._update_worker_status(op, msg)
        else:
            super()._update_worker_status(op, msg)


class _Function(distributed.WorkerPlugin):  # type: ignore[misc]
    """Brings a large function to each worker, also to those that join later."""

    def __init__(self, name: str, blob: bytes) -> None:
        self.name = name
        self.blob = blob


def _run_with_function(name: str, *arguments: Any) -> bytes:
    """Run a chunk whose function a plugin has brought."""
    return _run_chunk.run_chunk(distributed.get_worker().plugins[name].blob, *arguments)


class _Handle:
    """A chunk on Dask: the future of its reply, and the file that the chunk creates when it begins."""

    def __init__(self, future: Any, marker: str | None) -> None:
        self.future = future
        self.marker = marker
        self.outcome: Any = None

    @property
    def start(self) -> Start | None:
        """Where and when the chunk began, as far as its marker tells."""
        try:
            with open(self.marker or "", "rb") as stream:
                return Start(*pickle.load(stream))
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def forget_reply(self) -> None:
        """Remove what the chunk has left beside its marker."""
        if self.marker is not None:
            for name in (f"{self.marker}.reply", f"{self.marker}.part"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)


class DaskBackend:
    """A Dask cluster: that of a client, one at an address, the one that this process uses, or else one of our own here.

    Args:
        processes: how many tasks of the pool may run at once; None for as many as the cluster has threads.
        address: where a scheduler is; its cluster is used and not closed.
        client: a client that is connected; it is used and not closed.
    """

    capabilities = Capabilities("dask")
    pickler = cloudpickle.CloudPickler

    def __init__(self, *, processes: int | None = None, address: str | None = None, client: Any = None) -> None:
        self._processes = processes
        self._arrivals = Arrivals()
        self._numbers = itertools.count(1)
        self._name = f"threefold-{os.urandom(8).hex()}"
        self._open: set[_Handle] = set()
        self._is_closed = False
        self._cluster: Any = None
        self._markers: str | None = None
        # Markers of chunks that are over, with the time from which nothing can begin the chunk again.
        self._old_markers: collections.deque[tuple[float, str]] = collections.deque()
        if client is None and address is None:
            with contextlib.suppress(ValueError):
                client = distributed.default_client()
        self._owns_client = client is None
        if client is None and address is None:
            self._cluster = self._start_cluster(processes or len(os.sched_getaffinity(0)))
            self._markers = tempfile.mkdtemp(prefix="threefold-dask-")
        self._client = client or distributed.Client(address or self._cluster, set_as_default=False)
        self.guarantees = _AT_MOST_ONCE if self._cluster else self._look_at_foreign_cluster()

    def _start_cluster(self, count: int) -> Any:
        with dask.config.set({"distributed.scheduler.allowed-failures": _SENT_AGAIN}):
            return _LastingCluster(
                n_workers=count, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
            )

    def _look_at_foreign_cluster(self) -> str:
        """Return what a cluster that is not ours guarantees, and warn where that is less than a pool's user expects."""
        threads = self._client.nthreads()
        if threads:
            try:
                self._client.run(_run_chunk.stamp, workers=[next(iter(threads))])
            except ImportError as error:
                raise BackendNotInstalled(f"the workers of the Dask cluster need threefold, too: {error}") from error
        if any(count > 1 for count in threads.values()):
            warnings.warn(
                "workers of the Dask cluster have several threads: tasks of the pool share a process and its globals",
                RuntimeWarning,
                stacklevel=4,
            )
        failures = self._client.run_on_scheduler(_allowed_failures)
        if not failures:
            return f"{_AT_MOST_ONCE}, and where its result is lost with its worker before it was fetched"
        guarantee = f"at least once: the Dask cluster begins a task up to {failures + 1} times when its workers die"
        sentence = f"{guarantee} (its setting distributed.scheduler.allowed-failures is {failures})"
        warnings.warn(sentence, RuntimeWarning, stacklevel=4)
        return guarantee

    def capacity(self) -> int:
        """Return how many tasks can run at once."""
        return max(1, min(self._room(), self._processes or sys.maxsize))

    def backlog(self) -> int:
        """Return how many more tasks may wait at the cluster; none where it would run them beyond the pool's limit."""
        return self.capacity() if self._room() <= self.capacity() else 0

    def _room(self) -> int:
        if self._cluster is not None:
            # Fewer are there for a moment when one has died.
            return len(self._cluster.worker_spec)
        return sum(self._client.nthreads().values())

    def put_shared(self, blob: bytes) -> Any:
        """Bring a function to each worker, or keep it to go with its chunks if it is small."""
        if len(blob) <= _SMALL_BYTES:
            return blob
        plugin = _Function(f"{self._name}-function-{next(self._numbers)}", blob)
        self._client.register_plugin(plugin, plugin.name)
        return plugin.name

    def release(self, shared: Any) -> None:
        """Take a function off the workers."""
        if isinstance(shared, str) and not self._is_closed:
            self._client.unregister_worker_plugin(shared)

    def submit(self, shared: Any, chunk: bytes, options: TaskOptions) -> _Handle:
        """Begin a chunk somewhere, as soon as there is room for it."""
        key = f"{self._name}-{next(self._numbers)}"
        marker = self._markers and os.path.join(self._markers, key)
        run = _run_with_function if isinstance(shared, str) else _run_chunk.run_chunk
        arguments = (shared, chunk, options.pool, options.key, options.mode, marker)
        # The arguments go with the task on purpose: they are read once.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            future = self._client.submit(run, *arguments, key=key, pure=False, retries=0)
        handle = _Handle(future, marker)
        self._open.add(handle)
        self._client.loop.add_callback(self._follow, handle)
        return handle

    async def _follow(self, handle: _Handle) -> None:
        """Wait for a chunk on the client's own loop: a result that is lost and made again holds up nobody there."""
        try:
            handle.outcome = await self._client.gather(handle.future, asynchronous=True)
        except (Exception, CancelledError) as error:  # noqa: BLE001 - becomes the failure
            handle.outcome = error
        self._arrivals.add(handle)

    def wait(self, handles: Collection[Any], timeout: float | None) -> list[Any]:
        """Wait until a chunk is over or `wake` is called, and return those that are over."""
        return self._arrivals.wait(handles, timeout)

    def wake(self) -> None:
        """Have a `wait` return at once."""
        self._arrivals.wake()

    def result(self, handle: _Handle) -> bytes | TaskFailure:
        """Return the reply of a chunk that is over, or how it failed."""
        outcome, start = handle.outcome, handle.start
        self._open.discard(handle)
        handle.future.release()
        handle.forget_reply()
        self._remove_later(handle)
        if outcome == _run_chunk.BEGUN_BEFORE:
            return TaskFailure("worker_died", "its worker died", start)
        return _failure(outcome, start) if isinstance(outcome, BaseException) else bytes(outcome)

    def _remove_later(self, handle: _Handle) -> None:
        """Remove the marker of a chunk that is over, not before the scheduler knows that nobody wants its result.

        Until then, if the worker that has the result dies, another one is told to make it again.
        """
        now = time.monotonic()
        if handle.marker is not None:
            self._old_markers.append((now + _RELEASE_LIMIT_S, handle.marker))
        while self._old_markers and self._old_markers[0][0] < now:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._old_markers.popleft()[1])

    def cancel(self, handle: _Handle, kill: bool) -> None:  # noqa: ARG002 - the same whether it runs or not
        """Give a chunk up.

        Args:
            handle: the chunk.
            kill: makes no difference: Dask cannot stop a task that runs.
        """
        handle.future.cancel(reason="the pool has given it up")

    def close(self) -> None:
        """Give up what is under way, and close what is our own."""
        if self._is_closed:
            return
        self._is_closed = True
        for handle in list(self._open):
            self.cancel(handle, kill=True)
        if self._cluster is not None:
            self._cluster.sync(self._end_workers)
        self._arrivals.wake()
        if self._owns_client:
            self._client.close(_CLOSE_LIMIT_S)
        if self._cluster is not None:
            self._cluster.close(_CLOSE_LIMIT_S)
        if self._markers is not None:
            shutil.rmtree(self._markers, ignore_errors=True)

    async def _end_workers(self) -> None:
        """End the workers of our own cluster, those that run a task as well: by itself Dask waits longer for them."""
        nannies = list(self._cluster.workers.values())
        ends = [nanny.close(timeout=_LAST_WORDS_S, reason="the pool is closed") for nanny in nannies]
        await asyncio.gather(*ends, return_exceptions=True)


def open_backend(**options: Any) -> DaskBackend:
    """Return the backend; the arguments are those of `DaskBackend`."""
    return DaskBackend(**options)


def _allowed_failures(dask_scheduler: Any) -> int:
    return int(dask_scheduler.allowed_failures)


def _failure(error: BaseException, start: Start | None) -> TaskFailure:
    if isinstance(error, distributed.scheduler.KilledWorker):
        return TaskFailure("worker_died", str(error), start)
    if isinstance(error, CancelledError):
        return TaskFailure("cancelled", str(error), start)
    return TaskFailure("raised", f"{type(error).__name__}: {error}", start)

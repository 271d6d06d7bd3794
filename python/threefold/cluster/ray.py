"""Runs a pool's chunks as tasks on Ray."""

import logging
import os
import pickle
import sys
import threading
from collections.abc import Collection
from typing import Any

import ray
import ray.cloudpickle
import ray.exceptions as failures

from threefold.cluster import _run_chunk
from threefold.cluster._arrivals import Arrivals
from threefold.cluster.capabilities import Capabilities, UnsupportedOnBackend
from threefold.cluster.port import FailureKind, Start, TaskFailure, TaskOptions

# How often it is looked whether this process is still connected.
_LOOK_EVERY_S = 1.0
# How long a task that does not say by itself that it has begun is left unasked.
_ASK_EVERY_S = 0.02

_KINDS: tuple[tuple[type[BaseException], FailureKind], ...] = (
    (failures.TaskCancelledError, "cancelled"),
    (failures.OutOfMemoryError, "out_of_memory"),
    (failures.WorkerCrashedError, "worker_died"),
    (failures.NodeDiedError, "worker_died"),
    (failures.LocalRayletDiedError, "worker_died"),
    (failures.ObjectLostError, "worker_died"),
)


class _Runtime:
    """This process's connection to Ray, shared by the pools that need it and left alone where it is somebody else's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._user_count = 0

    def enter(self, settings: dict[str, Any]) -> None:
        """Connect, unless somebody has."""
        with self._lock:
            if not ray.is_initialized():
                ray.init(**settings)
                self._user_count = 1
                return
            wanted, present = settings["address"], ray.get_runtime_context().gcs_address
            if wanted not in ("local", "auto", present):
                raise ValueError(
                    f"this process uses the Ray cluster at {present} already, and cannot use {wanted}, too"
                )
            if self._user_count:
                self._user_count += 1

    def leave(self) -> None:
        """Disconnect, and end what was started with it, once no pool is left that stands on our connection."""
        with self._lock:
            if self._user_count:
                self._user_count -= 1
                if not self._user_count:
                    ray.shutdown()


_runtime = _Runtime()


class _Handle:
    """A chunk on Ray: the reference to its reply, and where a start is to be told the stream of both."""

    def __init__(self, task: Any, *, is_stream: bool) -> None:
        self.task = task
        self.stream = task if is_stream else None
        self.start: Start | None = None
        self.future: Any = None

    def has_begun(self) -> bool:
        """Look whether the stream has come to tell the start; True from then on."""
        if self.start is None and self.stream is not None and self.stream.next_ready():
            try:
                self.start = Start(*pickle.loads(ray.get(next(self.stream))))
            except (StopIteration, failures.RayError):
                return False
        return self.start is not None


class RayBackend:
    """A Ray cluster: the one that this process is connected to, one at an address, or else one of our own here.

    Args:
        processes: how many tasks of the pool may run at once; None for as many as the cluster has room for.
        address: where a cluster is; it is used and not closed.
        maxtasksperchild: chunks after which a worker is replaced.
        memory: bytes that Ray is to keep free for each task; a reservation, not a limit.
        cpus_per_task: processors that each task takes.
        runtime_env: what Ray is to prepare on the workers.
        log_to_driver: whether what the tasks print appears here.
    """

    capabilities = Capabilities("ray")
    guarantees = "at most once: a task is begun once, and again only for each of its retries"
    pickler = ray.cloudpickle.CloudPickler

    def __init__(
        self,
        *,
        processes: int | None = None,
        address: str | None = None,
        maxtasksperchild: int | None = None,
        memory: float | None = None,
        cpus_per_task: float = 1,
        runtime_env: dict[str, Any] | None = None,
        log_to_driver: bool = True,
    ) -> None:
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        if address.startswith("ray://"):
            raise UnsupportedOnBackend("an address with ray:// is not available on ray: use the cluster's own address")
        settings: dict[str, Any] = {
            "address": address,
            "runtime_env": runtime_env,
            "log_to_driver": log_to_driver,
            "logging_level": logging.ERROR,
        }
        if address == "local":
            count = processes or len(os.sched_getaffinity(0))
            settings |= {"num_cpus": max(1, round(count * cpus_per_task)), "include_dashboard": False}
        _runtime.enter(settings)
        self._processes = processes
        self._cpus_per_task = cpus_per_task
        self._arrivals = Arrivals()
        self._lock = threading.Lock()
        self._open: set[_Handle] = set()
        self._is_closed = False
        self._run, self._run_telling_start = self._remote_functions(maxtasksperchild, memory, runtime_env)

    def _remote_functions(
        self, max_calls: int | None, memory: float | None, runtime_env: dict[str, Any] | None
    ) -> tuple[Any, Any]:
        options: dict[str, Any] = {"num_cpus": self._cpus_per_task, "max_retries": 0, "max_calls": max_calls or 0}
        if memory is not None:
            options["memory"] = memory
        if runtime_env is not None:
            options["runtime_env"] = runtime_env
        remote = ray.remote(**options)
        return remote(_run_chunk.run_chunk), remote(_run_chunk.run_telling_start)

    def capacity(self) -> int:
        """Return how many tasks can run at once."""
        return max(1, min(self._room(), self._processes or sys.maxsize))

    def backlog(self) -> int:
        """Return how many more tasks may wait at the cluster; none where it would run them beyond the pool's limit."""
        return self.capacity() if self._room() <= self.capacity() else 0

    def _room(self) -> int:
        if not self._cpus_per_task:
            return self._processes or 1
        return int(ray.cluster_resources().get("CPU", 0) / self._cpus_per_task)

    def put_shared(self, blob: bytes) -> Any:
        """Put a function into Ray's store, from where each node fetches it once."""
        self._check_connection()
        return ray.put(blob)

    def release(self, shared: Any) -> None:
        """Nothing is to be done: Ray frees a function when the last reference to it has gone."""

    def submit(self, shared: Any, chunk: bytes, options: TaskOptions) -> _Handle:
        """Begin a chunk somewhere, as soon as there is room for it."""
        self._check_connection()
        arguments = (shared, chunk, options.pool, options.key, options.mode)
        if options.tells_start:
            handle = _Handle(self._run_telling_start.remote(*arguments), is_stream=True)
            handle.future = handle.task.completed().future()
        else:
            handle = _Handle(self._run.remote(*arguments), is_stream=False)
            handle.future = handle.task.future()
        with self._lock:
            self._open.add(handle)
        handle.future.add_done_callback(lambda _future: self._arrivals.add(handle))
        return handle

    def _check_connection(self) -> None:
        # Ray would connect by itself, and perhaps start a cluster.
        if not ray.is_initialized():
            raise ConnectionError("this process has disconnected from Ray")

    def wait(self, handles: Collection[Any], timeout: float | None) -> list[Any]:
        """Wait until a chunk is over, has begun, or `wake` is called, and return those that are over."""
        if not ray.is_initialized():
            # Nothing will be heard of any of them.
            return list(handles)
        silent = [handle for handle in list(handles) if handle.stream is not None and handle.start is None]
        begun = [handle for handle in silent if handle.has_begun()]
        if begun:
            timeout = 0.0
        elif silent:
            timeout = _ASK_EVERY_S if timeout is None else min(timeout, _ASK_EVERY_S)
        elif handles:
            timeout = _LOOK_EVERY_S if timeout is None else min(timeout, _LOOK_EVERY_S)
        return self._arrivals.wait(handles, timeout)

    def wake(self) -> None:
        """Have a `wait` return at once."""
        self._arrivals.wake()

    def result(self, handle: _Handle) -> bytes | TaskFailure:
        """Return the reply of a chunk that is over, or how it failed."""
        with self._lock:
            self._open.discard(handle)
        try:
            self._check_connection()
            handle.has_begun()
            value = handle.future.result()
            if handle.stream is not None and not isinstance(value, BaseException):
                value = ray.get(next(handle.stream))
        except Exception as error:  # noqa: BLE001 - becomes the failure
            value = error
        if isinstance(value, BaseException):
            return _failure(value, handle.start)
        return bytes(value)

    def cancel(self, handle: _Handle, kill: bool) -> None:
        """End a chunk, whether it runs or not.

        Args:
            handle: the chunk.
            kill: without it nothing is done: Ray cannot take a task back without disturbing one that has begun.
        """
        if kill and ray.is_initialized():
            ray.cancel(handle.task, force=True)

    def close(self) -> None:
        """End what is under way, and the cluster if it is our own."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            left = [handle for handle in self._open if not handle.future.done()]
            self._open.clear()
        for handle in left:
            self.cancel(handle, kill=True)
        self._arrivals.wake()
        _runtime.leave()


def open_backend(**options: Any) -> RayBackend:
    """Return the backend; the arguments are those of `RayBackend`."""
    return RayBackend(**options)


def _failure(error: BaseException, start: Start | None) -> TaskFailure:
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return TaskFailure(name, str(error) or type(error).__name__, start)
    return TaskFailure("raised", f"{type(error).__name__}: {error}", start)

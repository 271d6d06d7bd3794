"""Runs a pool on a cluster: the scheduler decides, the link carries, and one thread does what was decided.

caller ── call, map ──►┌───────────────┐── send ──► ClusterLink ──► Ray, Dask
│ PoolScheduler │                │
ticket ◄── _end ... ── └───────────────┘◄─ tell ────────┘
the supervisor's thread, woken by its inbox
"""

import itertools
import os
from collections.abc import Iterable
from queue import Empty
from typing import Any

from threefold._pool import reader
from threefold._pool.errors import Error, InitializerFailed, RemoteError
from threefold._threefold import PoolScheduler
from threefold.cluster._encode import Encoder, decode_reply
from threefold.cluster._ledger import Ledger, new_map
from threefold.cluster._link import ClusterLink
from threefold.cluster._work import Function, Job
from threefold.cluster.port import Backend, TaskFailure, TaskOptions
from threefold.queue import SimpleQueue
from threefold.threading import Thread

# So many functions of single calls are remembered.
_MOST_FUNCTIONS = 32


class ClusterSupervisor:
    """Does for a pool on a cluster what `threefold._pool.supervisor.Supervisor` does for processes of this machine.

    Args:
        backend: the cluster; it is closed with the pool.
        initializer: what is called before the first task in each process.
        initargs: its arguments.
    """

    def __init__(self, backend: Backend, initializer: Any = None, initargs: tuple[Any, ...] = ()) -> None:
        self.guarantees = backend.guarantees
        # The processes are the cluster's: none is a child of this one.
        self.processes: list[Any] = []
        self.worker_count = backend.capacity()
        self._capabilities = backend.capabilities
        self._initializer = (initializer, initargs)
        self._encoder = Encoder(backend.pickler, backend.capabilities)
        # What cannot be sent is refused at once.
        self._encoder.function(print, initializer, initargs)
        self._name = os.urandom(8).hex()
        self._holders: dict[int, int] = {}
        self._functions: dict[int, Function] = {}
        self._keys = itertools.count(1)
        self._inbox: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._link = ClusterLink(backend, lambda *report: self._inbox.put(report))
        self._scheduler = PoolScheduler(self._link.worker_count())
        # Two chunks for each task that can run at once.
        self._ledger = Ledger(self._scheduler, 2 * self.worker_count, self._link.forget)
        self._thread = Thread(target=self._supervise, name="threefold pool", daemon=True)
        self._thread.start()

    def settled_processes(self) -> list[Any]:
        """Return the processes that are this pool's own."""
        return self.processes

    def call(
        self,
        ticket: Any,
        function: Any,
        args: tuple[Any, ...],
        kwargs: Any,
        *,
        timeout: float | None = None,
        retries: int = 0,
    ) -> int:
        """Have a function called by a worker; return the number of the job."""
        self._capabilities.check(timeout=timeout)
        # What cannot be sent fails here, where the caller is.
        known, chunk = self._function(function), self._encoder.chunk((args, kwargs))
        number = self._ledger.add_call(Job(known, "call", (args, kwargs), timeout, ticket, chunk), retries)
        self._wake()
        return number

    def map(
        self,
        ticket: Any,
        function: Any,
        source: Iterable[Any],
        chunksize: int,
        *,
        star: bool,
        delivery: str,
        read_ahead: int | None,
        timeout: float | None = None,
        retries: int = 0,
    ) -> int:
        """Have a function called with each item of a source, in chunks; return the number of the map."""
        self._capabilities.check(timeout=timeout)
        details = {"chunksize": chunksize, "star": star, "delivery": delivery, "timeout": timeout}
        map = new_map(ticket, self._pickled(function), source, **details)
        number = self._ledger.add_map(map, read_ahead, retries)
        if map.next is None:
            reader.start(self, number, source, chunksize)
        self._wake()
        return number

    def reads(self, map: int) -> None:
        """Say that the consumer has begun to take a map's results."""
        self._ledger.reads(map)

    def took(self, map: int) -> None:
        """Say that the consumer is through with the next chunk of a map."""
        self._ledger.took(map)
        self._wake()

    def leave(self, map: int, *, cancel: bool = False) -> None:
        """Say that nobody takes a map's results any more."""
        self._ledger.leave(map, cancel)
        self._wake()

    def cancel(self, job: int, *, kill: bool = False) -> bool:
        """Cancel a job; return whether it will not be done, or with `kill` will be ended.

        Raises:
            UnsupportedOnBackend: the engine cannot end a task that runs.
        """
        if kill and not self._capabilities.of("time_limit").is_there:
            raise self._capabilities.refuse("time_limit", "ending a task that runs")
        is_cancelled = self._scheduler.cancel(job, kill)
        self._wake()
        return is_cancelled

    def close(self) -> None:
        """Take no more."""
        self._scheduler.close()
        self._wake()

    def terminate(self) -> None:
        """End all now; what is not over fails."""
        self._scheduler.terminate()
        self._wake()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all of a closed pool is over and its cluster is closed; return whether it is."""
        self._ledger.join()
        self._wake()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def set_reader(self, map: int, wanted: Any) -> None:
        """Say who reads a map's source: `wanted.put(n)` asks for n chunks, `wanted.put(None)` for no more."""
        self._ledger.set_reader(map, wanted)

    def add_chunk(self, map: int, items: list[Any]) -> bool:
        """Add a chunk that was asked for; return whether the map still takes it."""
        is_taken = self._ledger.add_chunk(map, items)
        self._wake()
        return is_taken

    def end_source(self, map: int, error: BaseException | None) -> None:
        """Say that a map's source has no more, or that it raised."""
        self._ledger.end_source(map, error)
        self._wake()

    def _wake(self) -> None:
        self._inbox.put(None)

    def _pickled(self, function: Any) -> Function:
        return Function(function, next(self._keys), self._encoder.function(function, *self._initializer))

    def _function(self, function: Any) -> Function:
        known = self._functions.get(id(function))
        if known is None:
            known = self._pickled(function)
            if len(self._functions) < _MOST_FUNCTIONS:
                self._functions[id(function)] = known
        return known

    def _supervise(self) -> None:
        is_over = False
        try:
            while not is_over:
                try:
                    report = self._inbox.get(timeout=self._scheduler.next_wake())
                except Empty:
                    report = None
                if report is not None:
                    self._hear(*report)
                self._scheduler.tick()
                is_over = self._obey()
        except Exception as error:
            # Nothing is decided any more: who waits must not do so for ever.
            self._scheduler.terminate()
            self._ledger.fail_all(error)
            raise
        finally:
            self._link.close()

    def _obey(self) -> bool:
        """Do what the scheduler has decided; return whether that was the last."""
        while (action := self._ledger.next_action()) is not None:
            match action:
                case ("finished", *_):
                    return True
                case ("start", worker, _, _):
                    self._link.start(worker)
                case ("finish", worker, _, _):
                    self._link.finish(worker)
                case ("kill", worker, job, reason):
                    self._kill(worker, job, reason)
                case ("send", worker, int(job), _):
                    self._send(worker, job)
                case ("take_back", worker, int(job), _):
                    # It may have begun: no engine says for certain that it has not.
                    self._scheduler.tell(worker, "job_not_taken_back", job)
                case ("resolve", job, _, str(outcome)):
                    self._ledger.resolve(job, outcome)
                case ("deliver", map, int(job), _):
                    self._ledger.deliver(map, job)
                case ("pull", map, int(chunk_count), _):
                    self._ledger.pull(map, chunk_count)
                case ("end_map", map, _, cause):
                    self._ledger.end_map(map, cause)
        return False

    def _kill(self, worker: int, job: int | None, reason: str | None) -> None:
        held = self._holders.get(worker) if job is None else job
        if reason == "terminated" or held is None:
            # Closing the cluster ends what runs there; nobody waits for each.
            self._scheduler.tell(worker, "exited")
        else:
            self._link.kill(worker, held, "timed_out" if reason == "timed_out" else "cancelled")

    def _send(self, worker: int, number: int) -> None:
        job = self._ledger.jobs[number]
        job.failure = None
        try:
            chunk = job.chunk if job.chunk is not None else self._encoder.chunk(job.items)
        except Exception as error:  # noqa: BLE001 - whatever the items' own methods raise
            job.settle(error, is_success=False)
            self._scheduler.tell(worker, "job_unsendable", number)
            return
        options = TaskOptions(job.mode, self._name, job.function.key, tells_start=job.timeout is not None)
        self._holders[worker] = number
        self._link.send(worker, number, job.function.key, job.function.blob, chunk, options)

    def _hear(self, worker: int, kind: str, number: int | None, reply: Any) -> None:
        """Take in what the link reports."""
        if kind in ("started", "ready"):
            self._scheduler.tell(worker, kind)
            return
        if kind != "begun":
            self._holders.pop(worker, None)
        if kind == "gone":
            self._scheduler.tell(worker, "exited")
            return
        job = self._ledger.jobs.get(number or 0)
        if number is None or job is None:
            # It was given up.
            return
        self._scheduler.tell(worker, "job_started", number)
        if isinstance(reply, bytes):
            self._take_reply(worker, number, job, reply)
        elif isinstance(reply, TaskFailure):
            job.failure = reply
            if reply.kind == "raised":
                error = Error(f"{self._capabilities.backend} could not run {job.description()}: {reply.detail}")
                job.settle(error, is_success=False)
                self._scheduler.tell(worker, "job_raised", number)

    def _take_reply(self, worker: int, number: int, job: Job, encoded: bytes) -> None:
        reply = decode_reply(encoded, RemoteError)
        if reply.kind == "returned":
            job.settle(reply.results, is_success=True)
        elif reply.kind == "exited":
            job.failure = TaskFailure("worker_died", f"it wanted to end it with {reply.error!r}", reply.start)
            job.settle(job.error("worker_died"), is_success=False)
        elif reply.kind == "initializer_failed":
            job.settle(InitializerFailed(reply.start.pid, reply.error), is_success=False)
        else:
            job.settle(reply.error, is_success=False)
        self._scheduler.tell(worker, "job_returned" if job.is_success else "job_raised", number)

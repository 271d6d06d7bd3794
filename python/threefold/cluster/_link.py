"""Joins a pool's scheduler to a cluster: its workers are places for one chunk each, wherever the engine runs it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from threefold.cluster.port import Backend, FailureKind, Start, TaskFailure, TaskOptions
from threefold.threading import Thread

ReportKind = Literal["started", "ready", "begun", "returned", "failed", "gone"]
# worker, what happened, job, and what came with it: the start of the task, the reply or the failure.
Report = Callable[[int, ReportKind, "int | None", "bytes | TaskFailure | Start | None"], None]


@dataclass(eq=False)
class _Sent:
    """A chunk that is with the engine."""

    worker: int
    job: int
    tells_start: bool
    # Why it is to be ended, once that is so.
    end: FailureKind | None = None


class ClusterLink:
    """One pool's way to a cluster.

    What happens is reported from one thread, in order. Of each worker the first report is "started", then "ready", and
    the last is "gone": after "failed", `kill` and `finish`, as a process ends. Another number takes its place.

    Args:
        backend: the cluster; it is closed with the link.
        report: called with the worker, what happened, the job, and what came with it.
    """

    # How many jobs a worker may hold; those in prospect are with workers of their own.
    depth = 1

    def __init__(self, backend: Backend, report: Report) -> None:
        self.backend = backend
        self._report = report
        self._lock = threading.Lock()
        self._sent: dict[Any, _Sent] = {}
        self._news: list[tuple[int, ReportKind, int | None, bytes | TaskFailure | Start | None]] = []
        self._shared: dict[Any, Any] = {}
        self._is_closed = False
        # The engine has raised where it should not: every job fails from then on.
        self._trouble: Exception | None = None
        self._thread = Thread(target=self._serve, name="threefold cluster link", daemon=True)
        self._thread.start()

    def worker_count(self) -> int:
        """Return how many workers keep the cluster busy: one chunk runs and one is in prospect for each place."""
        return self.backend.capacity() + self.backend.backlog()

    def start(self, worker: int) -> None:
        """Take up a worker.

        Args:
            worker: a number that was not used before.
        """
        self._tell((worker, "started", None, None), (worker, "ready", None, None))

    def send(
        self, worker: int, job: int, shared_key: Any, function_blob: bytes | None, chunk: bytes, options: TaskOptions
    ) -> None:
        """Hand a chunk to the engine.

        Args:
            worker: one that is ready and holds nothing.
            job: the number of the chunk.
            shared_key: the name of the function.
            function_blob: the function, with its first chunk at least.
            chunk: the arguments.
            options: how it is to be run.
        """
        try:
            if self._trouble is not None:
                raise self._trouble
            if shared_key not in self._shared:
                if function_blob is None:
                    raise KeyError(f"the function {shared_key!r} was not sent")
                self._shared[shared_key] = self.backend.put_shared(function_blob)
            handle = self.backend.submit(self._shared[shared_key], chunk, options)
        except Exception as error:  # noqa: BLE001 - the engine's own errors are the job's failure
            failure = TaskFailure("raised", f"{type(error).__name__}: {error}")
            self._tell((worker, "failed", job, failure), (worker, "gone", None, None))
            return
        with self._lock:
            is_served = self._trouble is None
            if is_served:
                self._sent[handle] = _Sent(worker, job, options.tells_start)
        if is_served:
            self.backend.wake()
        else:
            failure = TaskFailure("raised", str(self._trouble))
            self._tell((worker, "failed", job, failure), (worker, "gone", None, None))

    def kill(self, worker: int, job: int, reason: FailureKind = "cancelled") -> None:
        """End a worker and the job that it has; where the engine cannot, the job is given up and goes on unheeded.

        Args:
            worker: the worker.
            job: its job, which may be over.
            reason: the kind of failure that the job is to be reported with.
        """
        with self._lock:
            found = [(handle, sent) for handle, sent in self._sent.items() if sent.job == job and sent.worker == worker]
            for _handle, sent in found:
                sent.end = reason
        for handle, _sent in found:
            self.backend.cancel(handle, kill=True)
        if not found:
            self.finish(worker)

    def finish(self, worker: int) -> None:
        """Give up a worker that holds nothing.

        Args:
            worker: the worker.
        """
        self._tell((worker, "gone", None, None))

    def forget(self, shared_key: Any) -> None:
        """Forget a function that no further chunk needs.

        Args:
            shared_key: its name.
        """
        shared = self._shared.pop(shared_key, None)
        if shared is not None:
            self.backend.release(shared)

    def close(self) -> None:
        """End everything; nothing is reported any more."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self.backend.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._shared.clear()
        self.backend.close()

    def _tell(self, *news: tuple[int, ReportKind, int | None, bytes | TaskFailure | Start | None]) -> None:
        with self._lock:
            is_served = self._trouble is None
            if is_served:
                self._news.extend(news)
        if is_served:
            self.backend.wake()
        else:
            for item in news:
                self._pass_on(*item)

    def _serve(self) -> None:
        try:
            self._carry()
        except Exception as error:  # noqa: BLE001 - whatever the engine raises ends the jobs, and hides none
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            self._trouble = error
            sent, news = list(self._sent.values()), self._news
            self._sent.clear()
            self._news = []
        failure = TaskFailure("raised", f"{type(error).__name__}: {error}")
        for item in news:
            self._pass_on(*item)
        for chunk in sent:
            self._pass_on(chunk.worker, "failed", chunk.job, failure)
            self._pass_on(chunk.worker, "gone", None, None)

    def _carry(self) -> None:
        while not self._is_closed:
            over = self.backend.wait(self._sent.keys(), None)
            self._look_for_starts()
            for handle in over:
                self._end(handle)
            with self._lock:
                news, self._news = self._news, []
            for item in news:
                self._pass_on(*item)

    def _look_for_starts(self) -> None:
        with self._lock:
            silent = [(handle, sent) for handle, sent in self._sent.items() if sent.tells_start]
        for handle, sent in silent:
            if handle.start is not None:
                sent.tells_start = False
                self._pass_on(sent.worker, "begun", sent.job, handle.start)

    def _end(self, handle: Any) -> None:
        result = self.backend.result(handle)
        with self._lock:
            sent = self._sent.pop(handle)
        is_failure = isinstance(result, TaskFailure)
        if isinstance(result, TaskFailure) and sent.end and result.kind in ("cancelled", "worker_died"):
            result = replace(result, kind=sent.end)
        self._pass_on(sent.worker, "failed" if is_failure else "returned", sent.job, result)
        if is_failure or sent.end:
            self._pass_on(sent.worker, "gone", None, None)

    def _pass_on(
        self, worker: int, kind: ReportKind, job: int | None, reply: bytes | TaskFailure | Start | None
    ) -> None:
        if self._is_closed:
            return
        try:
            self._report(worker, kind, job, reply)
        except Exception as error:  # noqa: BLE001 - the link must go on
            arguments = (type(error), error, error.__traceback__, self._thread)
            threading.excepthook(threading.ExceptHookArgs(arguments))

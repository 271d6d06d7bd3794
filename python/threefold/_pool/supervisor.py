"""What starts a pool's processes, hears of their deaths, and hands out what they report.

The pool's scheduler decides; this does. The scheduler, the links to the workers and all that happens for each single job are in
the engine's `Dispatcher`; what comes out here is what happens to processes, and what the results' owners are told.

     caller ── call, map ──►┌────────────┐── job ──►┌────────┐
                            │ Dispatcher │          │ worker │ a process
     ticket ◄── _end ... ── └────────────┘◄─ report ┴────────┘
                  ▲               │ turn
                  └─ Supervisor ◄─┘ a thread
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from multiprocessing import process

from threefold._pool import deaths, functions, life_line, worker
from threefold._threefold import Dispatcher, Event

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How long a worker has to end at a polite request, in seconds.
_GRACE_S = 0.25
# How long a look at the processes waits for one that is being started.
_START_LIMIT_S = 1.0


_supervisors: weakref.WeakSet[Supervisor] = weakref.WeakSet()


def _forget_all() -> None:
    for supervisor in list(_supervisors):
        supervisor._forget()


# Not that of `multiprocessing`, which a child of `os.fork()` does not call.
os.register_at_fork(after_in_child=_forget_all)


def _from_outcome(*outcome: Any) -> BaseException:
    """Return the error of a task that did not return; what the errors are derived from is loaded with the first one."""
    from threefold._pool.errors import from_outcome

    return from_outcome(*outcome)


def _memory_watch(limit_bytes: int | None) -> Any:
    if limit_bytes is None:
        return None
    from threefold._pool.memory_watch import MemoryWatch

    return MemoryWatch(limit_bytes)


class Supervisor:
    """Runs a pool of processes.

    Args:
        context: the `multiprocessing` context that starts them.
        worker_count: how many there are.
        on_demand: whether they are started as there are jobs for them, rather than at once.
        initializer: what each calls first.
        initargs: its arguments.
        max_jobs_per_worker: jobs after which a worker is replaced.
        max_memory_per_worker: bytes of resident memory after which a worker is replaced, or ended if it is at a task.
        style: "pool" or "executor": which standard class's details are kept.
    """

    def __init__(
        self,
        context: Any,
        worker_count: int,
        *,
        on_demand: bool = False,
        initializer: Any = None,
        initargs: tuple[Any, ...] = (),
        max_jobs_per_worker: int | None = None,
        max_memory_per_worker: int | None = None,
        style: str = "pool",
    ) -> None:
        self._context = context
        self._is_on_demand = on_demand
        self._start_arguments = (initializer, initargs, style, max_memory_per_worker)
        self._processes: dict[int, Any] = {}
        self._to_kill: dict[int, float] = {}
        self._memory = deaths.OutOfMemoryWatch()
        self._memory_watch = _memory_watch(max_memory_per_worker)
        self._too_large: set[int] = set()
        self._thread: threading.Thread | None = None
        self._has_begun = False
        # A wait for the thread is a wait for this: it can be seen and interrupted.
        self._is_over = Event()
        self._dispatcher = Dispatcher(worker_count, on_demand, max_jobs_per_worker, _from_outcome)
        _supervisors.add(self)
        # The first processes are forked before there is a thread, which forking would not copy.
        self._start_first()
        if not on_demand:
            self._begin()

    @property
    def processes(self) -> list[Any]:
        """The processes that have been started and not been seen to end."""
        return list(self._processes.values())

    def settled_processes(self) -> list[Any]:
        """Return the processes once those that another thread is starting are among them; that lasts some milliseconds."""
        deadline = time.monotonic() + _START_LIMIT_S
        while self._dispatcher.is_starting() and time.monotonic() < deadline:
            self._is_over.wait(0.001)
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
        """Have a function called by a worker; return the number of the job.

        Raises:
            Refused: the pool takes no more.
        """
        job = self._dispatcher.add_call(ticket, (function, args, kwargs), timeout, retries)
        if self._is_on_demand:
            self._start_all()
        self._begin()
        return job

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
        head: Sequence[Any] = (),
    ) -> int:
        """Have a function called with each item of a source, in chunks; return the number of the map.

        Args:
            ticket: who is told.
            function: the function, which is sent once to each worker.
            source: a sequence, or an iterable that a thread reads.
            chunksize: how many items make a job.
            star: whether an item is the tuple of its arguments.
            delivery: "collected", "ordered" or "unordered".
            read_ahead: how many chunks are read that the consumer has not had; None for two for each worker, or, for a
                collected map, all.
            timeout: seconds that a chunk may take.
            retries: how often a chunk is done again when its worker dies.
            head: the first items of an iterable, which are not in it any more: `read_ahead` chunks.

        Raises:
            Refused: the pool takes no more.
            Exception: the function cannot be pickled.
        """
        blob = functions.dumps(function)
        sequence = source if isinstance(source, Sequence) else None
        number = self._dispatcher.add_map(
            ticket, function, blob, sequence, chunksize, star, delivery, read_ahead, timeout, retries
        )
        if sequence is None:
            from threefold._pool import reader

            reader.start(self._dispatcher, number, source, chunksize, head)
        self._begin()
        if self._is_on_demand:
            self._start_all()
        return number

    def reads(self, map: int) -> None:
        """Say that the consumer has begun to take a map's results."""
        self._dispatcher.reads(map)

    def took(self, map: int) -> None:
        """Say that the consumer is through with the next chunk of a map."""
        self._dispatcher.took(map)

    def leave(self, map: int, *, cancel: bool = False) -> None:
        """Say that nobody takes a map's results any more: what has not begun is done for its effects, or cancelled."""
        self._dispatcher.leave(map, cancel)

    def cancel(self, job: int, *, kill: bool = False) -> bool:
        """Cancel a job; return whether it will not be done. With `kill`, one that has begun is ended with its worker."""
        return self._dispatcher.cancel(job, kill)

    def has_begun(self, job: int) -> bool:
        """Return whether a worker has begun a job that is not over."""
        return self._dispatcher.has_begun(job)

    def close(self) -> None:
        """Take no more; the workers end when all is done."""
        self._dispatcher.close()
        self._begin()

    def terminate(self) -> None:
        """End the workers now; what is not over fails."""
        self._dispatcher.terminate()
        self._begin()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the workers of a closed pool have ended; return whether they have."""
        # An executor makes no calls after its shutdown whose arguments it has not read.
        self._dispatcher.join(self._start_arguments[2] == "pool")
        thread = self._thread
        if thread is None:
            return True
        if thread is threading.current_thread():
            raise RuntimeError("cannot join current thread")
        if self._is_over.wait(timeout):
            # It has nothing left to do but to end.
            thread.join(timeout)
        if thread.is_alive():
            return False
        # Else it could be found among the threads as long as somebody has the pool, or nobody has collected it.
        self._thread = None
        return True

    def _begin(self) -> None:
        """Start the thread, if there is none yet."""
        if self._has_begun or not self._dispatcher.is_ours():
            return
        self._obey(self._dispatcher.commands())
        self._has_begun = True
        self._thread = threading.Thread(target=self._supervise, name="threefold pool", daemon=True)
        self._thread.start()

    def _start_first(self) -> None:
        """Start the workers that are wanted from the beginning: all of them, or none if one cannot be had."""
        launched: list[tuple[int, Any]] = []
        try:
            # There is nothing else to be done yet.
            for _start, number in self._dispatcher.commands():
                launched.append((number, self._launch(number)))
        except BaseException:
            for _, process in launched:
                process.terminate()
            for _, process in launched:
                process.join()
            raise
        for number, process in launched:
            self._enlist(number, process)

    def _start_all(self) -> None:
        """Start the workers that are wanted, here: who has made a call that needs one finds it among the processes."""
        for number in self._dispatcher.starts():
            self._start(number)

    def _supervise(self) -> None:
        try:
            while not self._obey(self._dispatcher.turn(self._patience())):
                self._press()
        finally:
            self._is_over.set()

    def _obey(self, commands: Iterable[tuple[Any, ...]]) -> bool:
        """Do what the scheduler has decided; return whether that was the last."""
        is_over = False
        for name, *arguments in commands:
            if name == "end":
                ticket, success, value = arguments
                self._tell(ticket._end, success, value)
            elif name == "finished":
                is_over = True
            elif name in ("add", "end_map", "progress"):
                ticket, *details = arguments
                self._tell(getattr(ticket, f"_{name}"), *details)
            else:
                getattr(self, f"_{name}")(*arguments)
        return is_over

    def _tell(self, method: Any, *arguments: Any) -> None:
        try:
            method(*arguments)
        except BaseException as error:  # noqa: BLE001 - one owner's fault must not cost the others their results
            if not sys.is_finalizing():
                thread = threading.current_thread()
                threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))

    def _start(self, number: int) -> None:
        """Start a worker beside others, or in the place of one."""
        try:
            process = self._launch(number)
        except BaseException as error:
            # The pool goes on with others; without any, calls fail with this.
            self._dispatcher.not_started(number, error.errno if isinstance(error, OSError) else None, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._enlist(number, process)

    def _enlist(self, number: int, process: Any) -> None:
        self._processes[number] = process
        if self._memory_watch is not None:
            self._memory_watch.add(number, process.pid)
        self._dispatcher.started(number, process.pid)

    def _launch(self, number: int) -> Any:
        """Start a worker's process and return it."""
        initializer, initargs, style, max_memory = self._start_arguments
        link, capacity, doorbell = self._dispatcher.link(number)
        passages: list[worker.Passage] = []
        started: Any = None
        try:
            # Descriptors of their own for the child, which closes them; ours are closed as soon as it has its copies.
            for end in (link, doorbell, life_line.descriptor()):
                passages.append(worker.Passage(os.dup(end)))  # noqa: PERF401 - those before one that fails are closed
            process = self._context.Process(
                target=worker.main,
                args=(passages[0], capacity, passages[1], passages[2], initializer, initargs, style, max_memory),
            )
            process.name = process.name.replace("Process", "PoolWorker")
            process.daemon = True
            if self._context.get_start_method() == "forkserver":
                from multiprocessing import forkserver

                # Not within the lines below: all whom the server forks later would be deaf to Ctrl-C.
                forkserver.ensure_running()
            # Ctrl-C waits until the worker is ready for it.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process.start()
                started = process
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        except BaseException as error:
            if started is not None:
                # Ctrl-C came meanwhile.
                started.terminate()
            elif isinstance(error, OSError | EOFError) and self._context.get_start_method() == "forkserver":
                from threefold._pool.errors import explain_missing_program

                # The server itself has failed to read it.
                explain_missing_program(error)
            raise
        finally:
            for passage in passages:
                os.close(passage.arrive())
        return process

    def _kill(self, number: int, reason: str, job: int | None, dump: int | None) -> None:
        """End a worker by force."""
        process = self._processes.get(number)
        if process is None:
            return
        if reason == "terminated":
            # Its parent wants it gone, not broken: what it started may want to know.
            process.terminate()
            self._to_kill[number] = time.monotonic() + _GRACE_S
            return
        if reason == "too_large":
            self._too_large.add(number)
        if reason == "timed_out" and job is not None and dump is not None:
            self._dispatcher.condemn(job)
            self._dispatcher.note_line(job, deaths.last_line(process.pid, dump, worker.DUMP_SIGNAL))
        process.kill()

    def _exited(self, number: int) -> None:
        """Find out how a worker ended."""
        process = self._processes.pop(number, None)
        self._to_kill.pop(number, None)
        if self._memory_watch is not None:
            self._memory_watch.remove(number)
        if process is None:
            return
        code = deaths.exit_code(process, lambda: self._dispatcher.status_after_wait(number))
        is_out_of_memory = code == -signal.SIGKILL and (number in self._too_large or self._memory.has_killed())
        self._too_large.discard(number)
        self._dispatcher.exited(number, code, is_out_of_memory)

    def _read(self, wanted: Any, chunk_count: int) -> None:
        """Have the thread that reads a map's source go on."""
        wanted.put(chunk_count)

    def _patience(self) -> float | None:
        """Return in how many seconds it is time for `_press`."""
        times = [max(0.0, deadline - time.monotonic()) for deadline in self._to_kill.values()]
        if self._memory_watch is not None:
            times.append(self._memory_watch.patience())
        return min(times, default=None)

    def _press(self) -> None:
        """End the workers that did not end when asked to, or that take too much memory."""
        if self._memory_watch is not None:
            for number in self._memory_watch.look():
                self._dispatcher.too_large(number)
        now = time.monotonic()
        for number, deadline in list(self._to_kill.items()):
            if deadline <= now:
                self._to_kill[number] = now + _GRACE_S
                self._processes[number].kill()

    def _forget(self) -> None:
        """In a forked child: the workers are its parent's, and not to be ended with it."""
        process._children.difference_update(self._processes.values())  # type: ignore[attr-defined]
        self._processes.clear()
        self._to_kill.clear()
        self._thread = None
        self._has_begun = False
        self._dispatcher.abandon()

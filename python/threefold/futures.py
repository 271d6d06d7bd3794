"""The standard library's `concurrent.futures`, with pools of threads and of processes on the Rust engine."""

from __future__ import annotations

import concurrent.futures as _standard
import contextvars
import weakref
from concurrent.futures import (  # noqa: F401 - re-exported
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    InvalidStateError,
    TimeoutError,
    as_completed,
    wait,
)
from concurrent.futures import thread as _standard_thread
from concurrent.futures.thread import BrokenThreadPool
from queue import Empty

from threefold import _pool_exit
from threefold._future import PoolFuture
from threefold._pool_worker import PlainContext, Work, work
from threefold._thread import Thread
from threefold._threefold import RLock, Semaphore, SimpleQueue

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# `InvalidStateError` is public but was left out of the standard list before Python 3.13; the other two never were in it.
__all__ = list(dict.fromkeys([*_standard.__all__, "BrokenProcessPool", "BrokenThreadPool", "InvalidStateError"]))


class ThreadPoolExecutor(_standard_thread.ThreadPoolExecutor):
    """A pool of threads that makes calls; the standard class, on the engine's queue and with lighter futures.

    Args:
        max_workers: most threads; None means the number of processors plus 4, at most 32.
        thread_name_prefix: what the names of its threads begin with.
        initializer: what each thread calls when it begins; if that fails, the pool is broken.
        initargs: its arguments.
        propagate_context: True makes each call in a copy of the context variables of its submitter.
        wait_at_exit: False makes the threads daemons, for which the interpreter does not wait at exit: calls that are
            not over then are lost.
        context_arguments: from Python 3.14 on, what `prepare_context()` of a subclass takes.

    Differs from the standard library: at exit, the interpreter says after 5 s which threads it still waits for, and where
    they are; in a forked child the pool is empty and works; `shutdown(cancel_futures=True)` also wakes those who wait for
    several futures at once.

    Source: CPython Lib/concurrent/futures/thread.py, ThreadPoolExecutor.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        propagate_context: bool = False,
        wait_at_exit: bool = True,
        **context_arguments: Any,
    ) -> None:
        super().__init__(max_workers, thread_name_prefix, initializer, initargs, **context_arguments)
        self._propagate_context = propagate_context
        self._wait_at_exit = wait_at_exit
        self._resolve_task = self._own_way_to_make_calls()
        self._begin_anew()
        _pool_exit.add_executor(self)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn(*args, **kwargs)` called by a thread of the pool.

        Returns:
            Its future.

        Raises:
            RuntimeError: after `shutdown()`, or when the interpreter exits.
            BrokenThreadPool: if an initializer failed.
        """
        if self._propagate_context:
            args = (fn, *args)
            fn = contextvars.copy_context().run
        if self._resolve_task is not None:
            args, kwargs = (self._resolve_task(fn, args, kwargs),), {}
        future = PoolFuture(fn, args, kwargs)
        with self._shutdown_lock:
            if self._shutdown or self._broken or _pool_exit.is_exiting:
                self._refuse()
            self._work_queue.put(future)
            if not self._has_all_threads:
                self._adjust_thread_count()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: F811 - the standard name
        """Take no more calls, and let the threads end when they have made those there are.

        Args:
            wait: whether to wait for that.
            cancel_futures: whether to cancel the calls that have not begun.
        """
        with self._shutdown_lock:
            self._shutdown = True
            if cancel_futures:
                self._take_back(PoolFuture.drop)
            self._work_queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _begin_anew(self) -> None:
        """Set up what threads share; in a forked child also, where there are none of the parent's."""
        self._work_queue: Work = SimpleQueue()
        self._idle_semaphore = Semaphore(0)
        # Re-entrant: a call may be submitted by a signal handler or a `__del__` method while one is being submitted.
        self._shutdown_lock = RLock()
        self._threads: set[Thread] = set()
        self._has_all_threads = False

    def _own_way_to_make_calls(self) -> Callable[..., Any] | None:
        """Return how a call becomes a task, where worker contexts (from Python 3.14 on) have a way of their own."""
        prepare = getattr(type(self), "prepare_context", None)
        standard = getattr(_standard_thread.ThreadPoolExecutor, "prepare_context", None)
        if getattr(prepare, "__func__", None) is getattr(standard, "__func__", None):
            return None
        own_way: Callable[..., Any] = self._resolve_work_item_task
        return own_way

    def _refuse(self) -> None:
        if self._broken:
            raise getattr(self, "BROKEN", BrokenThreadPool)(self._broken)
        after = "shutdown" if self._shutdown else "interpreter shutdown"
        raise RuntimeError(f"cannot schedule new futures after {after}")

    def _adjust_thread_count(self) -> None:
        if self._idle_semaphore.acquire(False):
            return
        count = len(self._threads)
        if count < self._max_workers:
            self._start_thread(f"{self._thread_name_prefix or self}_{count}")
        self._has_all_threads = len(self._threads) >= self._max_workers

    def _start_thread(self, name: str) -> None:
        queue = self._work_queue

        def say_that_it_is_gone(_reference: object) -> None:
            queue.put(None)

        if hasattr(self, "_create_worker_context"):
            context = self._create_worker_context()
        else:
            context = PlainContext(self._initializer, self._initargs)
        run_task = None if self._resolve_task is None else context.run
        arguments = (weakref.ref(self, say_that_it_is_gone), context, run_task, queue)
        thread = Thread(name=name, target=work, args=arguments, daemon=None if self._wait_at_exit else True)
        thread.start()
        self._threads.add(thread)
        if self._wait_at_exit:
            _pool_exit.add_thread(thread, queue)

    def _initializer_failed(self) -> None:
        with self._shutdown_lock:
            self._broken = "A thread initializer failed, the thread pool is not usable anymore"
            broken = getattr(self, "BROKEN", BrokenThreadPool)
            self._take_back(lambda future: future.fail(broken(self._broken)))

    def _take_back(self, end: Callable[[PoolFuture], None]) -> None:
        """End the calls that no thread has taken yet."""
        while True:
            try:
                future = self._work_queue.get_nowait()
            except Empty:
                return
            if future is not None:
                end(future)


def __getattr__(name: str) -> Any:
    """Look up what takes long to import, the pools of processes and interpreters, when it is asked for."""
    if name in ("BrokenProcessPool", "ProcessPoolExecutor"):
        from threefold import _process_executor

        return getattr(_process_executor, name)
    if name in _standard.__all__:
        return getattr(_standard, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

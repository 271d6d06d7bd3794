"""Pools of processes: `multiprocessing.pool` on the engine."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from multiprocessing import get_context, util
from multiprocessing import pool as _standard
from multiprocessing.pool import (  # noqa: F401 - re-exported
    CLOSE,
    INIT,
    RUN,
    TERMINATE,
    ExceptionWithTraceback,
    MaybeEncodingError,
    RemoteTraceback,
    ThreadPool,
)

from threefold._pool import checks, seam
from threefold._pool.maps import PoolMaps
from threefold._pool.results import ApplyResult, AsyncResult, MapResult  # noqa: F401 - re-exported
from threefold._pool.seam import Refused, without_our_frames

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Self

    _Callback = Callable[[Any], object] | None

__all__ = ["Pool", "ThreadPool"]

# How long the end of the interpreter waits for processes that are being ended; seconds.
_EXIT_PATIENCE_S = 5.0

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_StandardPool = _standard.Pool


class Pool(PoolMaps, _StandardPool):
    """A pool of processes that make calls; one that dies costs the one call that it was making.

    Args:
        processes: how many; None means one for each processor.
        initializer: what each process calls first; if it raises, the pool's calls raise `InitializerFailed`.
        initargs: its arguments.
        maxtasksperchild: calls (of a map: chunks) after which a process is replaced; None means never.
        context: the `multiprocessing` context that starts the processes.
        max_memory_per_worker: bytes of resident memory after which a process is replaced, between two calls; in the middle of
            one it is killed if it has more for longer than a second or two.
        backend: "local", or "ray" or "dask" for the workers of a cluster.
        backend_options: what the cluster's engine takes beside.

    Differs from the standard library: the death of a process fails its call with `WorkerDied`, and nothing hangs; `imap`
    reads its source two chunks per process ahead, not all; after `terminate()` calls that were not over raise
    `PoolTerminated`. A local pool may also be made in a worker.

    Source: CPython Lib/multiprocessing/pool.py, Pool.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
        *,
        max_memory_per_worker: int | None = None,
        backend: str = seam.LOCAL,
        **backend_options: Any,
    ) -> None:
        made: object = self
        if not isinstance(made, Pool):
            # A pool of threads: the standard class calls its base by the name that is ours now.
            _StandardPool.__init__(self, processes, initializer, initargs, maxtasksperchild, context)
            return
        self._state = INIT
        self._supervisor: Any = None
        self._ctx = context or get_context()
        self._cache: dict[int, Any] = {}
        self._callbacks = _LateCallbacks()
        # How many a cluster has room for is the cluster's to say.
        is_for_all = processes is None and backend != seam.LOCAL
        self._processes = checks.worker_count(processes)
        checks.pool_options(initializer, maxtasksperchild, max_memory_per_worker)
        if backend != seam.LOCAL and context is not None:
            backend_options["context"] = context
        options = {
            "initializer": initializer,
            "initargs": tuple(initargs),
            "max_jobs_per_worker": maxtasksperchild,
            "max_memory_per_worker": max_memory_per_worker,
        }
        self._supervisor = seam.open_supervisor(
            backend, self._worker_context(), None if is_for_all else self._processes, options, backend_options
        )
        self._processes = getattr(self._supervisor, "worker_count", self._processes)
        # At exit, before the processes that are daemons are ended one by one; and when the pool is forgotten.
        self._terminate = util.Finalize(self, _end, args=(self._supervisor, self._callbacks), exitpriority=15)
        self._state = RUN
        _pools.add(self)

    @staticmethod
    def Process(ctx: Any, *arguments: Any, **keywords: Any) -> Any:  # noqa: N802 - the standard library's name
        """Make a process of the pool; for subclasses to replace."""
        return ctx.Process(*arguments, **keywords)

    def __del__(self, _warn: Any = warnings.warn, _running: str = RUN) -> None:
        if self._state == _running:
            _warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)

    def __repr__(self) -> str:
        kind = type(self)
        return f"<{kind.__module__}.{kind.__qualname__} state={self._state} pool_size={len(self._pool)}>"

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __enter__(self) -> Self:
        self._check_running()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.terminate()

    @property
    def guarantees(self) -> str:
        """What the pool promises about how often a call is made, in a sentence."""
        promised: str = getattr(self._supervisor, "guarantees", seam.GUARANTEES)
        return promised

    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        *,
        timeout: float | None = None,
        retries: int = 0,
    ) -> Any:
        """Have `func(*args, **kwds)` called by a process, and return its result.

        Args:
            func: what to call.
            args: its positional arguments.
            kwds: its keyword arguments.
            timeout: seconds that the call may take before its process is ended; None means any time.
            retries: how often the call is made again after its process has died.

        Raises:
            WorkerDied: its process died.
            TaskTimeout: it took longer than it may.
            ValueError: the pool is closed.
        """
        return self.apply_async(func, args, kwds, timeout=timeout, retries=retries).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: _Callback = None,
        error_callback: _Callback = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
    ) -> ApplyResult:
        """Begin what `apply` does.

        Args:
            func: what to call.
            args: its positional arguments.
            kwds: its keyword arguments.
            callback: what to call here with the result.
            error_callback: what to call here with the exception.
            timeout: seconds that the call may take before its process is ended; None means any time.
            retries: how often the call is made again after its process has died.

        Returns:
            The result, which can be waited for by `get()` or `await`.
        """
        if self._state != RUN:
            self._check_running()
        if timeout is not None or retries:
            checks.limits(timeout, retries)
        result = ApplyResult(self, callback, error_callback)
        try:
            arguments = args if type(args) is tuple else tuple(args)
            keywords = kwds if type(kwds) is dict else dict(kwds)
            self._supervisor.call(result, func, arguments, keywords, timeout=timeout, retries=retries)
        except Refused as refused:
            self._refuse(result, refused)
        except Exception as error:  # noqa: BLE001 - what cannot be sent fails its call, not the caller
            result._end(False, without_our_frames(error))
        return result

    def close(self) -> None:
        """Take no more calls; the processes end when those there are have been made."""
        if self._state == RUN:
            self._state = CLOSE
            self._supervisor.close()

    def terminate(self) -> None:
        """End the processes now; calls that are not over raise `PoolTerminated`."""
        self._state = TERMINATE
        if self._supervisor is not None:
            self._supervisor.terminate()
            self._supervisor.join()
            self._callbacks.close()

    def join(self) -> None:
        """Wait until the processes of a closed or terminated pool have ended, and all callbacks were made.

        Raises:
            ValueError: the pool was not closed.
        """
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("In unknown state")
        if self._supervisor is not None:
            self._supervisor.join()
            self._callbacks.join()

    @property
    def _pool(self) -> list[Any]:
        """The processes that there are."""
        return [] if self._supervisor is None else self._supervisor.processes

    def _repopulate_pool(self) -> None:
        """Do nothing: the engine replaces processes as they end."""

    def _check_running(self) -> None:
        if self._state != RUN:
            raise ValueError("Pool not running")

    def _refuse(self, ticket: Any, refused: Refused) -> NoReturn:
        self._cache.pop(ticket._job, None)
        refused.raise_failure()
        raise ValueError("Pool not running") from None

    def _worker_context(self) -> Any:
        """Return the context, with the `Process` of a subclass that has one of its own."""
        own = type(self).Process
        return self._ctx if own is Pool.Process else seam.ContextWithProcess(self._ctx, own)


class _LateCallbacks:
    """What makes a pool's callbacks, loaded with the first one: most pools have none."""

    _made: Any = None

    def begin(self) -> None:
        if self._made is None:
            from threefold._pool.callbacks import Callbacks

            self.__dict__.setdefault("_made", Callbacks())
        self._made.begin()

    def put(self, *work: Any) -> None:
        self._made.put(*work)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def join(self) -> None:
        if self._made is not None:
            self._made.join()


def _end(supervisor: Any, callbacks: _LateCallbacks) -> None:
    supervisor.terminate()
    callbacks.close()
    # Not when the pool is forgotten: that may be noticed anywhere, on the supervisor's own thread, too.
    if util.is_exiting():
        supervisor.join(_EXIT_PATIENCE_S)


def _forget_the_parents_pools() -> None:
    for pool in list(_pools):
        # The processes are the parent's: here there is nothing to be ended or waited for.
        pool._terminate.cancel()
        pool._supervisor = None
        pool._state = TERMINATE
        pool._cache = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents_pools)


def __getattr__(name: str) -> Any:
    """Look up the iterators of `imap`, which other pools do not need, and in the standard module what is not public but used."""
    if name in ("IMapIterator", "IMapUnorderedIterator"):
        from threefold._pool import streams

        return getattr(streams, name)
    return getattr(_standard, name)

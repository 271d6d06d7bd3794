"""Queues in shared memory: `multiprocessing.queues` on the engine."""

from __future__ import annotations

import functools
import sys
import traceback
import types
from collections.abc import Callable
from multiprocessing import context, util
from multiprocessing import queues as _standard
from multiprocessing.synchronize import SEM_VALUE_MAX  # type: ignore[attr-defined]
from queue import Full
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from threefold._threefold import SharedQueue as _SharedQueue
from threefold.multiprocessing import _ends, _standard_objects
from threefold.multiprocessing import _pickle as _pickle
from threefold.multiprocessing._descriptors import receive, send

if TYPE_CHECKING:
    from threefold._threefold import Wait

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]

_State = tuple[Any, ...]
_Item = TypeVar("_Item")

_standard_objects.keep(_standard, "Queue", "JoinableQueue", "SimpleQueue")
_StandardQueue: Any = _standard.Queue
_StandardSimpleQueue: Any = _standard.SimpleQueue

# The standard library's own pools wait for the pipes inside their queues, which ours do not have.
_WAIT_FOR_PIPES = frozenset({"concurrent.futures.process", "multiprocessing.pool"})


def _is_for_a_standard_pool() -> bool:
    # Below this function: `__new__`, a context's method, and who has called that.
    caller = sys._getframe(2).f_back
    return caller is not None and caller.f_globals.get("__name__") in _WAIT_FOR_PIPES


def _or_standard(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let the standard library's queues, which call `Queue`'s methods by that name, find their own ones."""
    standard = getattr(_StandardQueue, method.__name__)

    @functools.wraps(method)
    def either(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return (method if isinstance(self, Queue) else standard)(self, *arguments, **keywords)

    return either


def _checked(max_bytes: int | None) -> int | None:
    if max_bytes is not None and max_bytes < 1:
        raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
    return max_bytes


class Queue(Generic[_Item]):
    """A queue that any number of processes put to and get from.

    Differs from the standard library: `put` pickles and stores the object itself, so that no thread is needed and a
    process may be joined before its objects are taken out; a process that dies leaves the queue whole; an object that
    would need more than half of the memory raises MemoryError.

    Source: CPython Lib/multiprocessing/queues.py, Queue.
    """

    @_or_standard
    def __init__(
        self,
        maxsize: int = 0,
        *,
        ctx: Any,  # noqa: ARG002 - the standard library's signature
        max_bytes: int | None = None,
    ) -> None:
        self._maxsize = SEM_VALUE_MAX if maxsize <= 0 else maxsize
        self._begin(_SharedQueue(max(maxsize, 0), _checked(max_bytes)))

    def _begin(self, shared: _SharedQueue) -> None:
        self._shared = shared
        self._put = shared.put
        self._get = shared.get
        self._reopen()
        util.register_after_fork(self, type(self)._reopen)

    def _reopen(self) -> None:
        # What the parent has closed, its forked child may use.
        self._closed = False

    @property
    def _reader(self) -> _ends.Reader:
        """The end that is read from, for programs that know the standard queue's pipe."""
        return _ends.Reader(self._shared, lambda: self._closed)

    @property
    def _writer(self) -> _ends.Writer:
        """The end that is written to, likewise."""
        return _ends.Writer(self._shared, lambda: self._closed)

    # There is no feeder thread, and nothing that it would hold back.
    _thread = None
    _buffer = ()
    _joincancelled = True

    # Likewise for objects of the standard class only.
    _after_fork: Any = _StandardQueue._after_fork
    _feed: Any = staticmethod(_StandardQueue._feed)
    _finalize_join: Any = staticmethod(_StandardQueue._finalize_join)
    _finalize_close: Any = staticmethod(_StandardQueue._finalize_close)

    @_or_standard
    def __getstate__(self) -> _State:
        context.assert_spawning(self)
        return (self._maxsize, send(self, self._shared._descriptor()))

    @_or_standard
    def __setstate__(self, state: _State) -> None:
        self._maxsize, sent = state
        self._begin(receive(sent, _SharedQueue._find))

    def put(self, obj: _Item, block: bool = True, timeout: float | None = None) -> None:
        """Put an object.

        Args:
            obj: what to put; it is pickled before `put` returns. One that cannot be goes to `_on_queue_feeder_error`.
            block: whether to wait while the queue is full.
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            Full: there was no room in time.
            ValueError: the queue is closed.
            MemoryError: the queue would take more memory than it may.
        """
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")
        outcome = self._put(obj, block, timeout)
        if outcome is True:
            return
        if outcome is False:
            raise Full
        try:
            raise outcome
        except Exception as error:  # noqa: BLE001 - whatever pickling raises
            self._on_queue_feeder_error(error, obj)

    def get(self, block: bool = True, timeout: float | None = None, *, zero_copy: bool = False) -> _Item:
        """Take the first object.

        Args:
            block: whether to wait while the queue is empty.
            timeout: seconds to wait at most; None waits for ever.
            zero_copy: whether arrays and other large buffers stay in the queue's memory: they cannot be written to then,
                and their memory counts as the queue's until they are gone. A forked child may use those of its parent
                as long as the parent has them.

        Raises:
            Empty: there was none in time.
            ValueError: the queue is closed.

        Differs from the standard library: `zero_copy` is an addition.
        """
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")
        item: _Item = self._get(block, timeout, zero_copy)
        return item

    def put_async(self, obj: Any, timeout: float | None = None) -> Wait[None]:
        """Put an object, in a task.

        Args:
            obj: what to put; pickled when the result is first awaited. One that cannot be goes to
                `_on_queue_feeder_error`.
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            An awaitable of None.

        Raises:
            Full: there was no room in time.
            ValueError: the queue is closed.
            MemoryError: the queue would take more memory than it may.
        """
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")
        return self._shared.put_async(obj, timeout, self._on_queue_feeder_error)

    def get_async(self, timeout: float | None = None) -> Wait[Any]:
        """Take the first object, in a task.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            An awaitable of the object.

        Raises:
            Empty: there was none in time.
            ValueError: the queue is closed.
        """
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")
        return self._shared.get_async(timeout)

    def qsize(self) -> int:
        """Return how many objects are in the queue; others may put and take meanwhile."""
        return self._shared.qsize()

    def empty(self) -> bool:
        """Return whether no object is in the queue.

        Raises:
            OSError: the queue is closed, and there are objects in it.
        """
        is_empty = self._shared.qsize() == 0
        if self._closed and not is_empty:
            raise OSError("handle is closed")
        return is_empty

    def full(self) -> bool:
        """Return whether as many objects are in the queue as may be."""
        return self._shared.full()

    def get_nowait(self) -> _Item:
        """Take the first object if there is one."""
        return self.get(False)

    def put_nowait(self, obj: _Item) -> None:
        """Put an object if there is room."""
        return self.put(obj, False)

    def close(self) -> None:
        """Put and take no more in this process."""
        self._closed = True

    def join_thread(self) -> None:
        """Return at once: what was put is in the queue already."""
        assert self._closed, f"Queue {self!r} not closed"

    def cancel_join_thread(self) -> None:
        """Do nothing: there is no thread that would have to be waited for."""

    @staticmethod
    def _on_queue_feeder_error(e: Exception, obj: Any) -> None:  # noqa: ARG004 - for subclasses
        """Report an object that cannot be pickled; for subclasses to do something else about it."""
        traceback.print_exception(e)

    @classmethod
    def __class_getitem__(cls, item: Any) -> types.GenericAlias:
        return types.GenericAlias(cls, item)


class JoinableQueue(Queue[_Item]):
    """A queue whose objects are counted until they have been dealt with.

    Source: CPython Lib/multiprocessing/queues.py, JoinableQueue.
    """

    def task_done(self) -> None:
        """Say that an object that was taken has been dealt with.

        Raises:
            ValueError: all have been already.
        """
        self._shared.task_done()

    def join(self) -> None:
        """Wait until every object that was put has been dealt with."""
        self._shared.join()

    def join_async(self) -> Wait[None]:
        """Wait in a task until every object that was put has been dealt with; returns an awaitable."""
        return self._shared.join_async()


class SimpleQueue(Generic[_Item]):
    """A queue without a limit.

    Source: CPython Lib/multiprocessing/queues.py, SimpleQueue.
    """

    def __new__(cls, *, ctx: Any = None, max_bytes: int | None = None) -> Any:
        """Make one of the standard library's if its own pools ask for it."""
        if cls is SimpleQueue and max_bytes is None and ctx is not None and _is_for_a_standard_pool():
            return _StandardSimpleQueue(ctx=ctx)
        return super().__new__(cls)

    def __init__(self, *, ctx: Any, max_bytes: int | None = None) -> None:  # noqa: ARG002 - as above
        self._begin(_SharedQueue(0, _checked(max_bytes)))

    def _begin(self, shared: _SharedQueue) -> None:
        self._shared: _SharedQueue | None = shared

    def __getstate__(self) -> _State:
        context.assert_spawning(self)
        return (send(self, self._opened()._descriptor()),)

    def __setstate__(self, state: _State) -> None:
        self._begin(receive(state[0], _SharedQueue._find))

    @property
    def _reader(self) -> _ends.Reader:
        """The end that is read from, for programs that know the standard queue's pipe."""
        return _ends.Reader(self._shared, lambda: self._shared is None)

    @property
    def _writer(self) -> _ends.Writer:
        """The end that is written to, likewise."""
        return _ends.Writer(self._shared, lambda: self._shared is None)

    def _poll(self) -> bool:
        return not self.empty()

    def _opened(self) -> _SharedQueue:
        if self._shared is None:
            raise OSError("handle is closed")
        return self._shared

    def close(self) -> None:
        """Put and take no more in this process."""
        self._shared = None

    def empty(self) -> bool:
        """Return whether no object is in the queue."""
        return self._opened().qsize() == 0

    def get(self, *, zero_copy: bool = False) -> _Item:
        """Take the first object; wait for it if there is none. `zero_copy` as for `Queue.get`."""
        item: _Item = self._opened().get(zero_copy=zero_copy)
        return item

    def put(self, obj: _Item) -> None:
        """Put an object; raises what pickling it raises."""
        outcome = self._opened().put(obj)
        if isinstance(outcome, BaseException):
            raise outcome

    def get_async(self, timeout: float | None = None) -> Wait[Any]:
        """Take the first object, in a task.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Returns:
            An awaitable of the object.

        Raises:
            Empty: there was none in time.
        """
        return self._opened().get_async(timeout)

    def put_async(self, obj: Any) -> Wait[None]:
        """Put an object, in a task; the awaitable raises what pickling it raises."""
        return self._opened().put_async(obj)

    @classmethod
    def __class_getitem__(cls, item: Any) -> types.GenericAlias:
        return types.GenericAlias(cls, item)

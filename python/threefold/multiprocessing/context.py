"""The contexts that hand out the engine's objects: `multiprocessing.context` with our locks and queues."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from multiprocessing import context as _standard

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    _OnDeath = Literal["inherit", "raise"]

__all__: list[str] = []

BaseContext = _standard.BaseContext


class _OnTheEngine(_standard.BaseContext):
    """What every context of ours hands out."""

    def Lock(self, *, owner_died: _OnDeath = "inherit") -> Any:  # noqa: N802 - the standard library's name, as those below
        """Return a non-recursive lock; with `owner_died="raise"` whoever comes after a dead owner gets an OwnerDied."""
        from threefold.multiprocessing.synchronize import Lock

        return Lock(ctx=self.get_context(), owner_died=owner_died)

    def RLock(self, *, owner_died: _OnDeath = "inherit") -> Any:  # noqa: N802
        """Return a recursive lock; `owner_died` as for `Lock`."""
        from threefold.multiprocessing.synchronize import RLock

        return RLock(ctx=self.get_context(), owner_died=owner_died)

    def Condition(self, lock: Any = None, *, owner_died: _OnDeath = "inherit") -> Any:  # noqa: N802
        """Return a condition variable; `owner_died` as for `Lock`, where no lock is given."""
        from threefold.multiprocessing.synchronize import Condition

        return Condition(lock, ctx=self.get_context(), owner_died=owner_died)

    def Semaphore(self, value: int = 1, *, owner_died: _OnDeath = "inherit") -> Any:  # noqa: N802
        """Return a semaphore, which does not know its owners: `owner_died="raise"` is refused."""
        from threefold.multiprocessing.synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context(), owner_died=owner_died)

    def BoundedSemaphore(self, value: int = 1, *, owner_died: _OnDeath = "inherit") -> Any:  # noqa: N802
        """Return a bounded semaphore; `owner_died` as for `Lock`."""
        from threefold.multiprocessing.synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context(), owner_died=owner_died)

    def Event(self) -> Any:  # noqa: N802
        """Return an event."""
        from threefold.multiprocessing.synchronize import Event

        return Event(ctx=self.get_context())

    def Barrier(  # noqa: N802
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> Any:
        """Return a barrier."""
        from threefold.multiprocessing.synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context())

    def Queue(self, maxsize: int = 0, *, max_bytes: int | None = None) -> Any:  # noqa: N802
        """Return a queue; `max_bytes` of memory are the most that its objects may take, None for half of what there is."""
        from threefold.multiprocessing.queues import Queue

        return Queue(maxsize, ctx=self.get_context(), max_bytes=max_bytes)

    def JoinableQueue(self, maxsize: int = 0, *, max_bytes: int | None = None) -> Any:  # noqa: N802
        """Return a queue with `task_done` and `join`; `max_bytes` as for `Queue`."""
        from threefold.multiprocessing.queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context(), max_bytes=max_bytes)

    def SimpleQueue(self, *, max_bytes: int | None = None) -> Any:  # noqa: N802
        """Return a queue for any number of objects; `max_bytes` as for `Queue`."""
        from threefold.multiprocessing.queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context(), max_bytes=max_bytes)

    def Pipe(self, duplex: bool = True) -> Any:  # noqa: N802
        """Return the two ends of a connection."""
        from threefold.multiprocessing.connection import Pipe

        return Pipe(duplex)

    def _counterpart(self) -> Any:
        """Return the standard context of the same start method, which makes what is not ours."""
        return _standard._default_context.get_context(self.get_start_method())

    def Manager(self) -> Any:  # noqa: N802
        """Return the standard library's manager."""
        return self._counterpart().Manager()

    def Pool(  # noqa: N802
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        **options: Any,
    ) -> Any:
        """Return a pool of processes; the options are those of `threefold.multiprocessing.pool.Pool`."""
        from threefold._pool.seam import refuse_in_subinterpreters

        refuse_in_subinterpreters()
        from threefold.multiprocessing.pool import Pool

        context = {"context": self.get_context()} if options.get("backend", "local") == "local" else {}
        return Pool(processes, initializer, initargs, maxtasksperchild, **context, **options)

    def get_context(self, method: str | None = None) -> Any:
        """Return the context of a start method, or this one."""
        return self if method is None else ours(_standard.BaseContext.get_context(self, method))


class ForkContext(_OnTheEngine, _standard.ForkContext):
    """Children are forked."""


class SpawnContext(_OnTheEngine, _standard.SpawnContext):
    """Children are fresh interpreters."""


class ForkServerContext(_OnTheEngine, _standard.ForkServerContext):
    """Children are forked by a server process."""


class DefaultContext(_OnTheEngine, _standard.DefaultContext):
    """The context of the start method that was chosen for the program, be it with our module or the standard one."""

    def __init__(self) -> None:
        """Nothing is kept here: the standard default context knows the start method."""

    def get_context(self, method: str | None = None) -> Any:
        """Return the context of a start method, or of the chosen one."""
        return ours(_standard._default_context.get_context(method))

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Choose the start method."""
        _standard._default_context.set_start_method(method, force)

    def get_start_method(self, allow_none: bool = False) -> Any:
        """Return the start method's name."""
        return _standard._default_context.get_start_method(allow_none)

    def get_all_start_methods(self) -> list[str]:
        """Return the names of the start methods, the default first."""
        return _standard._default_context.get_all_start_methods()


_concrete_contexts: dict[str, Any] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
_default_context = DefaultContext()


def ours(context: Any) -> Any:
    """Return our context for a standard one; one of another library stays what it is."""
    return _concrete_contexts.get(context.get_start_method(), context)

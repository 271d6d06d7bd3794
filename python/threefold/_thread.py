"""`Thread` and `Timer`: the standard classes, started and joined through the engine."""

from __future__ import annotations

import functools
import threading as _standard

from threefold import _thread_join, _thread_start
from threefold._threefold import Event

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

if hasattr(_standard, "_start_joinable_thread"):
    _KEEPING_COUNT: dict[str, Any] = {}
else:
    from threefold import _thread_state_lock

    _KEEPING_COUNT = _thread_state_lock.METHODS

_CHANGED = {"join": _thread_join.join, "_delete": _thread_join.delete, "_has_ended": False, **_KEEPING_COUNT}
"""The attributes of a thread class that are ours."""

_ABSENT = object()
_originals: dict[type, dict[str, Any]] = {}


class Thread(_standard.Thread):
    """A thread of control; a standard `threading.Thread` whose `join()` can be seen and interrupted, and which starts sooner.

    It is the standard class underneath: `threading.enumerate()`, `current_thread()`, `fork()` and the end of the
    interpreter treat it as any other thread. As there, `start()` returns when the new thread has begun to run.

    Differs from the standard library: a `join()` that lasts is listed by `threefold waits`, and a signal handler runs
    within 150 ms even if the signal was delivered to another thread.

    Source: CPython Lib/threading.py, Thread.
    """

    start = _thread_start.start
    _bootstrap_inner = _thread_start.bootstrap_inner
    join = _thread_join.join
    _delete = _thread_join.delete
    _has_ended = False


for _name, _method in _KEEPING_COUNT.items():
    setattr(Thread, _name, _method)


class Timer(Thread, _standard.Timer):
    """A thread that calls a function after a while, unless it is cancelled before.

    Args:
        interval: seconds to wait before the call.
        function: what to call.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Source: CPython Lib/threading.py, Timer.
    """

    def __init__(
        self,
        interval: float,
        function: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(interval, function, args, kwargs)
        self.finished = Event()


Thread.__module__ = Timer.__module__ = "threefold.threading"


def _patch_thread(thread_class: type) -> None:
    """Give a standard thread class, and so its subclasses, our `join()` in place; twice is once.

    Its `start()` stays the standard one, down to the tracebacks of its threads: what makes it slow is the event that it
    waits for, which is ours wherever `threading.Event` is.
    """
    if thread_class in _originals:
        return
    _originals[thread_class] = {name: thread_class.__dict__.get(name, _ABSENT) for name in _CHANGED}
    for name, value in _CHANGED.items():
        setattr(thread_class, name, value)


def _unpatch_thread(thread_class: type) -> None:
    """Give a thread class its own methods back; a class that was not changed stays as it is."""
    for name, value in _originals.pop(thread_class, {}).items():
        if value is _ABSENT:
            delattr(thread_class, name)
        else:
            setattr(thread_class, name, value)


def _change_in_place(standard: Any) -> Callable[[], None] | None:
    """Change `threading.Thread` of the standard module, and return what puts it back; None if it is changed already."""
    if standard.Thread in _originals:
        return None
    _patch_thread(standard.Thread)
    return functools.partial(_unpatch_thread, standard.Thread)

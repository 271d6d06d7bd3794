"""The end of the interpreter: pools finish their calls, and say whom they wait for if that takes long."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from time import monotonic

# Type checkers take this name as true; at a start `typing` would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType
    from typing import Any

REPORT_AFTER_S = 5.0
"""How long the interpreter waits for pools at exit before it says for whom."""

is_exiting = False
"""Whether no pool takes calls any more."""

_executors: weakref.WeakSet[Any] = weakref.WeakSet()
_queue_by_thread: weakref.WeakKeyDictionary[threading.Thread, Any] = weakref.WeakKeyDictionary()
_not_the_program = (os.path.dirname(__file__) + os.sep, os.path.dirname(threading.__file__) + os.sep)


def add_executor(executor: Any) -> None:
    """Remember an executor, for the end of the interpreter and for forks."""
    _executors.add(executor)


def add_thread(thread: threading.Thread, queue: Any) -> None:
    """Remember a worker that the interpreter shall wait for, and the queue that it takes its calls from."""
    _queue_by_thread[thread] = queue


def _exit() -> None:
    global is_exiting
    is_exiting = True
    for executor in list(_executors):
        # A call that is just being submitted gets in before the word that there are no more.
        with executor._shutdown_lock:
            pass
    threads = list(_queue_by_thread.items())
    for _thread, queue in threads:
        queue.put(None)
    deadline = monotonic() + REPORT_AFTER_S
    for thread, _queue in threads:
        thread.join(max(0.0, deadline - monotonic()))
    late = [thread for thread, _queue in threads if thread.is_alive()]
    if late:
        _report(late)
    for thread, _queue in threads:
        thread.join()


def _report(late: Iterable[threading.Thread]) -> None:
    frames = sys._current_frames()
    lines = [f"  {thread.name} is at {_place(frames.get(thread.ident or 0))}\n" for thread in late]
    count = f"{len(lines)} thread{'s' * (len(lines) > 1)}"
    if sys.stderr is not None:
        sys.stderr.write(f"threefold: at exit, still waiting for {count} of a ThreadPoolExecutor:\n{''.join(lines)}")
        sys.stderr.flush()


def _place(frame: FrameType | None) -> str:
    """Name the innermost line that belongs to the program itself."""
    innermost = frame
    while frame is not None and frame.f_code.co_filename.startswith(_not_the_program):
        frame = frame.f_back
    frame = frame or innermost
    if frame is None:
        return "an unknown place"
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _forget_the_parents_threads() -> None:
    _queue_by_thread.clear()
    for executor in list(_executors):
        executor._begin_anew()


# As the standard pools do: before the interpreter waits for threads, while they can still be started and joined.
threading._register_atexit(_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents_threads)

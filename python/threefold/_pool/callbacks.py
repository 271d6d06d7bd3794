"""Callbacks of results, on a thread of their own: one that takes its time holds up other callbacks and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable

from threefold._thread import Thread
from threefold._threefold import Lock, SimpleQueue

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    _Work = tuple[Callable[[Any], object], Any, Callable[[], object]]


class Callbacks:
    """Makes a pool's callbacks one after another, in the order in which the results came."""

    def __init__(self) -> None:
        """Begin without a thread: most pools need none."""
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Start the thread, if there is none: from now on there may be callbacks."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    thread = Thread(target=_work, args=(self._queue,), name="threefold pool callbacks", daemon=True)
                    thread.start()
                    self._thread = thread

    def put(self, callback: Callable[[Any], object], value: Any, then: Callable[[], object]) -> None:
        """Have `callback(value)` called, and then, whether it raises or not, `then()`."""
        self._queue.put((callback, value, then))

    def close(self) -> None:
        """Have the thread end after the callbacks that there are."""
        if self._thread is not None:
            self._queue.put(None)

    def join(self) -> None:
        """Wait until they have all been made, unless one of them is asking."""
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join()


def _work(queue: SimpleQueue[_Work | None]) -> None:
    while True:
        work = queue.get()
        if work is None:
            return
        callback, value, then = work
        try:
            callback(value)
        except BaseException as error:  # noqa: BLE001 - told as what ends a thread is, but the others are made, too
            what = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(what))
        then()
        # Nothing of a call outlives it while the thread waits.
        del work, callback, value, then

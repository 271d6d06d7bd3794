"""A second thread that looks at an object after each interrupt, and says so when a look never ends."""

import queue
import threading
from collections.abc import Callable
from typing import Any

# What a look may take that needs no waiting; long, because the machine may be busy.
LIMIT_S = 10.0


class Checker:
    """Runs functions in a thread of its own, one after the other, and replaces the thread when one hangs."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(self._orders, self._answers), daemon=True).start()

    @staticmethod
    def _run(orders: Any, answers: Any) -> None:
        while (order := orders.get()) is not None:
            try:
                answers.put(order())
            except BaseException as error:
                answers.put(repr(error))

    def ask(self, function: Callable[[], Any]) -> Any:
        """Return what the function returns there, the words of its error, or "hangs".

        Args:
            function: what to run.
        """
        self._orders.put(function)
        try:
            return self._answers.get(timeout=LIMIT_S)
        except queue.Empty:
            self._start()
            return "hangs"

    def close(self) -> None:
        """End the thread."""
        self._orders.put(None)

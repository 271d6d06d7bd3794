"""Interrupts for the stress tests: an exception that an alarm raises at a random moment."""

import gc
import random
import signal
import threading
from collections.abc import Callable, Generator

import pytest


class Struck(Exception):
    """What the alarm's handler raises."""


# Seconds; the first covers the start of a loop, the last some hundred turns of it.
SHORTEST_S, LONGEST_S = 10e-6, 200e-6


class Lightning:
    """Strikes the main thread once, at a random moment of what it does."""

    def __init__(self) -> None:
        self.random = random.Random(3)

    def strike(self, work: Callable[[], None]) -> None:
        """Do work that never ends by itself, until an exception interrupts it.

        Args:
            work: what to interrupt.
        """
        try:
            signal.setitimer(signal.ITIMER_REAL, self.random.uniform(SHORTEST_S, LONGEST_S))
            work()
        except Struck:
            pass
        else:
            pytest.fail("the loop has ended by itself")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture
def lightning() -> Generator[Lightning]:
    """Offer interrupts by SIGALRM."""

    def handler(_number: int, _frame: object) -> None:
        raise Struck

    # Other test tools have callbacks on the garbage collector; an exception raised inside one goes nowhere.
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    previous = signal.signal(signal.SIGALRM, handler)
    yield Lightning()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)
    gc.callbacks[:] = callbacks


@pytest.fixture
def safe_with(lightning: Lightning) -> None:
    """Skip a test whose loops use `with` on a Python that may be interrupted between `__enter__` and the block.

    3.14 is one: its own Lock is left held there by every second interrupt.
    """
    for _ in range(40):
        lock = threading.Lock()

        def hold(lock: threading.Lock = lock) -> None:
            while True:
                with lock:
                    pass

        lightning.strike(hold)
        if lock.locked():
            pytest.skip("this Python's own `with threading.Lock()` is left held by an interrupt")

"""A signal's handler runs at once whatever the main thread is blocked in, and whichever thread the kernel gave it to."""

import signal
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from .waits import WAITS

# From the timer's start; long enough for the call to have fallen asleep.
AFTER_S = 0.03
# The promise is 150 ms. A machine that runs other programs on all its processors may keep a thread from running about
# as long again, several times over; a signal that is lost shows as 30 s here.
LATE_S = 0.150 + 0.350


class Awake(Exception):
    """What the handler raises to end the wait."""


class Watch:
    """Notes when the handler ran."""

    ran_at = 0.0

    def handle(self, _number: int, _frame: object) -> None:
        self.ran_at = time.monotonic()
        raise Awake


@pytest.fixture
def watch() -> Generator[Watch]:
    """Offer a handler of SIGALRM that ends the wait."""
    watch = Watch()
    previous = signal.signal(signal.SIGALRM, watch.handle)
    yield watch
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def other_thread() -> Generator[threading.Thread]:
    """Offer a thread that does nothing, and keep the signal from the main thread."""
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait)
    thread.start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    yield thread
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    is_over.set()
    thread.join()


def delay(block: Any, watch: Watch) -> float:
    """Return how long after the signal its handler ran, in seconds.

    Args:
        block: the call that waits.
        watch: the fixture.
    """
    due = time.monotonic() + AFTER_S
    signal.setitimer(signal.ITIMER_REAL, AFTER_S)
    with pytest.raises(Awake):
        block()
    return watch.ran_at - due


@pytest.mark.timeout(40)
@pytest.mark.parametrize("name", WAITS)
def test_the_handler_runs_while_the_main_thread_waits(name: str, watch: Watch) -> None:
    with WAITS[name]() as block:
        late = delay(block, watch)
    assert late < LATE_S, f"{name}: the handler ran {late:.3f} s after the signal"


@pytest.mark.timeout(40)
@pytest.mark.parametrize("name", WAITS)
def test_the_handler_runs_though_another_thread_got_the_signal(
    name: str, watch: Watch, other_thread: threading.Thread
) -> None:
    with WAITS[name]() as block:
        late = delay(block, watch)
    assert late < LATE_S, f"{name}: the handler ran {late:.3f} s after the signal"


@pytest.mark.timeout(40)
def test_the_handler_runs_though_a_worker_was_aimed_at(watch: Watch) -> None:
    def aim() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGALRM)

    with WAITS["Queue.get"]() as block:
        timer = threading.Timer(AFTER_S, aim)
        due = time.monotonic() + AFTER_S
        timer.start()
        with pytest.raises(Awake):
            block()
        timer.join()
    late = watch.ran_at - due
    assert late < LATE_S, f"the handler ran {late:.3f} s after the signal"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["Lock.acquire, with a timeout", "Queue.get"])
def test_no_signal_is_lost_at_the_entry_of_a_wait(name: str, watch: Watch, full_stress: bool, lightning: Any) -> None:
    signal.signal(signal.SIGALRM, watch.handle)
    count = 10_000 if full_stress else 1_000
    lateness = []
    with WAITS[name]() as block:
        for _ in range(count):
            wanted = lightning.random.uniform(1e-6, 40e-6)
            due = time.monotonic() + wanted
            try:
                signal.setitimer(signal.ITIMER_REAL, wanted)
                block()
            except Awake:
                lateness.append(watch.ran_at - due)
    late = [seconds for seconds in lateness if seconds > LATE_S]
    assert len(lateness) == count
    assert late == [], f"{name}: {len(late)} of {count} handlers ran late, the latest after {max(lateness):.3f} s"

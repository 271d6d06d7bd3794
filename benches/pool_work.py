"""What worker processes are given to do: a module of its own, which workers import by name however they were started."""

import functools
import mmap
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Says where the sample's own process keeps the counts; workers inherit it in whatever way they are started.
PLACE = "THREEFOLD_BENCH_COUNTS"
# One word for each process, by its number: so no two write the same word. Numbers this far apart do not live at once.
WORD_COUNT = 65_536
# The word that no process has: when the guilty job did its deed.
DEED = 0


@functools.cache
def words() -> memoryview:
    """Return the counts, which all processes of a sample see alike."""
    with Path(os.environ[PLACE]).open("r+b") as counts:
        return memoryview(mmap.mmap(counts.fileno(), 8 * WORD_COUNT)).cast("Q")


class Executions:
    """Counts how often jobs are executed, wherever that is."""

    def __init__(self) -> None:
        """Make the place before there are workers."""
        self._descriptor = os.memfd_create("counts")
        os.truncate(self._descriptor, 8 * WORD_COUNT)
        os.environ[PLACE] = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def count(self) -> int:
        """Return how many there were."""
        return sum(words()[DEED + 1 :])

    def deed_s(self) -> float:
        """Return when the guilty job did its deed, by `time.monotonic`; 0 if it has not."""
        return words()[DEED] / 1e9


def count_one() -> None:
    """Note that this process executes a job."""
    words()[os.getpid() % WORD_COUNT] += 1


def same(value: Any) -> Any:
    count_one()
    return value


def first(array: Any) -> float:
    count_one()
    return float(array[0])


def double(array: Any) -> Any:
    count_one()
    return array * 2


def spin(duration_s: float) -> float:
    """Keep a processor busy."""
    count_one()
    end = time.perf_counter() + duration_s
    while time.perf_counter() < end:
        pass
    return duration_s


class HasNoWayBackError(Exception):
    """It is pickled with one argument and needs two."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what)
        self.why = why


class HasNoWayBack:
    """It can be pickled, and its pickle cannot be read."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return int, ("no number",)


class HasNoWayOut:
    """It cannot be pickled, by whatever pickler."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        raise pickle.PicklingError("this stays where it is")


def leave() -> object:
    os._exit(1)


def be_killed() -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return signal.pause()


def call_sys_exit() -> object:
    sys.exit(3)


def raise_no_way_back() -> object:
    raise HasNoWayBackError("it", "because")


DEEDS: dict[str, Callable[[], object]] = {
    "os._exit(1)": leave,
    "SIGKILL": be_killed,
    "sys.exit(3)": call_sys_exit,
    "exception cannot be unpickled": raise_no_way_back,
    "result cannot be unpickled": HasNoWayBack,
    "result cannot be pickled": HasNoWayOut,
}
GUILTY = 3


def job(number: int, deed: str) -> object:
    """Return the number after a moment; the guilty one does its deed instead."""
    count_one()
    time.sleep(0.02)
    if number != GUILTY:
        return number
    words()[DEED] = time.monotonic_ns()
    return DEEDS[deed]()

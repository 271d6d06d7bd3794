"""What the workers of the pool tests do; imported by its bare name, so that fresh interpreters find it, too."""

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

LIMIT_S = 20.0
# The one item of a crash test that goes wrong.
GUILTY = 3


def record(directory: str, *words: object) -> None:
    """Append one line to the record of what was begun; whole even when several processes write at once."""
    file = os.open(f"{directory}/record", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (" ".join(map(str, words)) + "\n").encode())
    os.close(file)


class PeculiarError(Exception):
    """An exception that is pickled well and cannot be unpickled, as many are that take two arguments."""

    def __init__(self, what: str, _code: int) -> None:
        super().__init__(what)


class Unreadable:
    """An object that is pickled well and cannot be unpickled."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


class Unsendable:
    """An object that cannot be pickled."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Unsendable cannot be pickled")


def exit_at_once() -> None:
    os._exit(1)


def exit_in_order() -> None:
    sys.exit(3)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fault() -> None:
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def raise_peculiarly() -> None:
    raise PeculiarError("peculiar", 7)


def return_what_cannot_be_read() -> Any:
    return Unreadable()


def return_what_cannot_be_sent() -> Any:
    return Unsendable()


def raise_value_error() -> None:
    raise ValueError("the guilty one")


def live(directory: str, fate: Any, number: int) -> Any:
    """Record the call and return the number; the guilty one meets its fate."""
    record(directory, number, os.getpid(), time.monotonic())
    return fate() if number == GUILTY and fate else number


def live_one(item: tuple[str, Any, int]) -> Any:
    """Do the same with one argument, as `map` calls it."""
    return live(*item)


def meet(directory: str, count: int) -> int:
    """Return the worker's pid once as many workers are here at the same time."""
    Path(directory, f"{os.getpid()}.met").touch()
    end = time.monotonic() + LIMIT_S
    while len(list(Path(directory).glob("*.met"))) < count and time.monotonic() < end:
        time.sleep(0.001)
    return os.getpid()


def begin_and_sleep(directory: str, seconds: float = LIMIT_S) -> None:
    """Record the worker and sleep."""
    record(directory, os.getpid())
    time.sleep(seconds)


def record_myself(directory: str) -> None:
    """Record the worker."""
    record(directory, os.getpid())


def begin_and_hold_the_interpreter(directory: str, seconds: int = int(LIMIT_S)) -> None:
    """Record the worker and sleep in C, without letting another thread of it run."""
    record(directory, os.getpid())
    ctypes.PyDLL(None).sleep(seconds)


def begin_and_spin(directory: str) -> NoReturn:
    """Record the worker and compute for ever."""
    record(directory, os.getpid())
    while True:
        pass


def begin_deaf(directory: str) -> NoReturn:
    """Record the worker, deaf to all polite signals, and go on for ever."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    record(directory, os.getpid())
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(LIMIT_S)


def same(thing: Any) -> Any:
    """Return the argument."""
    return thing


def add(first: int, second: int = 0) -> int:
    """Return the sum."""
    return first + second


def pid(_: object = None) -> int:
    """Return the worker's pid."""
    return os.getpid()


def wait_until_it_exists(path: str) -> bool:
    """Return once there is such a file."""
    end = time.monotonic() + LIMIT_S
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.001)
    return Path(path).exists()


def fail_at_first(directory: str, number: int, how_often: int, death: Callable[[], None]) -> int:
    """Die under a task a few times, then do it."""
    record(directory, number)
    if Path(directory, "record").read_text().split().count(str(number)) <= how_often:
        death()
    return number


def fail_one_at_first(item: tuple[str, int, int, Callable[[], None]]) -> int:
    """Do the same with one argument."""
    return fail_at_first(*item)


def live_or_die(directory: str, fate: Callable[[], None] | None, number: int) -> int:
    """Record the call, and return the number if there is no fate to meet."""
    record(directory, number, os.getpid())
    if fate:
        fate()
    return number


def live_or_die_one(item: tuple[str, Callable[[], None] | None, int]) -> int:
    """Do the same with one argument."""
    return live_or_die(*item)


def add_one(number: int) -> int:
    """Return the next number."""
    return number + 1


def be_stuck() -> None:
    """Do nothing for very long."""
    time.sleep(LIMIT_S)


def nap(directory: str, number: int) -> int:
    """Record the call and sleep for 15 to 25 milliseconds."""
    record(directory, number)
    time.sleep(0.015 + number % 10 / 1000)
    return number


def count_one(directory: str, number: int) -> int:
    """Record the number, with one system call for each."""
    if directory not in records:
        records[directory] = os.open(f"{directory}/record", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(records[directory], b"%d\n" % number)
    return number


def count_item(item: tuple[str, int]) -> int:
    """Do the same with one argument."""
    return count_one(*item)


def eat(size_bytes: int) -> int:
    """Keep memory for the worker's life."""
    kept.append(b"x" * size_bytes)
    return os.getpid()


def eat_and_wait(size_bytes: int) -> None:
    """Keep memory, and return no more."""
    eat(size_bytes)
    signal.pause()


kept: list[bytes] = []
records: dict[str, int] = {}

"""What the workers of the front ends' tests do; imported by its bare name, so that fresh interpreters find it, too."""

import os
import time
from pathlib import Path
from typing import Any, NoReturn

INITIALIZED: list[Any] = []


def square(number: int) -> int:
    return number * number


def add(first: int, second: int, *, third: int = 0) -> int:
    return first + second + third


def fail(what: str) -> NoReturn:
    raise KeyError(what)


def pid(_item: object = None) -> int:
    return os.getpid()


def exit_at_once(_item: object = None) -> NoReturn:
    os._exit(7)


def exit_for_three(number: int) -> int:
    if number == 3:
        os._exit(7)
    return number


def sleep_long(_item: object = None) -> None:
    time.sleep(60)


def wait_for(path: str, limit_s: float = 20.0) -> str:
    """Wait until there is such a file."""
    end = time.monotonic() + limit_s
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.002)
    return path


def touch(path: str) -> None:
    Path(path).touch()


def keep(*values: Any) -> None:
    INITIALIZED.extend(values)


def kept(_item: object = None) -> list[Any]:
    return list(INITIALIZED)


def refuse_to_prepare() -> NoReturn:
    raise LookupError("there is no model")


def die_once(path: str) -> str:
    """Die when it is done for the first time."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "done"
    os._exit(7)


def nested(number: int) -> list[int]:
    """Use a pool in a worker."""
    from threefold.multiprocessing import Pool

    with Pool(1) as pool:
        return pool.map(square, range(number))

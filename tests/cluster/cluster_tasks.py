"""What the tests run on the workers of their clusters; it lies on the workers' path, as a program's own modules do."""

import os
import signal
import sys
import time
from pathlib import Path


def square(number):
    return number * number


def add(first, second=0, *, third=0):
    return first + second + third


def record(folder, name):
    """Leaves a file for this one execution, so that the executions can be counted."""
    Path(folder, f"{name}.{os.getpid()}.{time.monotonic_ns()}").touch()


def square_on_record(item):
    folder, number, misdeed = item
    record(folder, number)
    if misdeed is not None:
        MISDEEDS[misdeed]()
    return number * number


def wait_for_file(path):
    while not Path(path).exists():
        time.sleep(0.005)


def meet(item):
    """Returns once both tasks of a meeting have begun."""
    folder, own, other = item
    Path(folder, own).touch()
    wait_for_file(Path(folder, other))
    return own


def run_until(item):
    """Runs until a file appears that nobody may ever make."""
    started, end = item
    Path(started).write_text(str(os.getpid()))
    wait_for_file(end)


class ErrorThatCannotBeUnpickled(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class ErrorThatCannotBePickled(Exception):
    def __reduce__(self):
        raise TypeError("not this one")


class ResultThatCannotBeUnpickled:
    def __reduce__(self):
        return (int, ("no number",))


class ResultThatCannotBePickled:
    def __reduce__(self):
        raise TypeError("this stays here")


def raise_with_note(number):
    error = ValueError(f"bad {number}")
    error.add_note("a note from the worker")
    raise error


def raise_what_cannot_be_unpickled(_item):
    raise ErrorThatCannotBeUnpickled("this", "that")


def raise_what_cannot_be_pickled(_item):
    raise ErrorThatCannotBePickled("kept")


def return_what_cannot_be_unpickled(_item):
    return ResultThatCannotBeUnpickled()


def return_what_cannot_be_pickled(item):
    return ResultThatCannotBePickled() if item == 2 else item


def exit_with_3(_item):
    sys.exit(3)


def process_number(_item):
    return os.getpid()


MISDEEDS = {
    "exits at once": lambda: os._exit(1),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
}

state = None


def set_state(folder, value):
    global state
    record(folder, "initializer")
    state = value


def see_state(item):
    return state, item


def fail_to_initialize():
    raise LookupError("no database here")


def die_once(path):
    """Ends its process the first time, and returns the second time."""
    if Path(path).exists():
        return "alive"
    Path(path).touch()
    os._exit(1)


def sleep_for(seconds):
    time.sleep(seconds)
    return seconds


def acquire(lock):
    with lock:
        return "held"


def square_unless_3(number):
    if number == 3:
        raise ValueError("three")
    return number * number


def exit_unless_even(number):
    if number % 2:
        os._exit(1)
    return number

"""Tasks and initializers that treat their worker in unusual ways; imported by its bare name, as `pool_programs`."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pool_programs import LIMIT_S, begin_and_sleep, meet, record, wait_until_it_exists


def close_all_descriptors(number: int) -> int:
    """Close whatever is open, as a careless daemon would."""
    os.closerange(3, 4096)
    return number


def be_stuck_with_other_descriptors(directory: str) -> None:
    """Put pipes, from which nothing comes, in the place of all that was open, and do nothing for very long."""
    record(directory, os.getpid())
    os.closerange(3, 4096)
    pipes = [os.pipe() for _ in range(32)]
    time.sleep(LIMIT_S)
    del pipes


def leave_a_grandchild(directory: str) -> int:
    """Fork a process that outlives the task and keeps all that the worker has open."""
    child = os.fork()
    if not child:
        time.sleep(LIMIT_S)
        os._exit(0)
    record(directory, child)
    return child


def start_threads(count: int) -> int:
    """Run some threads to their end, and leave one running."""
    numbers: list[int] = []
    threads = [threading.Thread(target=numbers.append, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    threading.Thread(target=time.sleep, args=(LIMIT_S,), daemon=True).start()
    return len(numbers)


def run_program(text: str) -> str:
    """Run another program and return what it prints."""
    return subprocess.run([sys.executable, "-c", f"print({text!r})"], stdout=subprocess.PIPE, text=True).stdout.strip()


def use_a_nested_pool(method: str, directory: str) -> list[int]:
    """Map in a pool of the worker's own."""
    from threefold import multiprocessing

    with multiprocessing.get_context(method).Pool(2) as pool:
        pool.starmap(meet, [(directory, 2)] * 2, 1)
        return pool.map(abs, range(-5, 0))


def sleep_in_a_nested_pool(method: str, directory: str) -> None:
    """Have the workers of a pool of the worker's own sleep."""
    from threefold import multiprocessing

    record(directory, os.getpid())
    with multiprocessing.get_context(method).Pool(2) as pool:
        pool.starmap(begin_and_sleep, [(directory,)] * 2, 1)


def start_a_child(method: str) -> Any:
    """Start a process from a worker."""
    from threefold import multiprocessing

    child = multiprocessing.get_context(method).Process(target=abs, args=(1,))
    child.start()
    child.join(LIMIT_S)
    return child.exitcode


def fail_to_prepare(directory: str) -> NoReturn:
    """Be an initializer that fails."""
    record(directory, os.getpid())
    raise OSError("there is no such model")


def die_preparing(directory: str, how_often: int, death: Callable[[], None]) -> None:
    """Be an initializer under which the first workers die."""
    record(directory, os.getpid())
    if len(Path(directory, "record").read_text().split()) <= how_often:
        death()


def prepare_slowly(directory: str, path: str) -> None:
    """Be an initializer that ends when there is such a file."""
    record(directory, os.getpid())
    wait_until_it_exists(path)

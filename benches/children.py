"""Work in forked processes that begin at one moment and say when they are done."""

import mmap
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

FORK = multiprocessing.get_context("fork")


def shared_words(count: int) -> memoryview:
    """Return integers, all 0, that this process and its children see alike; nothing guards them."""
    return memoryview(mmap.mmap(-1, 8 * count)).cast("q")


def together(works: Sequence[Callable[[], object]]) -> tuple[float, list[Any]]:
    """Run each function in a process of its own.

    Args:
        works: what to run; they return an answer, or a function that finds it out when the time has been taken.

    Returns:
        The seconds from the moment all were let go until the last was done, and what each returned.
    """
    # Whoever reads a pipe is let go when its last writing end is closed.
    gate, opener = os.pipe()
    children, reports = [], []
    for work in works:
        receive, send = FORK.Pipe(duplex=False)
        child = FORK.Process(target=in_child, args=(gate, opener, send, work))
        child.start()
        send.close()
        children.append(child)
        reports.append(receive)
    for report in reports:
        report.recv()
    begin = time.perf_counter()
    os.close(opener)
    answers = [report.recv() for report in reports]
    for child in children:
        child.join()
    os.close(gate)
    return max(end for end, _answer in answers) - begin, [answer for _end, answer in answers]


def in_child(gate: int, opener: int, report: Connection, work: Callable[[], object]) -> None:
    """Say that this process is there, wait to be let go, work, and tell the time (one clock for all) and the answer."""
    os.close(opener)
    report.send(None)
    os.read(gate, 1)
    answer = work()
    end = time.perf_counter()
    report.send((end, answer() if callable(answer) else answer))

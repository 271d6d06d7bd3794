"""Measures the standard library and threefold in turn on this machine and prints one table."""

import concurrent.futures
import os
import platform
import queue
import statistics
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import threefold.futures
import threefold.queue
import threefold.threading

ROUND_COUNT = 5


class Side(NamedTuple):
    """The three modules that are measured together."""

    threading: ModuleType
    queue: ModuleType
    futures: ModuleType


STANDARD = Side(threading, queue, concurrent.futures)
THREEFOLD = Side(threefold.threading, threefold.queue, threefold.futures)


def beside(work: Callable[[], None], own: Callable[[], None]) -> float:
    """Runs `work` in a second thread and `own` here; seconds until both are done.

    The thread is the standard library's on both sides: only what the two
    threads do with each other is to differ.
    """
    other = threading.Thread(target=work)
    begin = time.perf_counter()
    other.start()
    own()
    other.join()
    return time.perf_counter() - begin


def queue_in_one_thread(side: Side, count: int) -> float:
    """Seconds for `count` times put and get."""
    shelf = side.queue.Queue()
    put, get = shelf.put, shelf.get
    begin = time.perf_counter()
    for number in range(count):
        put(number)
        get()
    return time.perf_counter() - begin


def producer_and_consumer(side: Side, count: int) -> float:
    """Seconds for `count` items from one thread to another; none may be lost or come twice."""
    shelf = side.queue.Queue()
    total = 0

    def produce() -> None:
        for number in range(count):
            shelf.put(number)

    def consume() -> None:
        nonlocal total
        for _ in range(count):
            total += shelf.get()

    elapsed = beside(produce, consume)
    if total != count * (count - 1) // 2:
        raise RuntimeError(f"the items taken sum to {total}, which is not what was put")
    return elapsed


def semaphore(side: Side, count: int) -> float:
    """Seconds for `count` times acquire and release, uncontended."""
    permits = side.threading.Semaphore(1)
    acquire, release = permits.acquire, permits.release
    begin = time.perf_counter()
    for _ in range(count):
        acquire()
        release()
    return time.perf_counter() - begin


def condition_ping_pong(side: Side, count: int) -> float:
    """Seconds for `count` round trips over one condition."""
    condition = side.threading.Condition()
    turn = 0

    def play(me: int) -> None:
        nonlocal turn
        for _ in range(count):
            with condition:
                while turn != me:
                    condition.wait()
                turn = 1 - me
                condition.notify()

    return beside(lambda: play(1), lambda: play(0))


def event_ping_pong(side: Side, count: int) -> float:
    """Seconds for `count` round trips over two events."""
    ping, pong = side.threading.Event(), side.threading.Event()

    def play(mine: threading.Event, yours: threading.Event) -> None:
        for _ in range(count):
            mine.wait()
            mine.clear()
            yours.set()

    ping.set()
    return beside(lambda: play(pong, ping), lambda: play(ping, pong))


def executor(side: Side, count: int) -> float:
    """Seconds for `count` calls submitted to a pool of two threads, and their results."""
    with side.futures.ThreadPoolExecutor(max_workers=2) as pool:
        begin = time.perf_counter()
        futures = [pool.submit(int, number) for number in range(count)]
        results = [future.result() for future in futures]
        elapsed = time.perf_counter() - begin
    if results != list(range(count)):
        raise RuntimeError("the pool gave back other results than expected")
    return elapsed


ROWS: list[tuple[str, Callable[[Side, int], float], int]] = [
    ("Queue: put + get, one thread", queue_in_one_thread, 50_000),
    ("Queue: producer to consumer, one item", producer_and_consumer, 50_000),
    ("Semaphore: acquire + release", semaphore, 50_000),
    ("Condition: round trip of two threads", condition_ping_pong, 3_000),
    ("Event: round trip of two threads", event_ping_pong, 3_000),
    ("ThreadPoolExecutor: submit + result", executor, 3_000),
]


def measure(work: Callable[[Side, int], float], count: int) -> tuple[float, float]:
    """Medians in microseconds for one operation: (standard library, threefold).

    The two sides take turns, so that whatever else the machine does meets both.
    """
    rounds = [(work(STANDARD, count), work(THREEFOLD, count)) for _ in range(ROUND_COUNT)]
    standard, ours = (statistics.median(times) / count * 1e6 for times in zip(*rounds, strict=True))
    return standard, ours


def main() -> int:
    """Prints the table; 2 when the standard library's names are not its own."""
    if queue.Queue.__module__ != "queue":
        print("run this under plain python: here the standard library's names are threefold's", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, median of {ROUND_COUNT} rounds in turn")
    print(f"{'microseconds, less is better':<40}{'stdlib':>10}{'threefold':>12}{'ratio':>10}")
    for name, work, count in ROWS:
        standard, ours = measure(work, count)
        print(f"{name:<40}{standard:>10.2f}{ours:>12.2f}{standard / ours:>8.1f} x", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

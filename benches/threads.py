"""Starting threads, and handing work to a pool of them."""

import time
from collections.abc import Callable
from typing import Any

from harness import UnavailableError, case, expect, home, load, times

STARTERS = {
    "threading": "threading",
    "_thread.start_joinable_thread": "_thread",
    "threefold": "threefold.threading",
}
POOLS = {
    "concurrent.futures": "concurrent.futures:ThreadPoolExecutor",
    "multiprocessing.pool": "multiprocessing.pool:ThreadPool",
    "pebble": "pebble:ThreadPool",
    "threefold": "threefold.futures:ThreadPoolExecutor",
}


@case("Thread: start + join", "us", STARTERS)
def start_and_join(peer: str) -> float:
    module = load(peer)
    count = times(5_000)
    ran: list[None] = []

    def work() -> None:
        ran.append(None)

    if home(peer) == "_thread":
        if not hasattr(module, "start_joinable_thread"):
            raise UnavailableError("not on this Python")
        begin = time.perf_counter()
        for _ in range(count):
            module.start_joinable_thread(work).join()
    else:
        begin = time.perf_counter()
        for _ in range(count):
            thread = module.Thread(target=work)
            thread.start()
            thread.join()
    elapsed = time.perf_counter() - begin
    expect(len(ran), count, "threads that ran")
    return elapsed / count * 1e6


def same(value: int) -> int:
    """Return the argument: what the pools are given to do."""
    return value


def pool_of_two(peer: str) -> tuple[Callable[[int], Any], Callable[[Any], int]]:
    """Return how to submit a number to a new pool of two threads, and how to wait for the result."""
    kind = load(peer)
    match home(peer):
        case "multiprocessing":
            pool = kind(processes=2)
            return lambda number: pool.apply_async(same, (number,)), lambda result: result.get()
        case "pebble":
            pool = kind(max_workers=2)
            return lambda number: pool.schedule(same, args=(number,)), lambda future: future.result()
        case _:
            pool = kind(max_workers=2)
            return lambda number: pool.submit(same, number), lambda future: future.result()


@case("thread pool of 2: submit all, then the results", "tasks/s", POOLS)
def submit_all(peer: str) -> float:
    submit, result = pool_of_two(peer)
    count = times(20_000)
    begin = time.perf_counter()
    futures = [submit(number) for number in range(count)]
    results = [result(future) for future in futures]
    elapsed = time.perf_counter() - begin
    expect(results, list(range(count)), "the results")
    return count / elapsed


@case("thread pool of 2: one at a time", "us", POOLS)
def one_at_a_time(peer: str) -> float:
    submit, result = pool_of_two(peer)
    count = times(3_000)
    begin = time.perf_counter()
    results = [result(submit(number)) for number in range(count)]
    elapsed = time.perf_counter() - begin
    expect(results, list(range(count)), "the results")
    return elapsed / count * 1e6

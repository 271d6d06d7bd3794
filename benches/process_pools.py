"""Pools of two worker processes: starting, small jobs, large arrays. Every execution of a job is counted."""

import time
from collections.abc import Callable
from typing import Any

import pool_work
from harness import case, expect, load, times
from pool_ends import POOLS, WITH_IMAP, WITH_SUBMIT, StandardPool, open_pool

# Peers that need much longer for a job of its own get fewer of them.
FAST = ("multiprocessing", "threefold.multiprocessing")


def counted(peer: str, job_count: int, work: Callable[[StandardPool], Any]) -> tuple[float, Any]:
    """Run some work on a pool that is up and warm.

    Args:
        peer: the pool's address.
        job_count: executions that the work must come to, no matter where.
        work: what to do with the pool.

    Returns:
        The seconds that the work took, and what it returned.
    """
    executions = pool_work.Executions()
    pool = open_pool(peer)
    expect(list(pool.map(pool_work.same, [1, 2], 1)), [1, 2], "the first results")
    begin = time.perf_counter()
    answer = work(pool)
    elapsed = time.perf_counter() - begin
    expect(executions.count(), 2 + job_count, "executions of jobs")
    pool.close()
    return elapsed, answer


def jobs_for(peer: str, fast_count: int, slow_count: int) -> list[int]:
    return list(range(times(fast_count if peer in FAST else slow_count)))


@case("start-up of a pool", "ms", POOLS)
def start_up(peer: str) -> dict[str, float]:
    executions = pool_work.Executions()
    load(peer)
    begin = time.perf_counter()
    pool = open_pool(peer)
    results = list(pool.map(pool_work.same, [1, 2], 1))
    up = time.perf_counter()
    pool.close()
    down = time.perf_counter()
    expect((results, executions.count()), ([1, 2], 2), "the first results, and executions")
    return {"until 2 results": (up - begin) * 1e3, "close and join": (down - up) * 1e3}


@case("map, chunksize=1", "jobs/s", POOLS)
def map_by_one(peer: str) -> float:
    items = jobs_for(peer, 50_000, 5_000)
    elapsed, results = counted(peer, len(items), lambda pool: pool.map(pool_work.same, items, 1))
    expect(list(results), items, "the results")
    return len(items) / elapsed


@case("map 100,000, in chunks", "jobs/s", POOLS)
def map_in_chunks(peer: str) -> float:
    items = list(range(times(100_000)))
    elapsed, results = counted(peer, len(items), lambda pool: pool.map(pool_work.same, items, None))
    expect(list(results), items, "the results")
    return len(items) / elapsed


@case("imap, one by one", "jobs/s", WITH_IMAP)
def imap(peer: str) -> float:
    items = jobs_for(peer, 50_000, 5_000)
    elapsed, results = counted(peer, len(items), lambda pool: list(pool.imap(pool_work.same, items)))
    expect(results, items, "the results")
    return len(items) / elapsed


@case("one call at a time", "us", POOLS)
def one_at_a_time(peer: str) -> float:
    count = times(500)

    def work(pool: StandardPool) -> list[Any]:
        return [pool.call(pool_work.same, number) for number in range(count)]

    elapsed, results = counted(peer, count, work)
    expect(results, list(range(count)), "the results")
    return elapsed / count * 1e6


@case("submit each, then the results", "jobs/s", WITH_SUBMIT)
def submit_all(peer: str) -> float:
    items = jobs_for(peer, 20_000, 5_000)

    def work(pool: StandardPool) -> list[Any]:
        submitted = [pool.submit(pool_work.same, number) for number in items]
        return [pool.result(each) for each in submitted]

    elapsed, results = counted(peer, len(items), work)
    expect(results, items, "the results")
    return len(items) / elapsed


@case("map 1,000 jobs of 1 ms, in chunks", "jobs/s", POOLS)
def map_busy(peer: str) -> float:
    count = times(1_000)
    elapsed, results = counted(peer, count, lambda pool: pool.map(pool_work.spin, [0.001] * count, None))
    expect(list(results), [0.001] * count, "the results")
    return count / elapsed


def arrays(count: int) -> list[Any]:
    numpy = load("numpy")
    return [numpy.full(1_000_000, float(number)) for number in range(times(count))]


@case("map over arrays of 8 MB, to workers", "MB/s", POOLS)
def arrays_there(peer: str) -> float:
    items = arrays(50)
    elapsed, results = counted(peer, len(items), lambda pool: pool.map(pool_work.first, items, 1))
    expect(list(results), [float(number) for number in range(len(items))], "the first of each array")
    return len(items) * 8 / elapsed


@case("map over arrays of 8 MB, there and back", "MB/s", POOLS)
def arrays_there_and_back(peer: str) -> float:
    items = arrays(25)
    elapsed, results = counted(peer, len(items), lambda pool: pool.map(pool_work.double, items, 1))
    ends = [(float(array[0]), float(array[-1]), len(array)) for array in results]
    expect(ends, [(2.0 * number, 2.0 * number, 1_000_000) for number in range(len(items))], "the ends of each array")
    return len(items) * 8 / elapsed

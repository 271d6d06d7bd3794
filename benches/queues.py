"""Queues between threads."""

import threading
import time
from collections.abc import Callable

from harness import case, expect, load, times
from queue_ends import thread_ends

PEERS = {
    "queue.Queue": "queue:Queue",
    "queue.SimpleQueue": "queue:SimpleQueue",
    "culsans": "culsans:Queue",
    "janus": "janus:Queue",
    "aiologic.Queue": "aiologic:Queue",
    "aiologic.SimpleQueue": "aiologic:SimpleQueue",
    "threefold": "threefold.queue:Queue",
    "threefold.SimpleQueue": "threefold.queue:SimpleQueue",
}


@case("put + get, one thread", "ns", PEERS | {"asyncio.Queue (nowait)": "asyncio:Queue"})
def put_and_get(peer: str) -> float:
    if peer.startswith("asyncio"):
        queue = load(peer)()
        put, get = queue.put_nowait, queue.get_nowait
    else:
        put, get = thread_ends(peer)
    count = times(100_000)
    item = None
    begin = time.perf_counter_ns()
    for number in range(count):
        put(number)
        item = get()
    elapsed = time.perf_counter_ns() - begin
    expect(item, count - 1, "the last item")
    put("end")
    expect(get(), "end", "what follows the last item")
    return elapsed / count


@case("put + get, `mutex` touched", "ns", {"queue.Queue": "queue:Queue", "threefold": "threefold.queue:Queue"})
def put_and_get_compatible(peer: str) -> float:
    queue = load(peer)()
    with queue.mutex:
        pass
    count = times(50_000)
    begin = time.perf_counter_ns()
    for number in range(count):
        queue.put(number)
        queue.get()
    elapsed = time.perf_counter_ns() - begin
    expect((queue.unfinished_tasks, len(queue.queue)), (count, 0), "items put, and items left")
    return elapsed / count


def stream(peer: str, producer_count: int, consumer_count: int, each_count: int, maxsize: int = 0) -> float:
    """Return the items moved in a second from some threads to others, which must receive each item exactly once.

    Args:
        peer: the address of the queue's class.
        producer_count: threads that put.
        consumer_count: threads that get.
        each_count: items that each producer puts.
        maxsize: of the queue.
    """
    put, get = thread_ends(peer, maxsize)
    total_count = each_count * producer_count
    received: list[list[int]] = []

    def produce(first: int) -> None:
        for number in range(first, first + each_count):
            put(number)

    def consume(count: int) -> None:
        received.append([get() for _ in range(count)])

    threads = [threading.Thread(target=consume, args=(total_count // consumer_count,)) for _ in range(consumer_count)]
    threads += [threading.Thread(target=produce, args=(n * each_count,)) for n in range(producer_count)]
    elapsed = run(threads)
    items = [item for part in received for item in part]
    # One producer and one consumer keep the order; of several nobody knows who was first.
    expect(items if producer_count == consumer_count == 1 else sorted(items), list(range(total_count)), "the items")
    return total_count / elapsed


def run(threads: list[threading.Thread]) -> float:
    """Run threads to their end; return the seconds it took."""
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


@case("1 producer, 1 consumer", "items/s", PEERS)
def one_to_one(peer: str) -> float:
    return stream(peer, 1, 1, times(100_000))


@case("4 producers, 4 consumers", "items/s", PEERS)
def four_to_four(peer: str) -> float:
    return stream(peer, 4, 4, times(25_000))


@case("4 producers, 4 consumers, maxsize=100", "items/s", PEERS)
def four_to_four_bounded(peer: str) -> float:
    return stream(peer, 4, 4, times(10_000), maxsize=100)


@case("1 producer, 1 consumer, maxsize=1", "items/s", PEERS)
def hand_over(peer: str) -> float:
    return stream(peer, 1, 1, times(20_000), maxsize=1)


@case("round trip, 2 threads, 2 queues", "us", PEERS)
def round_trip(peer: str) -> float:
    put_there, get_there = thread_ends(peer)
    put_back, get_back = thread_ends(peer)
    count = times(10_000)
    echo = threading.Thread(target=answer, args=(get_there, put_back, count))
    echo.start()
    answers = []
    begin = time.perf_counter()
    for number in range(count):
        put_there(number)
        answers.append(get_back())
    elapsed = time.perf_counter() - begin
    echo.join()
    expect(answers, list(range(count)), "the answers")
    return elapsed / count * 1e6


def answer(get: Callable[[], object], put: Callable[[object], object], count: int) -> None:
    """Send back what comes, `count` times."""
    for _ in range(count):
        put(get())

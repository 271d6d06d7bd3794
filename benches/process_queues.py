"""Messages between processes, from an int to an array of 8 MB."""

import pickle
import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from children import together
from harness import case, expect, load, times
from process_ends import process_ends

PEERS = {
    "multiprocessing.Queue": "multiprocessing:Queue",
    "multiprocessing.SimpleQueue": "multiprocessing:SimpleQueue",
    "multiprocessing.Pipe": "multiprocessing:Pipe",
    "faster-fifo": "faster_fifo:Queue",
    "threefold": "threefold.multiprocessing:Queue",
    "threefold.Pipe": "threefold.multiprocessing:Pipe",
}
MANY_PEERS = {name: peer for name, peer in PEERS.items() if not name.endswith("Pipe")}
MEMCPY = {"memcpy, in one process": "numpy:copyto"}
INT_BYTES, TUPLE_BYTES = 8, 40
# From here on a case is measured in megabytes.
LARGE_BYTES = 64 * 1024
# Messages of one case: enough to notice one that is lost, sent twice or overtaken, few enough to be made before it begins.
DIFFERENT_COUNT = 16


def shape(producer_count: int, consumer_count: int) -> Callable[[str], float]:
    """Return a case's function: ints in a second from some processes to others, which receive each int exactly once."""

    def measure(peer: str) -> float:
        put, get = process_ends(peer, INT_BYTES, one_to_one=producer_count == consumer_count == 1)
        each_count = times(100_000) // producer_count
        total_count = each_count * producer_count

        def producer(first: int) -> Callable[[], None]:
            def produce() -> None:
                for number in range(first, first + each_count):
                    put(number)

            return produce

        def consume() -> list[int]:
            return [get() for _ in range(total_count // consumer_count)]

        producers = [producer(number * each_count) for number in range(producer_count)]
        elapsed, answers = together([consume] * consumer_count + producers)
        items = [item for part in answers[:consumer_count] for item in part]
        # One producer and one consumer keep the order; of several nobody knows who was first.
        if not producer_count == consumer_count == 1:
            items.sort()
        expect(items, list(range(total_count)), "the ints")
        return total_count / elapsed

    return measure


def stream(peer: str, messages: Sequence[Any], count: int, message_bytes: int) -> float:
    """Return the seconds that messages take from one process to another, in order.

    Args:
        peer: the address of the queue's class.
        messages: they are sent over and over; the first thing in each is its index.
        count: how many to send.
        message_bytes: about how long each is.
    """
    put, get = process_ends(peer, message_bytes)
    mark = itemgetter(0)
    different_count = len(messages)

    def produce() -> None:
        for number in range(count):
            put(messages[number % different_count])

    def consume() -> Callable[[], tuple[list[int], bool]]:
        marks = [mark(get()) for _ in range(count - 1)]
        last = get()

        def look() -> tuple[list[int], bool]:
            # Every byte of one message; of the others the first has to do.
            is_whole = pickle.dumps(last) == pickle.dumps(messages[(count - 1) % len(messages)])
            return [int(found) for found in (*marks, mark(last))], is_whole

        return look

    elapsed, (_nothing, (marks, is_whole)) = together([produce, consume])
    expect(marks, [number % len(messages) for number in range(count)], "the first of each message")
    expect(is_whole, True, "the last message is what was sent")
    return elapsed


def tuples() -> list[Any]:
    return [(number, "name", 0.5, None, True) for number in range(DIFFERENT_COUNT)]


def texts(length_bytes: int) -> list[Any]:
    return [bytes([number]) * length_bytes for number in range(DIFFERENT_COUNT)]


def arrays() -> list[Any]:
    numpy = load("numpy")
    return [numpy.full(1_000_000, float(number)) for number in range(4)]


def flow(message_bytes: int, full_count: int, make: Callable[[], list[Any]]) -> Callable[[str], float]:
    """Return a case's function: messages in a second, or the megabytes in them if they are large.

    Args:
        message_bytes: about how long one is.
        full_count: how many to send.
        make: returns different ones.
    """

    def measure(peer: str) -> float:
        count = times(full_count)
        rate = count / stream(peer, make(), count, message_bytes)
        return rate if message_bytes < LARGE_BYTES else rate * message_bytes / 1e6

    return measure


for producer_count in (1, 4):
    for consumer_count in (1, 4):
        plural = "s" if producer_count > 1 else "", "s" if consumer_count > 1 else ""
        name = f"ints, {producer_count} producer{plural[0]}, {consumer_count} consumer{plural[1]}"
        one = producer_count == consumer_count == 1
        case(name, "messages/s", PEERS if one else MANY_PEERS)(shape(producer_count, consumer_count))

case("tuples of 5", "messages/s", PEERS)(flow(TUPLE_BYTES, 50_000, tuples))
case("bytes, 1 KiB", "messages/s", PEERS)(flow(1024, 50_000, lambda: texts(1024)))
case("bytes, 64 KiB", "MB/s", PEERS)(flow(LARGE_BYTES, 5_000, lambda: texts(LARGE_BYTES)))
case("bytes, 1 MiB", "MB/s", PEERS)(flow(2**20, 400, lambda: texts(2**20)))


@case("numpy array, 8 MB", "MB/s", PEERS | MEMCPY)
def array_flow(peer: str) -> float:
    return copy_rate(load(peer)) if peer.startswith("numpy") else flow(8_000_000, 60, arrays)(peer)


def copy_rate(copy: Callable[[Any, Any], None]) -> float:
    """Return the megabytes in a second that are copied from one array to another: no queue can be faster."""
    source, target = arrays()[1], arrays()[0]
    count = times(200)
    begin = time.perf_counter()
    for _ in range(count):
        copy(target, source)
    elapsed = time.perf_counter() - begin
    expect(bool((target == source).all()), True, "the copy is what was copied")
    return count * 8 / elapsed


@case("round trip, 2 processes, 2 queues", "us", PEERS)
def round_trip(peer: str) -> float:
    put_there, get_there = process_ends(peer)
    put_back, get_back = process_ends(peer)
    count = times(5_000)

    def ask() -> list[int]:
        answers = []
        for number in range(count):
            put_there(number)
            answers.append(get_back())
        return answers

    def answer() -> None:
        for _ in range(count):
            put_back(get_there())

    elapsed, (answers, _nothing) = together([ask, answer])
    expect(answers, list(range(count)), "the answers")
    return elapsed / count * 1e6

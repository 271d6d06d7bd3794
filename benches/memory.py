"""What an idle object costs: the growth of the process's own memory while many are made."""

import gc
from collections.abc import Callable

from harness import case, expect, load, times
from process_ends import process_ends
from queue_ends import Get, Put
from resident import resident_bytes

OBJECT_COUNT = 50_000

IDLE = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")
THREADING = {"threading": "threading", "threefold": "threefold.threading"}
QUEUE = {"queue": "queue", "threefold": "threefold.queue"}
PROCESS_QUEUE = {
    "multiprocessing": "multiprocessing:Queue",
    "faster-fifo": "faster_fifo:Queue",
    "threefold": "threefold.multiprocessing:Queue",
}
# Each has descriptors, of which a process has about a thousand.
PROCESS_QUEUE_COUNT = 100
QUEUED_COUNT = 10_000


def bytes_each(make: Callable[[], object], full_count: int = OBJECT_COUNT, first_count: int = 1_000) -> float:
    """Return the bytes that one object takes, its Python header and what it points to included.

    Args:
        make: returns a new one.
        full_count: how many to make.
        first_count: how many to make before.
    """
    count = times(full_count)
    # The first ones pay for what all share, and use up what free memory there is; the list is there before the objects are.
    first = [make() for _ in range(first_count)]
    kept: list[object] = [None] * count
    gc.collect()
    gc.disable()
    before = resident_bytes()
    for number in range(count):
        kept[number] = make()
    grown = resident_bytes() - before
    expect(len({id(each) for each in first + kept}), len(first) + count, "different objects")
    return grown / count


def idle(class_name: str) -> Callable[[str], float]:
    """Return a case's function: bytes of an object that nobody has used."""
    return lambda peer: bytes_each(getattr(load(peer), class_name))


for class_name in IDLE:
    case(f"idle {class_name}", "bytes", THREADING)(idle(class_name))
for class_name in QUEUES:
    case(f"empty {class_name}", "bytes", QUEUE)(idle(class_name))


@case("idle Barrier", "bytes", THREADING)
def idle_barrier(peer: str) -> float:
    kind = load(peer).Barrier
    return bytes_each(lambda: kind(2))


@case("Queue, used and empty again", "bytes", QUEUE)
def used_queue(peer: str) -> float:
    kind = load(peer).Queue

    def make() -> object:
        queue = kind()
        queue.put(None)
        queue.get()
        return queue

    return bytes_each(make)


@case("Lock, used", "bytes", THREADING)
def used_lock(peer: str) -> float:
    kind = load(peer).Lock

    def make() -> object:
        lock = kind()
        with lock:
            pass
        return lock

    return bytes_each(make)


@case("Queue between processes, idle", "bytes", PROCESS_QUEUE)
def idle_process_queue(peer: str) -> float:
    return bytes_each(lambda: process_ends(peer), PROCESS_QUEUE_COUNT, 10)


@case("Queue between processes, used and empty again", "bytes", PROCESS_QUEUE)
def used_process_queue(peer: str) -> float:
    def make() -> object:
        put, get = process_ends(peer)
        put(None)
        get()
        return put, get

    return bytes_each(make, PROCESS_QUEUE_COUNT, 10)


@case("Queue between processes, 10,000 ints", "bytes", PROCESS_QUEUE)
def filled_process_queue(peer: str) -> float:
    def make() -> tuple[Put, Get]:
        put, get = process_ends(peer)
        for number in range(QUEUED_COUNT):
            put(number)
        return put, get

    gets: list[Get] = []
    each = bytes_each(lambda: gets.append(make()[1]) or gets[-1], 10, 1)
    for get in gets:
        expect([get() for _ in range(QUEUED_COUNT)], list(range(QUEUED_COUNT)), "the ints")
    return each

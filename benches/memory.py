"""What an idle object costs: the growth of the process's own memory while many are made."""

import gc
import resource
from collections.abc import Callable
from pathlib import Path

from harness import case, expect, load, times

OBJECT_COUNT = 50_000

IDLE = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")
THREADING = {"threading": "threading", "threefold": "threefold.threading"}
QUEUE = {"queue": "queue", "threefold": "threefold.queue"}


def resident_bytes() -> int:
    """Return how much of this process is in memory: of whatever allocator, Python's or Rust's."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def bytes_each(make: Callable[[], object]) -> float:
    """Return the bytes that one object takes, its Python header and what it points to included."""
    count = times(OBJECT_COUNT)
    # The first ones pay for what all share, and use up what free memory there is; the list is there before the objects are.
    first = [make() for _ in range(1_000)]
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

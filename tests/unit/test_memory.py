"""How much memory idle objects take: a Lock and an empty Queue are small enough to have one for each record."""

import os
import subprocess
import sys

import pytest

COUNT = 100_000

# Grows the heap by many objects, and says by how much each. The list that holds them is made before, so that it does not
# count; the memory is what the kernel has given the process, so it includes the allocator's own bookkeeping.
PROGRAM = f"""
import sys
from threefold.queue import LifoQueue, PriorityQueue, Queue, SimpleQueue
from threefold.threading import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

def resident():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

make = {{"Barrier": lambda: Barrier(2)}}.get(sys.argv[1]) or globals()[sys.argv[1]]
some = [make() for _ in range(1_000)]
many = [0] * {COUNT}
before = resident()
for number in range({COUNT}):
    many[number] = make()
print((resident() - before) / {COUNT})
"""

# A Python object's own header: its reference count and its type.
HEADER_BYTES = 16

LIMITS = {
    "Lock": 64 + HEADER_BYTES,
    "Queue": 512,
    "LifoQueue": 512,
    "SimpleQueue": 512,
    "PriorityQueue": 800,
    "RLock": 128,
    "Event": 256,
    "Semaphore": 256,
    "BoundedSemaphore": 256,
    "Condition": 512,
    "Barrier": 512,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", LIMITS)
def test_an_idle_object_is_small(name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", PROGRAM, name]
    taken = float(subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout)
    assert taken <= LIMITS[name] + 1, f"an idle {name} takes {taken:.0f} bytes"

"""What can be replaced in the standard library: by part and module, the names and the module of ours that has them."""

import sys


class Home:
    """A standard module some of whose names are replaced.

    Args:
        part: the part that its names belong to, as `--only` and `install(only=...)` call it.
        ours: the module of ours that has the same names.
        names: what is replaced.
    """

    __slots__ = ("names", "ours", "part")

    def __init__(self, part: str, ours: str, *names: str) -> None:
        self.part = part
        self.ours = ours
        self.names = names


# `threading.Thread` stays the class it is; its `start` and `join` change. The methods of `multiprocessing` and of its
# contexts import from these submodules when they are called, so that nothing else has to change there.
HOMES = {
    "threading": Home(
        "threading",
        "threefold.threading",
        "Lock",
        "RLock",
        "Condition",
        "Semaphore",
        "BoundedSemaphore",
        "Event",
        "Barrier",
    ),
    "queue": Home("queue", "threefold.queue", "Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    "concurrent.futures.thread": Home("futures", "threefold.futures", "ThreadPoolExecutor"),
    "multiprocessing.synchronize": Home(
        "multiprocessing",
        "threefold.multiprocessing.synchronize",
        "Lock",
        "RLock",
        "Condition",
        "Semaphore",
        "BoundedSemaphore",
        "Event",
        "Barrier",
    ),
    "multiprocessing.queues": Home(
        "multiprocessing", "threefold.multiprocessing.queues", "Queue", "JoinableQueue", "SimpleQueue"
    ),
    "multiprocessing.pool": Home("multiprocessing", "threefold.multiprocessing.pool", "Pool"),
    "concurrent.futures.process": Home("futures", "threefold._process_executor", "ProcessPoolExecutor"),
    "multiprocessing.connection": Home("multiprocessing", "threefold.multiprocessing.connection", "Connection", "Pipe"),
    # The loop of a program that does not choose one comes from the standard policy, which changes in place.
    "asyncio": Home("asyncio", "threefold.asyncio", *(("EventLoop",) if sys.version_info >= (3, 13) else ())),
    # uvicorn never asks the standard library for a loop: unless it is told which, it takes uvloop's or names a class.
    "uvicorn.loops.auto": Home("asyncio", "threefold.asyncio._uvicorn"),
}
"""The modules that change, by name: the standard library's, and what chooses a loop past it."""

PARTS = tuple(dict.fromkeys(home.part for home in HOMES.values()))

NEEDS_ORIGINAL = {
    "multiprocessing.synchronize": ("threading", "Barrier"),
    "concurrent.futures.interpreter": ("concurrent.futures.thread", "ThreadPoolExecutor"),
    "concurrent.futures.process": ("multiprocessing.queues", "Queue"),
}
"""Modules that derive a class from a standard one and use its private attributes: its module and name."""

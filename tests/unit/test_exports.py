"""Our modules offer every public name of the standard library's, and the exceptions are the same objects."""

import concurrent.futures
import importlib
import inspect
import multiprocessing
import queue
import sys
import threading
from types import ModuleType

import pytest

import threefold.futures
import threefold.multiprocessing
import threefold.queue
import threefold.threading

PAIRS = [
    pytest.param(threading, threefold.threading, id="threading"),
    pytest.param(queue, threefold.queue, id="queue"),
    pytest.param(concurrent.futures, threefold.futures, id="futures"),
]
# Its public names are functions that make objects.
ALL_PAIRS = [*PAIRS, pytest.param(multiprocessing, threefold.multiprocessing, id="multiprocessing")]
# What runs on the engine, by our module; all else that is public is the standard library's own object.
ON_THE_ENGINE = {
    "threefold.threading": {
        "Barrier",
        "BoundedSemaphore",
        "Condition",
        "Event",
        "Lock",
        "RLock",
        "Semaphore",
        "Thread",
        "Timer",
    },
    "threefold.queue": {"LifoQueue", "PriorityQueue", "Queue", "SimpleQueue"},
    "threefold.futures": {"ProcessPoolExecutor", "ThreadPoolExecutor"},
    "threefold.multiprocessing": {
        "Array",
        "Barrier",
        "BoundedSemaphore",
        "Condition",
        "Event",
        "JoinableQueue",
        "Lock",
        "Pipe",
        "Pool",
        "Queue",
        "RLock",
        "Semaphore",
        "SimpleQueue",
        "Value",
        "get_context",
    },
}


def is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


@pytest.mark.parametrize(("standard", "ours"), ALL_PAIRS)
def test_every_public_name_is_there(standard: ModuleType, ours: ModuleType) -> None:
    assert sorted(set(standard.__all__) - set(ours.__all__)) == []
    assert [name for name in standard.__all__ if not hasattr(ours, name)] == []


@pytest.mark.parametrize(("standard", "ours"), ALL_PAIRS)
def test_every_name_that_we_list_is_there(standard: ModuleType, ours: ModuleType) -> None:
    assert [name for name in ours.__all__ if not hasattr(ours, name)] == []
    assert len(ours.__all__) == len(set(ours.__all__))


@pytest.mark.parametrize(("standard", "ours"), ALL_PAIRS)
def test_exceptions_are_the_same_objects(standard: ModuleType, ours: ModuleType) -> None:
    names = [name for name in standard.__all__ if is_exception(getattr(standard, name))]
    assert [name for name in names if getattr(ours, name) is not getattr(standard, name)] == []
    assert names


@pytest.mark.parametrize(("standard", "ours"), ALL_PAIRS)
def test_what_the_engine_does_not_replace_is_the_standard_object(standard: ModuleType, ours: ModuleType) -> None:
    kept = set(standard.__all__) - ON_THE_ENGINE[ours.__name__]
    assert [name for name in sorted(kept) if getattr(ours, name) is not getattr(standard, name)] == []


@pytest.mark.parametrize(("standard", "ours"), PAIRS)
def test_what_the_engine_replaces_is_a_class_of_ours(standard: ModuleType, ours: ModuleType) -> None:
    for name in sorted(ON_THE_ENGINE[ours.__name__]):
        replacement = getattr(ours, name)
        assert inspect.isclass(replacement), name
        assert replacement is not getattr(standard, name), name
        assert replacement.__name__ == name
        assert replacement.__doc__, name


@pytest.mark.parametrize(("standard", "ours"), PAIRS)
def test_a_class_says_where_it_can_be_found(standard: ModuleType, ours: ModuleType) -> None:
    for name in sorted(ON_THE_ENGINE[ours.__name__]):
        replacement = getattr(ours, name)
        home = importlib.import_module(replacement.__module__)
        assert getattr(home, replacement.__qualname__) is replacement, name


def test_shutdown_has_its_exception_on_every_python() -> None:
    assert "ShutDown" in threefold.queue.__all__
    if sys.version_info >= (3, 13):
        assert threefold.queue.ShutDown is queue.ShutDown
    else:
        assert issubclass(threefold.queue.ShutDown, Exception)


def test_a_thread_of_ours_is_a_standard_thread() -> None:
    assert issubclass(threefold.threading.Thread, threading.Thread)
    assert issubclass(threefold.threading.Timer, threading.Thread)
    assert issubclass(threefold.futures.ThreadPoolExecutor, concurrent.futures.Executor)


def test_an_engine_class_is_the_same_wherever_it_is_imported_from() -> None:
    engine = importlib.import_module("threefold._threefold")
    assert threefold.threading.Lock is engine.Lock
    assert threefold.queue.SimpleQueue is engine.SimpleQueue

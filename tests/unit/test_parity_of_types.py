"""Each type is the kind of thing that the standard library's is: what it can be derived, copied and asked for."""

from __future__ import annotations

import copy
import inspect
import pickle
import queue
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import threefold.queue
import threefold.threading

NAMES = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier")
QUEUE_NAMES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")
ALL_NAMES = NAMES + QUEUE_NAMES
STANDARD = SimpleNamespace(
    **{name: getattr(threading, name) for name in NAMES}, **{name: getattr(queue, name) for name in QUEUE_NAMES}
)
OURS = SimpleNamespace(
    **{name: getattr(threefold.threading, name) for name in NAMES},
    **{name: getattr(threefold.queue, name) for name in QUEUE_NAMES},
)
# The arguments without which a type makes no object.
ARGUMENTS = {"Barrier": (1,)}


def make(namespace: Any, name: str) -> Any:
    """Return a new object of a type."""
    return getattr(namespace, name)(*ARGUMENTS.get(name, ()))


@pytest.mark.parametrize("name", ALL_NAMES)
@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_the_standard_library_refuses_to_copy_is_refused(name: str, duplicate: Callable[[Any], Any]) -> None:
    try:
        duplicate(make(STANDARD, name))
    except TypeError as error:
        # The standard message names the lock that the object is made of, ours the object.
        expected = str(error).split(" ", 2)[:2]
        with pytest.raises(TypeError) as caught:
            duplicate(make(OURS, name))
        assert str(caught.value).split(" ", 2)[:2] == expected


@pytest.mark.parametrize("name", ALL_NAMES)
def test_an_object_can_be_referred_to_weakly(name: str) -> None:
    thing = make(OURS, name)
    reference = weakref.ref(thing)
    assert reference() is thing
    del thing
    assert reference() is None


@pytest.mark.parametrize("name", [name for name in ALL_NAMES if name != "Lock"])
def test_a_type_can_be_derived_from(name: str) -> None:
    class Derived(getattr(OURS, name)):  # type: ignore[misc]
        def __init__(self, *arguments: Any, label: str = "") -> None:
            super().__init__(*arguments)
            self.label = label

    thing = Derived(*ARGUMENTS.get(name, ()), label="mine")
    assert isinstance(thing, getattr(OURS, name))
    assert thing.label == "mine"


def test_a_lock_cannot_be_derived_from() -> None:
    with pytest.raises(TypeError):
        type("Derived", (OURS.Lock,), {})


@pytest.mark.parametrize("name", ALL_NAMES)
def test_a_type_is_a_type(name: str) -> None:
    kind = getattr(OURS, name)
    assert isinstance(kind, type)
    assert isinstance(make(OURS, name), kind)
    assert isinstance(None, kind | None)
    assert kind.__name__ == kind.__qualname__ == name
    assert kind.__module__.split(".")[0] == "threefold"


@pytest.mark.parametrize("name", QUEUE_NAMES)
def test_a_queue_type_takes_a_type_argument(name: str) -> None:
    alias = getattr(OURS, name)[int]
    assert alias.__origin__ is getattr(OURS, name)
    assert alias.__args__ == (int,)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_nothing_public_is_missing(name: str) -> None:
    public = {attribute for attribute in dir(make(STANDARD, name)) if not attribute.startswith("_")}
    assert public - set(dir(make(OURS, name))) == set()


# Private by name, but used by the standard library itself and by many programs.
PRIVATE = {
    "Lock": ("_at_fork_reinit",),
    "RLock": ("_at_fork_reinit", "_is_owned", "_release_save", "_acquire_restore"),
    "Condition": ("_at_fork_reinit", "_is_owned", "_release_save", "_acquire_restore", "_lock"),
    "Semaphore": ("_value",),
    "BoundedSemaphore": ("_value", "_initial_value"),
    # Not `_cond`: our Event is one native object with no Condition in it (tests/conformance/expected.toml).
    "Event": ("_at_fork_reinit", "_flag"),
    "Queue": ("_init", "_qsize", "_put", "_get"),
    "LifoQueue": ("_init", "_qsize", "_put", "_get"),
    "PriorityQueue": ("_init", "_qsize", "_put", "_get"),
}


@pytest.mark.parametrize(
    ("name", "attribute"), [(name, attribute) for name, attributes in PRIVATE.items() for attribute in attributes]
)
def test_a_private_attribute_in_use_is_there(name: str, attribute: str) -> None:
    assert hasattr(make(STANDARD, name), attribute)
    assert hasattr(make(OURS, name), attribute)


def parameters(thing: Any) -> list[tuple[str, Any, Any]]:
    """Return the name, kind and default of each parameter but `self`.

    Raises:
        ValueError: the thing has no signature.
    """
    found = inspect.signature(thing).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in found if parameter.name != "self"]


def signatures() -> list[Any]:
    """Return the types and methods whose standard form says what its parameters are."""
    found = []
    for name in ALL_NAMES:
        kind = getattr(STANDARD, name)
        members = [name] + [f"{name}.{member}" for member in dir(kind) if not member.startswith("_")]
        for path in members:
            standard = kind if path == name else getattr(kind, path.partition(".")[2])
            try:
                expected = parameters(standard)
            except (ValueError, TypeError):
                continue
            # "(*args, **kwargs)" is how a C function says that it does not tell.
            if callable(standard) and [parameter[0] for parameter in expected][-2:] not in (
                ["args", "kwargs"],
                ["args", "kwds"],
            ):
                found.append(pytest.param(path, expected, id=path))
    return found


@pytest.mark.parametrize(("path", "expected"), signatures())
def test_a_signature_is_the_standard_one(path: str, expected: list[tuple[str, Any, Any]]) -> None:
    name, _, member = path.partition(".")
    ours = getattr(OURS, name)
    assert parameters(getattr(ours, member) if member else ours) == expected


def test_locked_tells_the_state() -> None:
    for name in ("Lock", "RLock", "Condition"):
        lock = make(OURS, name)
        assert not lock.locked()
        lock.acquire()
        assert lock.locked()


def test_the_exceptions_are_the_standard_ones() -> None:
    assert threefold.threading.BrokenBarrierError is threading.BrokenBarrierError
    assert threefold.threading.ThreadError is threading.ThreadError
    assert threefold.queue.Empty is queue.Empty
    assert threefold.queue.Full is queue.Full
    assert threefold.queue.ShutDown is getattr(queue, "ShutDown", threefold.queue.ShutDown)

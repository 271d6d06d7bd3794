"""Random sequences of operations have the same results and errors on our queues as on the standard library's."""

import queue as standard
from collections.abc import Callable
from typing import Any

import pytest

from threefold import queue as ours

pytest.importorskip("hypothesis", reason="hypothesis is not installed here")
from hypothesis import given, settings
from hypothesis import strategies as st

# What the running Python's queues may lack is left out there.
HAS_SHUTDOWN = hasattr(standard.Queue, "shutdown")

# All of one order, since a PriorityQueue compares them; but of several types, so that equal ones can be told apart.
ITEM = st.one_of(st.integers(-3, 3), st.sampled_from([2.5, True, 1.0]))
TIMEOUT = st.sampled_from([None, 0, 0.0001, -1])

put = st.tuples(st.just("put"), ITEM, st.booleans(), TIMEOUT)
get = st.tuples(st.just("get"), st.booleans(), TIMEOUT)
simple = st.sampled_from(
    [("get_nowait",), ("qsize",), ("empty",), ("full",), ("task_done",), ("unfinished_tasks",), ("maxsize",)]
)
put_nowait = st.tuples(st.just("put_nowait"), ITEM)
shutdown = st.tuples(st.just("shutdown"), st.booleans())
STEPS = [put, get, simple, put_nowait] + ([shutdown] if HAS_SHUTDOWN else [])
# A shutdown ends most of what can happen, so it should not come too often.
sequences = st.lists(st.one_of(*STEPS[:4], *STEPS[:4], *STEPS), max_size=40)


def apply(queue: Any, step: tuple[Any, ...]) -> Any:
    """Do one step; return its result, or the class and words of its error.

    Args:
        queue: what to do it to.
        step: the name of a method or an attribute, and arguments.
    """
    name, *arguments = step
    would_wait = (name == "put" and queue.full()) or (name == "get" and queue.empty())
    is_open = not getattr(queue, "is_shutdown", False)
    if name in ("put", "get") and would_wait and is_open and arguments[-2] and arguments[-1] is None:
        arguments[-1] = 0
    try:
        value = getattr(queue, name)
        return value(*arguments) if callable(value) else value
    except Exception as error:
        return type(error).__name__, str(error) if isinstance(error, ValueError) else ""


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(maxsize=st.integers(-1, 4), sequence=sequences)
def test_a_queue_does_what_the_standard_one_does(kind: str, maxsize: int, sequence: list[Any]) -> None:
    model, queue = getattr(standard, kind)(maxsize), getattr(ours, kind)(maxsize)
    for number, step in enumerate(sequence):
        expected, seen = apply(model, step), apply(queue, step)
        assert seen == expected, f"step {number}, {step}"
        assert type(seen) is type(expected), f"step {number}, {step}"
    assert list(drain(queue)) == list(drain(model))


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(maxsize=st.integers(0, 4), sequence=sequences, at=st.integers(0, 40))
def test_a_queue_that_becomes_visible_goes_on_as_before(kind: str, maxsize: int, sequence: list[Any], at: int) -> None:
    model, queue = getattr(standard, kind)(maxsize), getattr(ours, kind)(maxsize)
    for number, step in enumerate(sequence):
        if number == at:
            assert len(queue.queue) == len(model.queue)
        expected, seen = apply(model, step), apply(queue, step)
        assert seen == expected, f"step {number}, {step}"
    assert list(drain(queue)) == list(drain(model))


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(
    sequence=st.lists(
        st.one_of(
            put,
            get,
            put_nowait,
            st.sampled_from([("get_nowait",), ("qsize",), ("empty",)]),
        ),
        max_size=40,
    )
)
def test_a_simple_queue_does_what_the_standard_one_does(sequence: list[Any]) -> None:
    model: Any = standard.SimpleQueue()
    queue: Any = ours.SimpleQueue()
    for number, step in enumerate(sequence):
        # The standard one has no `full`, and never is.
        expected, seen = apply(Unbounded(model), step), apply(Unbounded(queue), step)
        assert seen == expected, f"step {number}, {step}"
    assert list(drain(queue)) == list(drain(model))


class Unbounded:
    """A queue that also says that it is not full."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def full(self) -> bool:
        """Never."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def drain(queue: Any) -> Any:
    """Yield what is left."""
    while not queue.empty():
        yield queue.get_nowait()


steps_of_batches = st.lists(
    st.one_of(
        st.tuples(st.just("put_many"), st.lists(st.integers(), max_size=6)),
        st.tuples(st.just("get_many"), st.integers(1, 6)),
    ),
    max_size=20,
)


@pytest.mark.parametrize(
    ("make", "take"),
    [
        (ours.Queue, lambda held, count: [held.pop(0) for _ in range(count)]),
        (ours.SimpleQueue, lambda held, count: [held.pop(0) for _ in range(count)]),
        (ours.LifoQueue, lambda held, count: [held.pop() for _ in range(count)]),
        (ours.PriorityQueue, lambda held, count: [held.pop(held.index(min(held))) for _ in range(count)]),
    ],
)
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(sequence=steps_of_batches)
def test_batches_come_in_the_order_of_the_queue(
    make: Callable[[], Any], take: Callable[[list[int], int], list[int]], sequence: list[Any]
) -> None:
    queue, held = make(), list[int]()
    for name, argument in sequence:
        if name == "put_many":
            queue.put_many(argument)
            held += argument
        elif held:
            assert queue.get_many(argument, timeout=0) == take(held, min(argument, len(held)))
        else:
            with pytest.raises(standard.Empty):
                queue.get_many(argument, timeout=0)
        assert queue.qsize() == len(held)

"""A PriorityQueue stays right when comparisons raise, call back, take long, or meet a shutdown."""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from queue import Empty
from typing import Any

import pytest

from threefold.queue import PriorityQueue, ShutDown

LIMIT_S = 30.0


class Item:
    """A number with a comparison that a test can change."""

    compare: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: "Item") -> bool:
        type(self).compare()
        return self.number < other.number


@pytest.fixture(autouse=True)
def plain_comparison() -> None:
    """Start with comparisons that do nothing else."""
    Item.compare = staticmethod(lambda: None)


def fail() -> None:
    raise ValueError("these items have no order")


def fail_once_after(count: int) -> Callable[[], None]:
    def compare() -> None:
        nonlocal count
        count -= 1
        if count == 0:
            fail()

    return compare


def drain(queue: Any) -> list[int]:
    numbers = []
    while True:
        try:
            numbers.append(queue.get_nowait().number)
        except Empty:
            return numbers


def test_the_lowest_item_comes_first() -> None:
    queue: Any = PriorityQueue()
    queue.put_many(Item(number) for number in (5, 1, 4, 1, 3))
    assert drain(queue) == [1, 1, 3, 4, 5]


def test_a_failed_get_leaves_the_count_and_the_items_in_step() -> None:
    queue: Any = PriorityQueue()
    queue.put_many(Item(number) for number in range(3))
    Item.compare = staticmethod(fail)
    with pytest.raises(ValueError, match="no order"):
        queue.get_nowait()
    Item.compare = staticmethod(lambda: None)
    held = queue.qsize()
    assert len(drain(queue)) == held
    assert queue.empty()
    queue.put(Item(9))
    assert drain(queue) == [9]


@pytest.mark.timeout(20)
def test_a_get_after_a_failed_one_waits_when_the_queue_is_empty() -> None:
    queue: Any = PriorityQueue()
    queue.put_many(Item(number) for number in range(3))
    Item.compare = staticmethod(fail)
    with pytest.raises(ValueError, match="no order"):
        queue.get()
    Item.compare = staticmethod(lambda: None)
    drain(queue)
    with pytest.raises(Empty):
        queue.get(timeout=0.01)


def test_a_failed_put_leaves_the_count_and_the_items_in_step() -> None:
    queue: Any = PriorityQueue()
    queue.put(Item(1))
    Item.compare = staticmethod(fail)
    with pytest.raises(ValueError, match="no order"):
        queue.put(Item(0))
    Item.compare = staticmethod(lambda: None)
    assert len(drain(queue)) == 2


@pytest.mark.parametrize("failing", range(1, 25))
def test_a_failed_get_many_loses_at_most_the_item_that_failed(failing: int) -> None:
    queue: Any = PriorityQueue()
    queue.put_many(Item(number) for number in range(8))
    Item.compare = staticmethod(fail_once_after(failing))
    try:
        got = [item.number for item in queue.get_many(6)]
    except ValueError:
        got = []
    Item.compare = staticmethod(lambda: None)
    held = queue.qsize()
    rest = drain(queue)
    assert held == len(rest)
    # The standard library's heap drops an item whose sinking fails.
    assert len(got) + len(rest) >= 7, f"{8 - len(got) - len(rest)} of 8 items are gone"


def test_a_comparison_may_put_into_the_queue() -> None:
    queue: Any = PriorityQueue()
    inner = iter(range(100, 150))
    is_inside = False

    def put_another() -> None:
        nonlocal is_inside
        if not is_inside and (number := next(inner, None)) is not None:
            is_inside = True
            queue.put(Item(number))
            is_inside = False

    Item.compare = staticmethod(put_another)
    for number in range(100):
        queue.put(Item(number))
    got = [queue.get().number for _ in range(queue.qsize())]
    Item.compare = staticmethod(lambda: None)
    got += drain(queue)
    assert Counter(got) == Counter(range(150))


@pytest.mark.timeout(20)
def test_a_comparison_that_gets_from_the_queue_is_told_so() -> None:
    queue: Any = PriorityQueue()
    queue.put(Item(1))
    Item.compare = staticmethod(queue.get)
    with pytest.raises(RuntimeError, match="inside a comparison"):
        queue.put(Item(0))
    Item.compare = staticmethod(lambda: None)
    assert sorted(drain(queue)) == [0, 1]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("is_immediate", [False, True])
def test_a_shutdown_reaches_getters_in_the_middle_of_comparisons(is_immediate: bool) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    outcomes: Counter[str] = Counter()

    def take(queue: Any) -> None:
        try:
            while True:
                queue.get()
        except BaseException as error:
            outcomes[repr(error)] += 1

    try:
        for _ in range(100):
            queue: Any = PriorityQueue()
            queue.put_many(Item(number) for number in range(40))
            takers = [threading.Thread(target=take, args=(queue,)) for _ in range(2)]
            for taker in takers:
                taker.start()
            queue.shutdown(immediate=is_immediate)
            for taker in takers:
                taker.join(LIMIT_S)
    finally:
        sys.setswitchinterval(interval)
    assert outcomes == {repr(ShutDown()): 200}


@pytest.mark.timeout(60)
def test_threads_that_compare_at_the_same_time_lose_nothing() -> None:
    queue: Any = PriorityQueue(50)
    got: list[int] = []

    def produce(first: int) -> None:
        for number in range(first, first + 500):
            queue.put(Item(number))

    def consume() -> None:
        for _ in range(500):
            got.append(queue.get().number)

    threads = [threading.Thread(target=produce, args=(first,)) for first in (0, 500, 1_000)]
    threads += [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert Counter(got) == Counter(range(1_500))

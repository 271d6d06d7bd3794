"""With many threads, batches, time limits and shutdowns at once, nothing is lost, nothing comes twice, and nobody waits on."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator
from functools import partial
from queue import Empty, Full
from typing import Any

import pytest

from threefold.queue import LifoQueue, PriorityQueue, Queue, ShutDown, SimpleQueue
from threefold.threading import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore

LIMIT_S = 60.0
BRIEFLY_S = 1e-5
QUEUES: dict[str, Callable[[], Any]] = {
    "Queue": Queue,
    "Queue(1)": lambda: Queue(1),
    "Queue(7)": lambda: Queue(7),
    "LifoQueue(7)": lambda: LifoQueue(7),
    "PriorityQueue(7)": lambda: PriorityQueue(7),
    "SimpleQueue": SimpleQueue,
}


@pytest.fixture(params=[5e-3, 1e-6], ids=["as usual", "restless"], autouse=True)
def pace(request: pytest.FixtureRequest) -> Generator[None]:
    """Run with the usual switch interval, and with the shortest."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(interval)


def run_all(functions: list[Callable[[], Any]]) -> None:
    """Run functions in a thread each; raise the first error, and name those that do not end."""
    errors: list[BaseException] = []

    def run(function: Callable[[], Any]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    stuck = sum(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]
    assert stuck == 0, f"{stuck} of {len(threads)} threads do not end"


def put_one_by_one(queue: Any, numbers: range) -> None:
    for number in numbers:
        queue.put(number)


def put_in_batches(queue: Any, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, 10):
        queue.put_many(range(first, first + 10))


def put_impatiently(queue: Any, numbers: range) -> None:
    for number in numbers:
        while True:
            try:
                queue.put(number, timeout=BRIEFLY_S)
                break
            except Full:
                pass


def get_one_by_one(queue: Any, count: int, got: list[int]) -> None:
    for _ in range(count):
        got.append(queue.get())


def get_impatiently(queue: Any, count: int, got: list[int]) -> None:
    while count:
        try:
            got.append(queue.get(timeout=BRIEFLY_S))
            count -= 1
        except Empty:
            pass


def get_in_batches(queue: Any, count: int, got: list[int]) -> None:
    while count:
        items = queue.get_many(min(count, 7))
        count -= len(items)
        got.extend(items)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", QUEUES)
def test_every_item_comes_out_once(name: str, full_stress: bool) -> None:
    queue, got = QUEUES[name](), list[int]()
    count = 10_000 if full_stress else 1_000
    producers = [
        partial(put, queue, range(part * count, (part + 1) * count))
        for part, put in enumerate((put_one_by_one, put_in_batches, put_impatiently))
    ]
    consumers = [partial(get, queue, count, got) for get in (get_one_by_one, get_impatiently, get_in_batches)]
    run_all([*producers, *consumers])
    counts = Counter(got)
    assert len(counts) == 3 * count, f"{3 * count - len(counts)} of {3 * count} items are lost"
    assert set(counts.values()) == {1}, "an item came twice"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["Queue", "Queue(1)", "SimpleQueue"])
def test_items_of_one_producer_stay_in_order(name: str) -> None:
    queue, got = QUEUES[name](), []

    def produce(producer: int) -> None:
        for number in range(1_000):
            queue.put((producer, number))

    def consume() -> None:
        for _ in range(3_000):
            got.append(queue.get())

    run_all([lambda: produce(0), lambda: produce(1), lambda: produce(2), consume])
    for producer in range(3):
        assert [number for who, number in got if who == producer] == list(range(1_000))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", [name for name in QUEUES if name != "SimpleQueue"])
def test_a_shutdown_reaches_everybody_and_loses_nothing(name: str, full_stress: bool) -> None:
    for _ in range(100 if full_stress else 20):
        queue, put, got = QUEUES[name](), [], []

        def produce(queue: Any = queue, put: Any = put) -> None:
            number = 0
            try:
                while True:
                    queue.put(number)
                    put.append(number)
                    number += 1
            except ShutDown:
                pass

        def consume(queue: Any = queue, got: Any = got) -> None:
            try:
                while True:
                    got.append(queue.get())
                    queue.task_done()
            except ShutDown:
                pass

        def end(queue: Any = queue, got: Any = got) -> None:
            while len(got) < 50:
                threading.Event().wait(BRIEFLY_S)
            queue.shutdown()
            queue.join()

        run_all([produce, produce, consume, consume, end])
        assert Counter(got) == Counter(put), f"{len(put)} put, {len(got)} got"
        assert queue.unfinished_tasks == 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("make", [Lock, RLock, Semaphore, BoundedSemaphore, Condition, lambda: Condition(Lock())])
def test_one_thread_at_a_time_is_inside(make: Any, full_stress: bool) -> None:
    lock, inside, count = make(), 0, 0
    rounds = 5_000 if full_stress else 500

    def work() -> None:
        nonlocal inside, count
        for number in range(rounds):
            if number % 3:
                lock.acquire()
            else:
                while not lock.acquire(timeout=BRIEFLY_S):
                    pass
            inside += 1
            assert inside == 1
            count += 1
            inside -= 1
            lock.release()

    run_all([work] * 6)
    assert count == 6 * rounds


@pytest.mark.timeout(180)
def test_no_notification_is_lost(full_stress: bool) -> None:
    changed, tickets, served = Condition(), 0, 0
    rounds = 5_000 if full_stress else 500

    def serve() -> None:
        nonlocal tickets
        for _ in range(3 * rounds):
            with changed:
                tickets += 1
                changed.notify()

    def wait() -> None:
        nonlocal tickets, served
        for _ in range(rounds):
            with changed:
                while not tickets:
                    changed.wait()
                tickets -= 1
                served += 1

    run_all([serve, wait, wait, wait])
    assert (tickets, served) == (0, 3 * rounds)


@pytest.mark.timeout(180)
def test_no_wake_of_an_event_is_lost(full_stress: bool) -> None:
    there, back = Event(), Event()
    rounds = 10_000 if full_stress else 1_000

    def ping() -> None:
        for _ in range(rounds):
            there.set()
            assert back.wait(LIMIT_S)
            back.clear()

    def pong() -> None:
        for _ in range(rounds):
            assert there.wait(LIMIT_S)
            there.clear()
            back.set()

    run_all([ping, pong])


@pytest.mark.timeout(180)
def test_a_barrier_keeps_all_in_step(full_stress: bool) -> None:
    parties, rounds = 5, 2_000 if full_stress else 200
    steps: list[int] = []
    barrier = Barrier(parties, lambda: steps.append(len(steps)))
    numbers: list[int] = []

    def walk() -> None:
        for number in range(rounds):
            numbers.append(barrier.wait())
            assert len(steps) >= number + 1
            assert len(steps) <= number + 2

    run_all([walk] * parties)
    assert steps == list(range(rounds))
    assert Counter(numbers) == dict.fromkeys(range(parties), rounds)

"""How a pool reads its sources: no further ahead than it may, whatever they do, and with all results in their places."""

import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from threefold import multiprocessing

sys.path.insert(0, str(Path(__file__).parent))
import pool_programs as programs
import pool_rig as rig

context, fork, make_pool, make_executor = rig.context, rig.fork, rig.make_pool, rig.make_executor
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

# How long a source must not have been read to be called at rest.
REST_S = 0.2
IMAPS = ["imap", "imap_unordered"]


class Source:
    """A source without an end that knows how far it was read."""

    def __init__(self) -> None:
        self.read = 0
        self.is_closed = False

    def __iter__(self) -> Iterator[int]:
        try:
            for number in itertools.count():
                self.read += 1
                yield number
        finally:
            self.is_closed = True

    def read_at_rest(self) -> int:
        """Return how far it was read once nobody reads on."""
        read, since = self.read, time.monotonic()
        while time.monotonic() < since + REST_S:
            if self.read != read:
                read, since = self.read, time.monotonic()
            time.sleep(0.005)
        return read


@pytest.mark.parametrize("chunksize", [1, 10])
@pytest.mark.parametrize("name", IMAPS)
def test_a_source_without_an_end_is_read_a_little_ahead(
    context: Any, make_pool: Any, name: str, chunksize: int
) -> None:
    pool, source = make_pool(context), Source()
    numbers = getattr(pool, name)(programs.same, source, chunksize)
    most_ahead = 2 * rig.WORKERS * chunksize
    assert source.read_at_rest() <= most_ahead
    taken = []
    for count in (1, 20, 79):
        taken += itertools.islice(numbers, count)
        # Who has begun a chunk is not through with it.
        assert source.read_at_rest() <= len(taken) + most_ahead
    if name == "imap":
        assert taken == list(range(100))
    else:
        assert len(set(taken)) == 100
        assert max(taken) < 100 + most_ahead
    assert pool.apply(programs.same, (1,)) == 1


@pytest.mark.parametrize("name", IMAPS)
def test_a_buffer_size_says_how_far_a_source_is_read_ahead(fork: Any, make_pool: Any, name: str) -> None:
    pool, source = make_pool(fork), Source()
    numbers = getattr(pool, name)(programs.same, source, buffersize=3)
    assert source.read_at_rest() == 3
    assert len(set(itertools.islice(numbers, 5))) == 5
    assert source.read_at_rest() == 8


def test_a_wrong_buffer_size_is_refused(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)
    for size in (0, -1):
        with pytest.raises(ValueError, match="buffersize"):
            pool.imap(programs.same, [1], buffersize=size)
    with pytest.raises(TypeError, match="buffersize"):
        pool.imap(programs.same, [1], buffersize="3")


@pytest.mark.parametrize("name", IMAPS)
def test_a_slow_consumer_gets_all_in_the_end(fork: Any, make_pool: Any, name: str) -> None:
    pool = make_pool(fork)
    numbers = []
    for number in getattr(pool, name)(programs.same, range(100), 3):
        if len(numbers) % 10 == 0:
            time.sleep(0.01)
        numbers.append(number)
    assert (numbers if name == "imap" else sorted(numbers)) == list(range(100))


def test_two_sources_without_an_end_are_read_in_turns(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)
    first, second = pool.imap(programs.same, itertools.count()), pool.imap(abs, itertools.count(0, -1))
    assert [(next(first), next(second)) for _ in range(50)] == [(number, number) for number in range(50)]
    # One that nobody reads on does not hold up another.
    assert list(itertools.islice(second, 200)) == list(range(50, 250))
    assert pool.map(programs.same, range(100)) == list(range(100))


def failing_source() -> Iterator[int]:
    yield from range(5)
    raise LookupError("the source has failed")


@pytest.mark.parametrize("name", IMAPS)
def test_a_source_that_raises_ends_its_map_only(context: Any, make_pool: Any, name: str) -> None:
    pool = make_pool(context)
    numbers, ends = getattr(pool, name)(programs.same, failing_source()), []
    for _ in range(6):
        try:
            ends.append(next(numbers))
        except LookupError as error:
            ends.append(str(error))
    if name == "imap":
        assert ends == [0, 1, 2, 3, 4, "the source has failed"]
    else:
        assert set(ends) == {0, 1, 2, 3, 4, "the source has failed"}
    with pytest.raises(StopIteration):
        next(numbers)
    assert pool.map(programs.same, range(10)) == list(range(10))


def test_a_source_that_raises_at_once_is_reported_where_the_standard_library_does(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)

    def source() -> Iterator[int]:
        raise LookupError("at once")
        yield 1

    for call in (pool.map, pool.map_async):
        with pytest.raises(LookupError, match="at once"):
            call(programs.same, source())
    with pytest.raises(LookupError, match="at once"):
        next(pool.imap(programs.same, source()))
    with pytest.raises(TypeError, match="not iterable"):
        next(iter(pool.imap(programs.same, 5)))
    assert pool.apply(programs.same, (1,)) == 1


@pytest.mark.parametrize("name", IMAPS)
def test_a_source_that_blocks_holds_up_its_own_map_only(fork: Any, make_pool: Any, name: str) -> None:
    pool, go = make_pool(fork), threading.Event()

    def source() -> Iterator[int]:
        yield from range(3)
        go.wait(rig.LIMIT_S)
        yield 3

    numbers = getattr(pool, name)(programs.same, source())
    assert sorted(itertools.islice(numbers, 3)) == [0, 1, 2]
    with pytest.raises(multiprocessing.TimeoutError):
        numbers.next(0.01)
    assert pool.map_async(programs.same, range(10), 1).get(rig.LIMIT_S / 2) == list(range(10))
    assert list(itertools.islice(pool.imap(programs.same, itertools.count()), 10)) == list(range(10))
    go.set()
    assert list(numbers) == [3]


def test_a_source_may_use_its_own_pool(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)
    source = (pool.apply(programs.add, (number, 1)) for number in range(20))
    assert list(pool.imap(programs.same, source)) == list(range(1, 21))


def test_a_source_is_fed_by_its_own_results(fork: Any, make_pool: Any) -> None:
    # As a crawler does: what comes out decides what goes in.
    numbers = [1]

    def source() -> Iterator[int]:
        position = 0
        while position < 20:
            while position >= len(numbers):
                time.sleep(0.001)
            yield numbers[position]
            position += 1

    results = make_pool(fork).imap(programs.add_one, source())
    while len(numbers) < 21:
        numbers.append(next(results))
    assert numbers == list(range(1, 22))


def test_deaths_leave_no_gap_in_a_stream(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)

    def source() -> Iterator[tuple[str, Any, int]]:
        for number in itertools.count():
            yield str(tmp_path), programs.be_killed if number % 10 == 7 else None, number

    ends, stream = [], pool.imap(programs.live_or_die_one, source())
    while len(ends) < 50:
        try:
            ends.append(next(stream))
        except multiprocessing.WorkerDied as error:
            ends.append(error.signal)
    assert ends == [signal.SIGKILL if number % 10 == 7 else number for number in range(50)]
    assert set(rig.counts(tmp_path).values()) == {1}


def test_an_item_that_cannot_be_sent_takes_its_place_among_the_results(context: Any, make_pool: Any) -> None:
    stream, ends = make_pool(context).imap(programs.same, [1, programs.Unsendable(), 2, programs.Unreadable(), 3]), []
    while len(ends) < 5:
        try:
            ends.append(next(stream))
        except (TypeError, ValueError) as error:
            ends.append(type(error))
    assert ends == [1, TypeError, 2, ValueError, 3]
    assert list(stream) == []


def test_a_map_of_nothing_is_empty(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)
    assert (
        pool.map(programs.same, []) == pool.starmap(programs.add, []) == pool.map_async(programs.same, []).get() == []
    )
    assert list(pool.imap(programs.same, [])) == list(pool.imap_unordered(programs.same, [])) == []
    assert list(pool.imap(programs.same, iter(()), 5)) == []


def test_an_executor_maps_few_items_and_several_sources(fork: Any, make_executor: Any) -> None:
    executor = make_executor(fork, 4)
    assert list(executor.map(programs.same, range(2))) == [0, 1]
    assert list(executor.map(programs.add, range(10), itertools.count(), chunksize=3)) == list(range(0, 20, 2))

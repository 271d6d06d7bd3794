"""The queues between two processes, under every start method."""

import fractions
import gc
import os
import pickle
import resource
import sys
from multiprocessing import reduction
from pathlib import Path
from queue import Empty, Full
from typing import Any

import pytest

from threefold import _threefold, multiprocessing
from threefold.multiprocessing import queues

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs
import process_rig as rig

context, run, end = rig.context, rig.run, rig.end
LIMIT_S = programs.LIMIT_S
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_objects_arrive_as_they_were_and_in_order(context: Any, name: str) -> None:
    queue = getattr(context, name)()
    items = [
        0,
        -(2**70),
        1.5,
        None,
        True,
        "text",
        b"",
        b"bytes",
        b"B",
        b"x" * 70_000,
        "y" * 70_000,
        [1, {"a": (2,)}],
        {3},
    ]
    process = run(context, programs.put, queue, items)
    assert [queue.get() for _ in items] == items
    end(process)
    assert queue.empty()


def test_a_process_may_end_before_its_objects_are_taken(context: Any) -> None:
    queue = context.Queue()
    end(run(context, programs.put_a_megabyte, queue))
    assert queue.get(timeout=LIMIT_S) == programs.MEGABYTE


def test_buffers_arrive_beside_the_pickle_and_are_writable(context: Any) -> None:
    queue = context.Queue()
    process = run(context, programs.put_buffers, queue)
    numbers, letters, small = queue.get(timeout=LIMIT_S)
    view = memoryview(numbers).cast("B").cast("d")
    assert (len(view), view[7], memoryview(letters).tobytes(), small) == (100_000, 7.0, b"y" * 5000, bytearray(b"zzz"))
    view[0], memoryview(letters)[0:1] = 3.0, b"!"
    assert (view[0], memoryview(letters)[0]) == (3.0, ord("!"))
    constant = memoryview(queue.get(timeout=LIMIT_S))
    assert constant.readonly
    assert constant == b"read-only" * 1000
    end(process)


def test_a_view_in_place_cannot_be_written_to_and_outlives_its_queue() -> None:
    queue = multiprocessing.Queue()
    content = bytes(range(256)) * 4000
    queue.put((1, pickle.PickleBuffer(bytearray(content)), pickle.PickleBuffer(bytearray(b"second" * 1000))))
    _, first, second = queue.get(zero_copy=True)
    assert memoryview(first).readonly
    with pytest.raises(TypeError):
        memoryview(first)[0] = 1
    for number in range(20):
        queue.put(pickle.PickleBuffer(bytearray([number]) * len(content)))
        assert memoryview(queue.get()) == bytes([number]) * len(content)
    descriptor = os.dup(queue._shared._descriptor())
    del queue
    assert (memoryview(first).tobytes(), memoryview(second).tobytes()) == (content, b"second" * 1000)
    again = _threefold.SharedQueue._find(descriptor)
    os.close(descriptor)
    assert used_bytes(again) > len(content)
    del first, second
    with pytest.raises(Empty):
        again.get(True, 0.5)
    assert used_bytes(again) <= 64 * 1024


def used_bytes(queue: Any) -> int:
    return os.fstat(queue._descriptor()).st_blocks * 512


def test_an_array_in_place_is_read_only_and_equal() -> None:
    numpy = pytest.importorskip("numpy")
    queue = multiprocessing.SimpleQueue()
    array = numpy.arange(100_000.0)
    for is_in_place in (True, False):
        queue.put({"array": array})
        received = queue.get(zero_copy=is_in_place)["array"]
        assert numpy.array_equal(received, array)
        assert received.flags.writeable is not is_in_place


PLAIN = [
    *(2**63 - 1, -(2**63), 2**63, -(2**63) - 1, -1, False, -0.0, float("inf"), "", "\ud800", "ä€" * 200, "\0"),
    *((), [], {}, (1, "a", b"c" * 5000), [None, [True, {"key": (2.5, b"")}]], {"a": list(range(100))}),
    *([[[[[[[1]]]]]]], bytearray(b"x" * 9000), frozenset({1}), int, print),
]


@pytest.mark.parametrize("item", PLAIN, ids=lambda item: ascii(item)[:30])
def test_what_needs_no_pickle_or_only_a_plain_one_arrives_as_it_was(item: Any) -> None:
    queue = multiprocessing.SimpleQueue()
    queue.put(item)
    received = queue.get()
    assert (type(received), repr(received)) == (type(item), repr(item))


class Registered:
    """Cannot be pickled, until `multiprocessing` is told how."""

    def __reduce__(self) -> str:
        raise TypeError("not without a reducer")


def test_reducers_that_are_registered_later_count_and_errors_leave_the_pickler_whole() -> None:
    queue = multiprocessing.SimpleQueue()
    with pytest.raises(TypeError, match="not without a reducer"):
        queue.put([Registered(), fractions.Fraction(1, 3)])
    reduction.ForkingPickler.register(Registered, lambda _: (fractions.Fraction, (1, 2)))
    try:
        queue.put((Registered(), fractions.Fraction(1, 3)))
        assert queue.get() == (fractions.Fraction(1, 2), fractions.Fraction(1, 3))
    finally:
        del reduction.ForkingPickler._extra_reducers[Registered]


class Reentrant:
    """Puts something else while it is pickled."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def __reduce__(self) -> tuple[Any, ...]:
        self.queue.put(fractions.Fraction(1, 5))
        return fractions.Fraction, (1, 4)


def test_what_puts_while_it_is_pickled_comes_second() -> None:
    queue = multiprocessing.SimpleQueue()
    queue.put([Reentrant(queue)])
    assert [queue.get(), queue.get()] == [fractions.Fraction(1, 5), [fractions.Fraction(1, 4)]]


def test_join_waits_until_all_is_done(context: Any) -> None:
    tasks, results = context.JoinableQueue(), context.Queue()
    workers = [run(context, programs.work, tasks, results) for _ in range(2)]
    for task in [*range(20), None, None]:
        tasks.put(task)
    tasks.join()
    assert sorted(results.get(timeout=LIMIT_S) for _ in range(20)) == [task * task for task in range(20)]
    for worker in workers:
        end(worker)
    with pytest.raises(ValueError, match=r"task_done\(\) called too many times"):
        tasks.task_done()


def test_a_full_queue_and_an_empty_one_say_so() -> None:
    queue = multiprocessing.Queue(maxsize=2)
    assert (queue.empty(), queue.full(), queue.qsize()) == (True, False, 0)
    queue.put(1)
    queue.put_nowait(2)
    assert (queue.empty(), queue.full(), queue.qsize()) == (False, True, 2)
    for put in (lambda: queue.put_nowait(3), lambda: queue.put(3, True, 0.01), lambda: queue.put(3, timeout=-1)):
        with pytest.raises(Full):
            put()
    assert [queue.get(), queue.get_nowait()] == [1, 2]
    for get in (queue.get_nowait, lambda: queue.get(timeout=0.01), lambda: queue.get(True, -1)):
        with pytest.raises(Empty):
            get()


def test_a_closed_queue_refuses() -> None:
    queue = multiprocessing.Queue()
    with pytest.raises(AssertionError, match="not closed"):
        queue.join_thread()
    queue.cancel_join_thread()
    queue.put(1)
    queue.close()
    queue.close()
    queue.join_thread()
    for use in (lambda: queue.put(1), queue.get):
        with pytest.raises(ValueError, match=r"Queue <.*> is closed"):
            use()
    simple = multiprocessing.SimpleQueue()
    simple.close()
    for use in (simple.get, simple.empty, lambda: simple.put(1)):
        with pytest.raises(OSError, match="handle is closed"):
            use()


def test_what_cannot_be_pickled_is_reported_and_the_queue_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    queue = multiprocessing.Queue(1)
    queue.put(lambda: 1)
    queue.put("next")
    assert queue.get(timeout=1) == "next"
    assert "Traceback" in capfd.readouterr().err
    simple = multiprocessing.SimpleQueue()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        simple.put(lambda: 1)


def test_a_subclass_decides_what_becomes_of_what_cannot_be_pickled() -> None:
    class Telling(queues.Queue):
        def __init__(self) -> None:
            super().__init__(ctx=multiprocessing.get_context())
            self.told: list[Any] = []

        def _on_queue_feeder_error(self, e: Exception, obj: Any) -> None:
            self.told.append((type(e), obj))

    class Refusing:
        def __reduce__(self) -> Any:
            raise NotImplementedError

    queue, item = Telling(), Refusing()
    queue.put(item)
    assert (queue.told, queue.qsize()) == ([(NotImplementedError, item)], 0)


def test_what_is_interrupted_while_it_is_pickled_is_not_put() -> None:
    class Interrupting:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    queue = multiprocessing.Queue()
    with pytest.raises(KeyboardInterrupt):
        queue.put(Interrupting())
    assert queue.empty()


def test_a_queue_is_pickled_only_for_a_child() -> None:
    for name in ("Queue", "JoinableQueue", "SimpleQueue"):
        with pytest.raises(RuntimeError, match=f"{name} objects should only be shared between processes through inher"):
            pickle.dumps(getattr(multiprocessing, name)())


def test_a_queue_takes_no_more_memory_than_it_may(context: Any) -> None:
    for queue in (context.Queue(max_bytes=2**20), context.SimpleQueue(max_bytes=2**20)):
        for _ in range(100):
            with pytest.raises(MemoryError, match=r"does not fit.*at most \d+"):
                for _ in range(100):
                    queue.put(b"x" * 100_000)
            assert 5 < [len(queue.get()) for _ in iter(queue.empty, True)].count(100_000) <= 10
    with pytest.raises(ValueError, match="max_bytes must be at least 1, not 0"):
        context.JoinableQueue(max_bytes=0)


@pytest.mark.parametrize("cap", [2**20, 6_291_493, 10_000_000])
def test_one_message_may_take_nearly_all_that_a_queue_may_hold(context: Any, cap: int) -> None:
    queue = context.Queue(max_bytes=cap)
    for share in (0.5, 0.66, 0.75, 0.9, 0.95):
        queue.put(1)
        queue.put(b"x" * int(cap * share))
        assert (queue.get(), len(queue.get())) == (1, int(cap * share))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def shared_files() -> set[str]:
    """Return what this process has mapped of the memory that containers keep small; other programs have files there, too."""
    return {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/dev/shm/" in line}


def test_nothing_is_left_behind(context: Any) -> None:
    def round_trip() -> None:
        queue, lock, barrier = context.Queue(), context.Lock(), context.Barrier(1)
        with context.Condition(lock):
            queue.put(b"x" * 100_000)
        barrier.wait()
        assert len(queue.get()) == 100_000

    end(run(context, programs.put, context.Queue(), [1]))
    round_trip()
    # What earlier tests have left to the collector would go away meanwhile.
    gc.collect()
    files, descriptors = shared_files(), len(list(Path("/proc/self/fd").iterdir()))
    memory = resident_bytes()
    for _ in range(1000):
        round_trip()
    assert resident_bytes() < memory + 2**21
    end(run(context, programs.put, context.Queue(), [1]))
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert shared_files() <= files

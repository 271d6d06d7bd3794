"""What goes to workers and comes back: large and small, with buffers, in any number, and the same at the other end."""

import array
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import pool_payloads as payloads
import pool_programs as programs
import pool_rig as rig

context, fork, make_pool, make_executor = rig.context, rig.fork, rig.make_pool, rig.make_executor
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

MIB = 2**20
SIZES = [0, 1, 100, 4095, 4096, 65_535, 65_536, MIB - 1, MIB, 5 * MIB + 3]


def test_bytes_of_any_size_go_there_and_back(context: Any, make_pool: Any) -> None:
    items = [bytes([number]) * size for number, size in enumerate(SIZES)]
    assert make_pool(context).map(programs.same, items, 1) == items


def test_many_large_items_are_under_way_at_once(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork)
    results = [pool.apply_async(programs.same, (bytes([number]) * MIB,)) for number in range(64)]
    for number, result in enumerate(results):
        assert result.get(rig.LIMIT_S) == bytes([number]) * MIB


def test_results_that_nobody_takes_do_not_stop_the_workers(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)
    results = [pool.apply_async(payloads.make_bytes, (str(tmp_path), MIB)) for _ in range(100)]
    rig.until(lambda: len(rig.recorded(tmp_path)) == 100, "all are done")
    assert [len(result.get(rig.LIMIT_S)) for result in results] == [MIB] * 100


def test_a_chunk_may_be_larger_than_what_a_ring_holds(fork: Any, make_pool: Any) -> None:
    items = [bytes([number]) * (3 * MIB) for number in range(10)]
    assert make_pool(fork).map(programs.same, items, 5) == items


def test_an_array_goes_there_and_back_and_can_be_changed(context: Any, make_pool: Any) -> None:
    numbers = array.array("d", range(200_000))
    returned = make_pool(context).apply(payloads.double_all, (numbers,))
    assert returned[199_999] == 2.0 * 199_999
    returned[0] = 7.0
    assert (returned[0], numbers[1]) == (7.0, 1.0)


def test_a_buffer_that_nobody_holds_is_used_for_the_next_call(fork: Any, make_pool: Any) -> None:
    pool = make_pool(fork, 1)

    def fill(content: bytes, *, keeps: bool = False) -> Any:
        return pool.apply(payloads.fill, (payloads.Buffered(bytearray(content)), keeps))

    assert len({fill(bytes([number]) * MIB)[0] for number in range(20)}) == 1
    first = fill(b"\x20" * MIB, keeps=True)
    second = fill(b"\x30" * MIB, keeps=True)
    assert (first[1], second[1]) == ({0x21}, {0x21, 0x31})
    assert fill(b"\x40" * MIB)[1] == {0x21, 0x31}
    # Also of another length, and of two at once.
    assert fill(b"\x50" * (MIB - 1))[1] == {0x21, 0x31}
    pair = [(payloads.Buffered(bytearray(b"\x60" * MIB)), True), (payloads.Buffered(bytearray(b"\x70" * MIB)), True)]
    assert pool.starmap(payloads.fill, pair, 2)[1][1] == {0x21, 0x31, 0x61, 0x71}


def test_buffers_travel_beside_the_pickle(context: Any, make_pool: Any) -> None:
    total, returned = make_pool(context).apply(payloads.use_buffers, (payloads.Buffered(b"\x01" * MIB),))
    assert total == MIB
    # What arrives is one's own: it may be changed.
    memoryview(returned.content)[0] = 9
    assert (returned.content[0], returned.content[-1], len(returned.content)) == (9, 1, MIB)


def test_numpy_arrays_go_there_and_back(context: Any, make_pool: Any) -> None:
    numpy = pytest.importorskip("numpy")
    numbers = numpy.arange(10**6, dtype=float).reshape(1000, 1000)
    returned = make_pool(context).apply(programs.same, (numbers,))
    assert (returned == numbers).all()
    returned[0, 0] = 5.0
    assert numbers[0, 0] == 0.0


def test_a_large_shared_argument_does_not_make_a_map_quadratic(fork: Any, make_pool: Any) -> None:
    # `partial` holds it: it goes once to each worker, or with each chunk, but the results are right either way.
    pool = make_pool(fork)
    assert pool.map(payloads.AddTo(bytes(4 * MIB)), range(200), 1) == [4 * MIB + number for number in range(200)]


def test_a_large_argument_reaches_a_worker_that_replaces_another(fork: Any, make_pool: Any) -> None:
    pool, large = make_pool(fork, maxtasksperchild=1), payloads.AddTo(bytes(MIB))
    assert pool.map(large, range(20), 1) == [MIB + number for number in range(20)]


def test_a_megabyte_is_put_and_its_process_joined(context: Any) -> None:
    queue = context.Queue()
    process = context.Process(target=payloads.put_a_megabyte, args=(queue,))
    process.start()
    process.join(rig.LIMIT_S)
    assert process.exitcode == 0
    assert queue.get(timeout=rig.SOON_S) == b"x" * MIB


def test_errors_with_large_arguments_arrive_whole(context: Any, make_pool: Any) -> None:
    with pytest.raises(ValueError, match="large") as caught:
        make_pool(context).apply(payloads.raise_with, (b"y" * MIB,))
    assert caught.value.args == ("large", b"y" * MIB)

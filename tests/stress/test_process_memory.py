"""Messages as large as memory allows, and what a queue takes from the system."""

import hashlib
import os
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from threefold import multiprocessing

GIBIBYTE = 2**30
# The object, its bytes in the queue and the object that arrives, in two processes, and room for everybody else.
NEEDED_BYTES = 12 * GIBIBYTE
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def available_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def used_bytes(queue: Any) -> int:
    return os.fstat(queue._shared._descriptor()).st_blocks * 512


def put_three_gibibytes(queue: Any, sums: Any) -> None:
    content = os.urandom(2**20) * (3 * 1024)
    sums.put(hashlib.blake2b(content[-(2**26) :]).digest())
    queue.put(content)


@pytest.mark.timeout(180)
def test_a_message_of_three_gibibytes_arrives_whole_and_its_memory_goes_back() -> None:
    if available_bytes() < NEEDED_BYTES:
        pytest.skip(f"needs {NEEDED_BYTES // GIBIBYTE} GiB of free memory")
    context = multiprocessing.get_context("fork")
    queue, sums = context.Queue(), context.Queue()
    process = context.Process(target=put_three_gibibytes, args=(queue, sums), daemon=True)
    process.start()
    expected = sums.get(timeout=150)
    content = queue.get(timeout=150)
    process.join(30)
    assert len(content) == 3 * GIBIBYTE
    assert content[: 2**20] == content[-(2**20) :]
    assert hashlib.blake2b(content[-(2**26) :]).digest() == expected
    assert used_bytes(queue) <= 64 * 1024


def test_ten_thousand_numbers_take_less_than_four_mebibytes_and_give_them_back() -> None:
    queue = multiprocessing.Queue()
    assert used_bytes(queue) <= 64 * 1024
    for number in range(10_000):
        queue.put(number)
    assert used_bytes(queue) <= 4 * 2**20
    assert [queue.get() for _ in range(10_000)] == list(range(10_000))
    with pytest.raises(Empty):
        queue.get(timeout=0.5)
    assert used_bytes(queue) <= 64 * 1024

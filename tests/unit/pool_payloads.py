"""What the workers of the pool tests do with large arguments; imported by its bare name, as `pool_programs`."""

from __future__ import annotations

import array
import ctypes
import pickle
from typing import Any, NoReturn

from pool_programs import record

MIB = 2**20


class Buffered:
    """An object whose content is a buffer that travels beside the pickle."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce_ex__(self, protocol: int) -> Any:
        assert protocol >= 5
        return Buffered, (pickle.PickleBuffer(self.content),)


class AddTo:
    """A function that carries much with it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __call__(self, number: int) -> int:
        return len(self.content) + number


def make_bytes(directory: str, size_bytes: int) -> bytes:
    """Record the call and return a large result."""
    record(directory, size_bytes)
    return b"x" * size_bytes


def double_all(numbers: array.array[float]) -> array.array[float]:
    """Change what was received, and return it."""
    for index, number in enumerate(numbers):
        numbers[index] = 2 * number
    return numbers


def use_buffers(thing: Buffered) -> tuple[int, Buffered]:
    """Look at what was received, and return it."""
    return sum(memoryview(thing.content)), Buffered(bytearray(thing.content))


def fill(thing: Buffered, keeps: bool) -> tuple[int, set[int]]:
    """Overwrite what was received with its first byte plus one; return where it lay, and what is in all that was kept."""
    view = memoryview(thing.content)
    view[:] = bytes([view[0] + 1]) * len(view)
    address = ctypes.addressof(ctypes.c_char.from_buffer(thing.content))
    if keeps:
        kept.append(thing.content)
    return address, {byte for content in kept for byte in set(content)}


kept: list[Any] = []


def put_a_megabyte(queue: Any) -> None:
    """Put more than a pipe holds, and end."""
    queue.put(b"x" * MIB)


def raise_with(content: bytes) -> NoReturn:
    """Raise an error that carries much with it."""
    raise ValueError("large", content)


def ends(content: bytearray) -> tuple[int, int, int]:
    """Return the size, the first and the last byte."""
    return len(content), content[0], content[-1]

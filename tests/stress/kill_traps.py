"""Stops a process at one exact access to memory, or at one exact system call: where a death is to find it.

Nothing in the engine knows of this. A process takes the right to a page away from itself, so that the next access to it is
a fault; or it has the kernel refuse one system call, told by its arguments. Either calls a function of Python at that very
instruction, in the middle of whatever the engine was doing, and goes on behind it when the function returns.
"""

import ctypes
import os
import platform
import re
import signal
import struct
from collections.abc import Callable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
_libc.signal.restype = ctypes.c_void_p
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)
# What the kernel may still call.
_handlers: list[object] = []

NOTHING, READ_ONLY, ALL = 0, 1, 3
PAGE_BYTES = os.sysconf("SC_PAGESIZE")

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER_MODE = 22, 38, 2
_ALLOW, _TRAP = 0x7FFF0000, 0x00030000
# futex and pwrite64: by number, since the C library has no names for them at run time.
_NUMBERS = {"x86_64": (202, 18), "aarch64": (98, 68)}
_FUTEX_WAKE = 1
# The process-private flag is left in: the engine's words in shared memory are woken without it.
_OPERATION_MASK = 0xFF

# Offsets in what a filter sees of a call: its number, and the low halves of its second and third argument.
_NUMBER, _SECOND, _THIRD = 0, 24, 32


class Unable(Exception):
    """This machine lets no process refuse its own system calls."""


def on_signal(number: int, function: Callable[[], None]) -> None:
    """Have the function called at the instruction that causes the signal, once."""

    def handle(_number: int) -> None:
        # The signal's default action is a way to die, from here on.
        _libc.signal(number, None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        function()

    _handlers.append(_Handler(handle))
    _libc.signal(number, ctypes.cast(_handlers[-1], ctypes.c_void_p))


def _mappings(descriptor: int) -> list[tuple[int, int, int]]:
    """Return begin, end and offset in the file of each mapping of a memory file."""
    inode, found = str(os.fstat(descriptor).st_ino), []
    for line in Path("/proc/self/maps").read_text().splitlines():
        match = re.match(r"(\w+)-(\w+) \S+ (\w+) \S+ (\d+) +/memfd:", line)
        if match and match[4] == inode:
            found.append((int(match[1], 16), int(match[2], 16), int(match[3], 16)))
    return found


def protect(descriptor: int, rights: int, first: int = 0, end: int | None = None) -> None:
    """Change this process's rights to the pages of a memory file from byte `first` on, to byte `end` at most."""
    done = 0
    for begin, stop, offset in _mappings(descriptor):
        low = max(begin, begin + first // PAGE_BYTES * PAGE_BYTES - offset)
        high = stop if end is None else min(stop, begin + end - offset)
        if low < high:
            assert _libc.mprotect(low, high - low, rights) == 0, os.strerror(ctypes.get_errno())
            done += 1
    assert done, "the memory is not mapped"


def _refuse(program: list[tuple[int, int, int, int]]) -> None:
    """Have a filter look at every system call of this process from now on; those it traps cause SIGSYS."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    memory = ctypes.create_string_buffer(code, len(code))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(memory)))
    assert _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if _libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(head), 0, 0) != 0:
        raise Unable(os.strerror(ctypes.get_errno()))


def _load(offset: int) -> tuple[int, int, int, int]:
    return (0x20, 0, 0, offset)


def _and(mask: int) -> tuple[int, int, int, int]:
    return (0x54, 0, 0, mask)


def _unless_equal(value: int, skipped: int) -> tuple[int, int, int, int]:
    return (0x15, 0, skipped, value)


def _answer(value: int) -> tuple[int, int, int, int]:
    return (0x06, 0, 0, value)


def _instead(function: Callable[[], None]) -> None:
    """Have the function called instead of the next refused call, and nothing instead of those after it."""

    def once() -> None:
        function()
        on_signal(signal.SIGSYS, again)

    def again() -> None:
        on_signal(signal.SIGSYS, again)

    on_signal(signal.SIGSYS, once)


def _numbers() -> tuple[int, int]:
    try:
        return _NUMBERS[platform.machine()]
    except KeyError:
        raise Unable(f"the numbers of system calls on {platform.machine()} are not known") from None


def before_waking(function: Callable[[], None]) -> None:
    """Have the function called instead of the next wake of somebody who sleeps on shared memory."""
    futex, _ = _numbers()
    _instead(function)
    _refuse(
        [
            *[_load(_NUMBER), _unless_equal(futex, 4)],
            *[_load(_SECOND), _and(_OPERATION_MASK), _unless_equal(_FUTEX_WAKE, 1), _answer(_TRAP)],
            _answer(_ALLOW),
        ]
    )


def before_writing(len_bytes: int, function: Callable[[], None]) -> None:
    """Have the function called instead of the write of so many bytes at a place of a file."""
    _, pwrite = _numbers()
    _instead(function)
    _refuse(
        [
            *[_load(_NUMBER), _unless_equal(pwrite, 3)],
            *[_load(_THIRD), _unless_equal(len_bytes, 1), _answer(_TRAP)],
            _answer(_ALLOW),
        ]
    )

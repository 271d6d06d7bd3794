"""What can be known about a worker that died, or is about to be killed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What a worker calls the memory to which it writes where it is.
DUMP_NAME = "threefold-traceback"

# Longer than a process needs to write where it is, shorter than anybody minds; seconds.
_DUMP_PATIENCE_S = 0.1

# Whole lines only: one may be read while it is written. Not compiled before it is needed, which it is in few pools.
_FRAME = r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)\n'
_OURS = os.path.dirname(__file__)

# What the standard library's forkserver says of a process of which it knows no more than that it has ended.
_UNKNOWN = 255


def last_line(pid: int, descriptor: int, dump_signal: int) -> str | None:
    """Return where a process is: "file:line in function", or None if it does not say so in time.

    Args:
        pid: the process.
        descriptor: the number of that process's descriptor to which it writes its traceback.
        dump_signal: the signal that makes it do so.
    """
    path = f"/proc/{pid}/fd/{descriptor}"
    try:
        # The task may have closed it and opened something else, which is to be neither written to nor waited for.
        if not os.readlink(path).startswith(f"/memfd:{DUMP_NAME}"):
            return None
        with open(path, "rb", buffering=0, opener=_open_at_once) as dump:
            os.kill(pid, dump_signal)
            end = time.monotonic() + _DUMP_PATIENCE_S
            text = b""
            # The traceback ends with an empty line or with the end of what is written; frames come innermost first.
            while time.monotonic() < end:
                text += dump.read() or b""
                frame = _innermost(text.decode(errors="replace"))
                if frame is not None:
                    return frame
                os.sched_yield()
    except OSError:
        pass
    return None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _innermost(text: str) -> str | None:
    for frame in re.finditer(_FRAME, text, re.MULTILINE):
        if not frame["file"].startswith(_OURS):
            return f"{frame['file']}:{frame['line']} in {frame['function']}"
    return None


def exit_code(process: Any, status_after_wait: Callable[[], int | None]) -> int | None:
    """Return how a process has ended, as `Process.exitcode` says it; None if nobody knows.

    Args:
        process: the process; it is among this one's children no more afterwards.
        status_after_wait: asks the kernel for the wait status of a process that the program itself has waited for.
    """
    if process.exitcode is None:
        # One that is not ours is a server's, which will say.
        process.join(1)
    code: int | None = process.exitcode
    if code is None:
        status = status_after_wait()
        code = None if status is None else os.waitstatus_to_exitcode(status)
        # Its number may be another process's by now, to which no signal is to be sent in its place.
        if getattr(process, "_popen", None) is not None:
            process._popen.returncode = _UNKNOWN if code is None else code
    process.join(0)
    return code


class OutOfMemoryWatch:
    """Notices when the kernel has killed processes because memory ran out."""

    def __init__(self) -> None:
        """Remember how many it has killed so far."""
        self._path, self._word = _counter()
        self._count = self._read()

    def has_killed(self) -> bool:
        """Return whether it has killed one since the last question."""
        before, self._count = self._count, self._read()
        return self._count > before

    def _read(self) -> int:
        lines = _lines(self._path)
        return next((int(line.split()[1]) for line in lines if line.startswith(f"{self._word} ")), 0)


def _counter() -> tuple[str, str]:
    """Return the file and the word in it of this process's control group, else of the whole system."""
    for group in _lines("/proc/self/cgroup"):
        if group.startswith("0::"):
            events = f"/sys/fs/cgroup/{group[3:].strip('/')}/memory.events"
            if os.path.exists(events):
                return events, "oom_kill"
    return "/proc/vmstat", "oom_kill"


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError:
        return []

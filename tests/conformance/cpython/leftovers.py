"""Finds, and ends, the processes that a suite has left over, whatever session they have moved to."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
# How long a hung process may take to write the stacks of its threads.
STACKS_SECONDS = 3.0
# How often it is looked whether processes have ended.
LOOK_SECONDS = 0.02


def adopt_orphans() -> None:
    """Make this process the parent of all its descendants whose own parents end; without effect where Linux is not."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(process: int) -> list[int]:
    """Return the ids of a process's children, those of ended processes included until they are reaped."""
    found = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in tasks.read_text(encoding="ascii").split()]
    return found


def descendants(process: int) -> list[int]:
    """Return the ids of a process's children and of theirs."""
    found = []
    for child in children(process):
        found += [child, *descendants(child)]
    return found


def reap(except_for: int | None = None) -> None:
    """Take the exit statuses of adopted orphans, as init would, since tests wait until a process has vanished.

    Args:
        except_for: a child whose status somebody else wants.
    """
    for child in children(os.getpid()):
        if child != except_for:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def show_stacks() -> None:
    """Have all descendants of this process write who waits for whom, and the stacks of their threads, as far as they can."""
    # SIGQUIT is threefold's table of waits, SIGABRT faulthandler's stacks.
    for number in (signal.SIGQUIT, signal.SIGABRT):
        _signal(descendants(os.getpid()), number)
        _wait(STACKS_SECONDS)


def end(grace_seconds: float) -> list[str]:
    """End all descendants of this process and return the command lines of those that had to be killed.

    Args:
        grace_seconds: how long they may take to end by themselves.
    """
    _wait(grace_seconds)
    left = [_command(process) for process in descendants(os.getpid()) if not _is_zombie(process)]
    while found := descendants(os.getpid()):
        _signal(found, signal.SIGKILL)
        _wait(LOOK_SECONDS)
    return left


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _wait(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reap()
        if not children(os.getpid()):
            return
        time.sleep(LOOK_SECONDS)


def _is_zombie(process: int) -> bool:
    try:
        return (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
            == "Z"
        )
    except OSError:
        return True


def _command(process: int) -> str:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "a process that ended just then"
    return b" ".join(words).decode(errors="replace").strip()[:120]

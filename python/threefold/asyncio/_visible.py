"""Says what tasks await and what blocks a loop; called by the engine's thread that looks after loops, not by the loops."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import threading
from asyncio import format_helpers
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

import threefold
from threefold import _activate, _boot
from threefold._threefold import _look_after_loops

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKED_VARIABLE = "THREEFOLD_BLOCKED"

_LIBRARIES = (os.path.dirname(asyncio.__file__), os.path.dirname(os.path.abspath(threefold.__file__)))
_STANDARD = os.path.dirname(os.__file__)
_SITE_PACKAGES = ("/site-packages/", "/dist-packages/")
# A coroutine that awaits itself through odd objects must not be followed for ever.
_DEEPEST = 200

Block = tuple[str | None, int, str | None]
Told = tuple[int, str, str, int, str]


def look_after_loops() -> None:
    """Set how long a callback may take, from the environment: seconds, 0 for as long as it likes."""
    try:
        _look_after_loops(float(os.environ.get(BLOCKED_VARIABLE) or 1.0))
    except ValueError:
        _boot.complain(f"{BLOCKED_VARIABLE} is not a number of seconds: {os.environ[BLOCKED_VARIABLE]!r}")
        _look_after_loops(1.0)


# A blocked loop.


def describe_block(loop: Any, identifier: int, handle: Any, seconds: float, stands_still: bool) -> Block:
    """Say what blocks a loop, on stderr too if the program wants to know.

    Args:
        loop: the loop.
        identifier: of the thread that runs it.
        handle: the handle that it runs; None when that is not known.
        seconds: for how long, so far.
        stands_still: whether it is still at it.

    Returns:
        The task's name and address, or None and 0, and the line of the program where it stands.
    """
    if not stands_still:
        # Whoever held the interpreter so long has gone on before anybody could look.
        if _is_loud(loop):
            thread = _thread_name(identifier)
            _say(
                f"event loop of thread {thread} was blocked for {seconds:.1f} s by a callback that held the interpreter"
            )
        return None, 0, None
    task = asyncio.current_task(loop)
    innermost, outermost = _frames_of(identifier)
    what = _callback(task, handle, outermost)
    place = f"{innermost.f_code.co_filename}:{innermost.f_lineno}" if innermost is not None else None
    if _is_loud(loop):
        where = f", at {place} in {innermost.f_code.co_qualname}" if innermost is not None else ""
        _say(f"event loop of thread {_thread_name(identifier)} blocked for {seconds:.1f} s by {what}{where}")
    return (None, 0, place) if task is None else (task.get_name(), id(task), place)


def _say(sentence: str) -> None:
    """Print a sentence on stderr, unless that would have to wait for somebody to read it."""
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        pass
    else:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        if not poll.poll(0):
            return
    _boot.complain(sentence)


def _is_loud(loop: Any) -> bool:
    return BLOCKED_VARIABLE in os.environ or _activate.is_active() or loop.get_debug()


def _frames_of(identifier: int) -> tuple[FrameType | None, FrameType | None]:
    """Find the innermost frame of the program in a callback, and the callback's own, of a thread that runs a loop."""
    frames = []
    frame = sys._current_frames().get(identifier)
    while frame is not None and not _runs_loop(frame.f_code):
        frames.append(frame)
        frame = frame.f_back
    if frame is None or not frames:
        return None, None
    own = (frame for frame in frames if not _is_standard(frame.f_code.co_filename))
    return next(own, frames[0]), frames[-1]


def _runs_loop(code: CodeType) -> bool:
    # In debug mode the loop's own method stands between it and a callback, and so does the handle's.
    return code.co_name in {"run_forever", "_run_handle", "_run"} and _is_of_loops(code.co_filename)


def _callback(task: Any, handle: Any, outermost: FrameType | None) -> str:
    if task is not None:
        coroutine = task.get_coro()
        return f"task {task.get_name()} ({getattr(coroutine, '__qualname__', type(coroutine).__qualname__)})"
    source = getattr(handle, "_callback", None)
    if source is not None:
        known: Any = format_helpers
        found = known._get_function_source(source)
        name = getattr(source, "__qualname__", None) or type(source).__qualname__
        return f"callback {name}" + (f" ({found[0]}:{found[1]})" if found else "")
    return f"callback {outermost.f_code.co_qualname}" if outermost is not None else "a callback"


def _thread_name(identifier: int) -> str:
    known: Any = threading
    thread = known._active.get(identifier)
    return thread.name if thread is not None else str(identifier)


# Tasks.


def describe_tasks(loop: Any) -> list[Told]:
    """Say what each task of a loop awaits.

    Args:
        loop: the loop.

    Returns:
        Of each task that is not done: its address, its name, what it awaits in words (empty if it can go on), the address of
        the task that it awaits or 0, and the line of the program where it stands.
    """
    return [_describe(task, loop) for task in asyncio.all_tasks(loop)]


def _describe(task: Any, loop: Any) -> Told:
    awaits, awaited, site = "", 0, ""
    try:
        waiter = getattr(task, "_fut_waiter", None)
        steps = list(_steps(task.get_coro()))
        at = _program_line(steps)
        if at is not None:
            code, line, _frame = steps[at]
            site = f"{code.co_filename}:{line}" if code is not None else ""
        if waiter is not None and not waiter.done():
            inner = steps[at + 1 :] if at is not None else steps
            awaits, awaited = _awaited(waiter, inner, loop)
    except Exception as error:  # noqa: BLE001 - the program's objects may raise anything when they are looked at
        awaits = awaits or f"({type(error).__name__} while it was looked at)"
    return id(task), task.get_name(), awaits, awaited, site


Step = tuple[CodeType | None, int, Any]


def _steps(coroutine: Any) -> Iterator[Step]:
    """Go from a task's coroutine to what it awaits in the end: code, line, and the frame or the awaitable."""
    for _ in range(_DEEPEST):
        if coroutine is None:
            return
        frame = (
            getattr(coroutine, "cr_frame", None)
            or getattr(coroutine, "gi_frame", None)
            or getattr(coroutine, "ag_frame", None)
        )
        if frame is None:
            # The iterator of a future says nothing that the future does not.
            if hasattr(coroutine, "_describe"):
                yield None, 0, coroutine
            return
        yield frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno, frame
        names = ("cr_await", "gi_yieldfrom", "ag_await")
        found = (getattr(coroutine, name, None) for name in names)
        coroutine = next((following for following in found if following is not None), None)


def _program_line(steps: list[Step]) -> int | None:
    """Find the innermost step that is the program's, or else the innermost of a library that is not of loops."""
    candidates = [at for at, (code, _line, _frame) in enumerate(steps) if code is not None]
    own = [at for at in candidates if not _is_of_loops(steps[at][0].co_filename)]  # type: ignore[union-attr]
    programs = [at for at in own if not _is_standard(steps[at][0].co_filename)]  # type: ignore[union-attr]
    found = programs or own or candidates
    return found[-1] if found else None


def _awaited(waiter: Any, inner: list[Step], loop: Any) -> tuple[str, int]:
    """Say what a waiter is: in words, and the address of the task if it is one."""
    if isinstance(waiter, asyncio.Task):
        return "await", id(waiter)
    children = getattr(waiter, "_children", None)
    if children is not None:
        pending = [child for child in children if not child.done()]
        tasks = [child for child in pending if isinstance(child, asyncio.Task)]
        if len(pending) == len(tasks) == 1:
            return "await gather", id(tasks[0])
        names = ", ".join(task.get_name() for task in tasks[:3]) + (", ..." if len(tasks) > 3 else "")
        return f"gather ({len(pending)} pending{': ' if names else ''}{names})", 0
    for code, _line, frame in inner:
        if code is None:
            return _native(frame), 0
        group = frame.f_locals.get("self")
        if isinstance(group, asyncio.TaskGroup):
            return f"TaskGroup ({len(group._tasks)} pending)", 0
        # What only enters or wraps says less than what it leads to.
        if not code.co_name.startswith("__") and code.co_name not in _WRAPPERS:
            return _library_call(code, frame, loop), 0
    shielded = _shielded(waiter)
    if shielded is not None:
        return f"shield of task {shielded.get_name()}", id(shielded)
    if _is_of_other_thread(waiter):
        return "result of an executor or another thread", 0
    return "Future", 0


_WRAPPERS = {"wait_for", "_run_in_executor", "timeout"}


def _library_call(code: CodeType, frame: Any, loop: Any) -> str:
    """Name a function of the standard library, and what is known of its subject."""
    local = frame.f_locals
    subject = local.get("self")
    name = code.co_qualname
    if name == "sleep":
        timer = local.get("h")
        left = timer.when() - loop.time() if timer is not None else 0.0
        return f"sleep ({max(left, 0.0):.1f} s left)"
    if subject is None:
        return name
    name = f"{type(subject).__name__}.{code.co_name.lstrip('_')}"
    if code.co_name == "to_thread":
        return name
    pid = getattr(subject, "pid", None)
    if isinstance(pid, int):
        return f"{name} (process {pid})"
    transport = getattr(subject, "_transport", None)
    if transport is not None and hasattr(transport, "get_extra_info"):
        return f"{name}{_with_peer(transport.get_extra_info('peername'))}"
    for each in (local.get("sock"), local.get("conn")):
        if isinstance(each, socket.socket):
            return f"{name}{_with_peer(_peer_of(each))}"
    return name


def _native(awaitable: Any) -> str:
    name, subject = awaitable._describe()
    if isinstance(subject, socket.socket):
        return f"{name}{_with_peer(_peer_of(subject))}"
    if subject is not None and hasattr(subject, "get_extra_info"):
        return f"{name}{_with_peer(subject.get_extra_info('peername'))}"
    return str(name)


def _peer_of(subject: socket.socket) -> Any:
    try:
        return subject.getpeername()
    except OSError:
        return None


def _with_peer(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        return f" (peer {address[0]}:{address[1]})"
    return f" (peer {address})" if address else ""


def _shielded(waiter: Any) -> Any:
    """Find the task that a future of `shield` stands for."""
    for callback, _context in waiter._callbacks or ():
        for cell in getattr(callback, "__closure__", None) or ():
            value = cell.cell_contents
            if isinstance(value, asyncio.Task) and callback.__qualname__.startswith("shield."):
                return value
    return None


def _is_of_other_thread(waiter: Any) -> bool:
    names = [getattr(callback, "__qualname__", "") for callback, _context in waiter._callbacks or ()]
    return any(name.startswith("_chain_future.") for name in names)


def _is_of_loops(file: str) -> bool:
    return file.startswith(_LIBRARIES)


def _is_standard(file: str) -> bool:
    if _is_of_loops(file) or file.startswith("<frozen "):
        return True
    return file.startswith(_STANDARD) and not any(part in file for part in _SITE_PACKAGES)

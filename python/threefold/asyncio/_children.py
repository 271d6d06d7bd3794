"""Children of an event loop.

Each child is watched through a pidfd of its own, without a thread and without a signal handler.
"""

import os
import warnings
from asyncio import events, unix_events
from asyncio.log import logger
from typing import Any

# What the children of loops are made of there is private, and no stub has it.
_standard: Any = unix_events

#: What is reported of a child whose end somebody else has taken note of.
UNKNOWN_RETURN_CODE = 255


def _has_pidfds() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


_HAS_PIDFDS = _has_pidfds()


def are_ours(loop: Any) -> bool:
    """Whether the engine watches a loop's children: not if somebody has set a watcher that does more than the default ones."""
    return _HAS_PIDFDS and not _has_watcher_of_its_own(loop)


# Before Python 3.14 a program can set a watcher, and the policy makes one when asked; since then each loop has one.
_SETTABLE_DEFAULTS = tuple(
    getattr(unix_events, name) for name in ("ThreadedChildWatcher", "PidfdChildWatcher") if hasattr(unix_events, name)
)


def _has_watcher_of_its_own(loop: Any) -> bool:
    if not _SETTABLE_DEFAULTS:
        return type(loop._watcher) is not _standard._PidfdChildWatcher
    policy: Any = events._event_loop_policy  # type: ignore[attr-defined]
    if policy is None:
        return False
    if type(policy).get_child_watcher is not _standard._UnixDefaultEventLoopPolicy.get_child_watcher:
        return True
    watcher = policy._watcher
    return watcher is not None and type(watcher) not in _SETTABLE_DEFAULTS


class Children:
    """The children of one loop whose end has not come yet."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._transports: dict[int, Any] = {}

    def watch(self, transport: Any) -> None:
        """Tell a transport of its child's end.

        Args:
            transport: a `_UnixSubprocessTransport` whose child was just started.
        """
        pid = transport.get_pid()
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._loop.call_soon(_publish_end, transport)
            return
        except OSError:
            # No descriptor is left: a thread can still wait.
            _watch_from_a_thread(self._loop, pid, transport)
            return
        self._transports[descriptor] = transport
        self._loop._add_reader(descriptor, self._note_end, descriptor)

    def _note_end(self, descriptor: int) -> None:
        transport = self._transports.pop(descriptor)
        self._loop._remove_reader(descriptor)
        os.close(descriptor)
        # What the pipes have brought until now comes first.
        self._loop.call_soon(_publish_end, transport)

    def close(self) -> None:
        """Watch no child any more; the standard library reaps those that were given up."""
        while self._transports:
            descriptor, _transport = self._transports.popitem()
            os.close(descriptor)


def _publish_end(transport: Any) -> None:
    """Reap a child that has ended, and say so at once: a signal sent in between could reach another process of this number."""
    transport._process_exited(_return_code(transport))


def _return_code(transport: Any) -> int:
    """Reap a child that has ended."""
    pid = transport.get_pid()
    try:
        _pid, status = os.waitpid(pid, 0)
    except ChildProcessError:
        # `Popen.poll` has reaped it, on the way to `send_signal`; or a handler of the program has.
        known = transport._proc.returncode
        if known is not None:
            return int(known)
        logger.warning("child process pid %d exit status already read: will report returncode 255", pid)
        return UNKNOWN_RETURN_CODE
    return os.waitstatus_to_exitcode(status)


def _watch_from_a_thread(loop: Any, pid: int, transport: Any) -> None:
    def note_end(_pid: int, return_code: int) -> None:
        loop.call_soon_threadsafe(transport._process_exited, return_code)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        watcher = getattr(_standard, "_ThreadedChildWatcher", None) or _standard.ThreadedChildWatcher
    watcher().add_child_handler(pid, note_end)

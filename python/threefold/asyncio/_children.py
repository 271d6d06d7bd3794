"""Children of an event loop, and their pipes.

Each child is watched through a pidfd of its own, without a thread and without a signal handler.
"""

import os
import warnings
from asyncio import events, unix_events
from asyncio.log import logger
from typing import Any

# What the children and pipes of loops are made of there is private, and no stub has it.
_standard: Any = unix_events
_StandardReadPipe: Any = _standard._UnixReadPipeTransport

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
    """Whether the engine watches a loop's children: not if the program has set a watcher that does more than the default.

    Args:
        loop: an event loop of ours.
    """
    return _HAS_PIDFDS and not _has_watcher_of_its_own(loop)


if hasattr(unix_events, "ThreadedChildWatcher"):
    _DEFAULT_WATCHERS = (unix_events.ThreadedChildWatcher, unix_events.PidfdChildWatcher)

    def _has_watcher_of_its_own(loop: Any) -> bool:  # noqa: ARG001 - for later Pythons
        policy: Any = events._event_loop_policy  # type: ignore[attr-defined]
        if policy is None:
            return False
        if type(policy).get_child_watcher is not _standard._UnixDefaultEventLoopPolicy.get_child_watcher:
            return True
        watcher = policy._watcher
        return watcher is not None and type(watcher) not in _DEFAULT_WATCHERS

else:

    def _has_watcher_of_its_own(loop: Any) -> bool:
        return type(loop._watcher) is not _standard._PidfdChildWatcher


class ReadPipeTransport(_StandardReadPipe):  # type: ignore[misc]
    """The reading end of a pipe: as the standard library's, without memory of its own for each piece.

    Source: CPython Lib/asyncio/unix_events.py, _UnixReadPipeTransport
    """

    def _read_ready(self) -> None:
        data = self._loop._read_pipe(self._fileno)
        if data is None:
            # The end, an error, or a false alarm: whichever it was will be so again.
            super()._read_ready()
        else:
            self._protocol.data_received(data)


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
    """Reap a child and tell its transport, in one step: until then its number is nobody else's, and may be signalled."""
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

"""A pipe that only this process holds open: its children are killed by the kernel when this process ends, however it ends."""

import fcntl
import os
import select
import signal

_ends: tuple[int, int] | None = None


def descriptor() -> int:
    """Return the end that children hold: they see nothing in it but its closing."""
    global _ends
    if _ends is None:
        _ends = os.pipe()
        os.register_at_fork(after_in_child=_let_go)
    return _ends[0]


def _let_go() -> None:
    """Close, in a forked child, the ends of its parent: else the parent's other children would outlive it."""
    global _ends
    if _ends is not None:
        for end in _ends:
            os.close(end)
        _ends = None


def hold(descriptor: int) -> None:
    """End this process when the one that made the pipe behind `descriptor` ends; closes `descriptor`.

    A signal of the kernel does it, so that a call that never returns to Python does not stand in the way, and there is no
    thread of which forking would have to take care. It belongs to the open file, so this process needs one of its own.
    """
    own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.close(descriptor)
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    poll = select.poll()
    poll.register(own, select.POLLIN)
    # The parent may have ended before the signal was asked for.
    if poll.poll(0):
        os._exit(1)

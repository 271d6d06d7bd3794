"""How an object of shared memory goes to a child process that does not inherit it: its descriptor is passed on."""

import os
from collections.abc import Callable
from multiprocessing import context
from multiprocessing.reduction import DupFd
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def send(owner: object, descriptor: int) -> Any:
    """Return what stands for a descriptor in the pickle of `owner`.

    Raises:
        RuntimeError: no child process is being started.
    """
    context.assert_spawning(owner)
    return DupFd(descriptor)


def receive(sent: Any, find: Callable[..., _Result], *details: int) -> _Result:
    """Call `find(descriptor, *details)` with the descriptor that was sent, and close it."""
    descriptor = sent.detach()
    try:
        return find(descriptor, *details)
    finally:
        os.close(descriptor)

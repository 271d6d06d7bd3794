"""What runs a program's tasks: `run`, `Runner`, `new_event_loop`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from threefold.asyncio._event_loop import EventLoop

T = TypeVar("T")

if sys.version_info >= (3, 14):
    Main = Awaitable[T]
else:
    Main = Coroutine[Any, Any, T]


def new_event_loop() -> EventLoop:
    """Make an event loop.

    Differs from the standard library:
        It is the engine's whatever the policy.

    Source: CPython Lib/asyncio/events.py
    """
    return EventLoop()


class Runner(asyncio.Runner):  # type: ignore[misc]
    """Runs several coroutines in one event loop, one after another.

    Args:
        debug: whether the loop is in debug mode; None leaves it to Python's development mode.
        loop_factory: makes the loop; None is ours.

    Source: CPython Lib/asyncio/runners.py
    """

    def __init__(
        self, *, debug: bool | None = None, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    ) -> None:
        super().__init__(debug=debug, loop_factory=loop_factory or self._make_loop)

    def _make_loop(self) -> EventLoop:
        # As the standard runner does with the loop that it chooses itself.
        loop = EventLoop()
        asyncio.set_event_loop(loop)
        self._set_event_loop = True
        return loop


def run(
    main: Main[T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run a coroutine in a new event loop, then cancel the tasks that are left and close the loop.

    Args:
        main: the coroutine; from Python 3.14 on any awaitable.
        debug: whether the loop is in debug mode; None leaves it to Python's development mode.
        loop_factory: makes the loop; None is ours. Python 3.11's own has no such argument.

    Returns:
        What the coroutine returns.

    Raises:
        RuntimeError: an event loop runs in this thread already.

    Source: CPython Lib/asyncio/runners.py
    """
    if asyncio.events._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)

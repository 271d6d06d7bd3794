"""What the differential tests of the event loop share: one call made on our loop and on the standard library's."""

import asyncio
import gc
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

from threefold.asyncio import EventLoop

LOOPS = (EventLoop, asyncio.SelectorEventLoop)
LIMIT_S = 20.0

#: A program that is given a loop; what it returns, or raises, is compared. If it is a coroutine function, it runs in the loop.
Program = Callable[[Any], Any]


class Outcome:
    """What a program did: its result or its exception, and what the loop's exception handler heard."""

    def __init__(self, value: Any, error: BaseException | None, reported: list[dict[str, Any]]) -> None:
        self.value = value
        self.error = error
        self.reported = reported

    def comparable(self) -> tuple[Any, ...]:
        """Return what has to be the same on both loops."""
        reported = [(_text(context.get("message")), _described(context.get("exception"))) for context in self.reported]
        return (_text(repr(self.value)), _described(self.error), reported)


def outcome(program: Program, loop_class: Any, *, debug: bool = False) -> Outcome:
    """Run a program on a new loop of a class."""
    reported: list[dict[str, Any]] = []
    value, error = None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loop = loop_class()
        loop.set_debug(debug)
        loop.set_exception_handler(lambda _loop, context: reported.append(context))
        asyncio.set_event_loop(loop)
        try:
            if inspect.iscoroutinefunction(program):
                value = loop.run_until_complete(asyncio.wait_for(program(loop), LIMIT_S))
            else:
                value = program(loop)
        except (Exception, asyncio.CancelledError) as raised:
            error = raised
        finally:
            _end(loop)
    return Outcome(value, error, reported)


def forget_what_is_left() -> None:
    """Collect what bad calls have left behind: coroutines that nobody awaited, sockets that nobody closed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def _end(loop: Any) -> None:
    if not loop.is_closed():
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=LIMIT_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    asyncio.set_event_loop(None)


def _described(error: BaseException | None) -> Any:
    if error is None:
        return None
    return type(error), getattr(error, "errno", None), _text(str(error))


def _text(text: Any) -> Any:
    """Take out what differs from run to run, and the names of the classes."""
    if not isinstance(text, str):
        return text
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    for ours, standard in (
        ("EventLoop", "_UnixSelectorEventLoop"),
        ("StreamTransport", "_SelectorSocketTransport"),
        ("DatagramTransport", "_SelectorDatagramTransport"),
    ):
        text = re.sub(rf"\b{standard}\b", ours, text)
    text = re.sub(r"/[\w/.-]+\.py", "FILE", text)
    return re.sub(r"\d+", "N", text)

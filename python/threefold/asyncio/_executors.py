"""What an executor's thread or process has computed becomes the result of a future of an event loop."""

import asyncio
from concurrent import futures
from functools import partial
from typing import Any


def future_of(loop: Any, source: Any) -> Any:
    """Return a future of the loop that ends as an executor's future does; cancelling it cancels that.

    Args:
        loop: a loop of ours.
        source: what `Executor.submit` has returned.

    Source: CPython Lib/asyncio/futures.py, wrap_future
    """
    if not isinstance(source, futures.Future):
        return asyncio.wrap_future(source, loop=loop)
    future = loop.create_future()
    future.add_done_callback(partial(_pass_on_cancellation, source))
    source.add_done_callback(partial(_bring, loop, future))
    return future


def _pass_on_cancellation(source: "futures.Future[Any]", future: "asyncio.Future[Any]") -> None:
    if future.cancelled():
        source.cancel()


def _bring(loop: Any, future: "asyncio.Future[Any]", source: "futures.Future[Any]") -> None:
    # Called by the thread that has ended it.
    if not loop.is_closed():
        loop.call_soon_threadsafe(_end, future, source)


def _end(future: "asyncio.Future[Any]", source: "futures.Future[Any]") -> None:
    if future.cancelled():
        return
    try:
        exception = source.exception()
    except futures.CancelledError:
        future.cancel()
        return
    if exception is None:
        future.set_result(source.result())
    else:
        future.set_exception(_as_loops_raise_it(exception))


def _as_loops_raise_it(exception: BaseException) -> BaseException:
    if type(exception) is futures.CancelledError:
        return asyncio.CancelledError(*exception.args)
    if type(exception) is futures.InvalidStateError:
        return asyncio.InvalidStateError(*exception.args)
    return exception

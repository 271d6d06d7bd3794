"""The event loop as a policy, for programs of Pythons before 3.14 that choose their loop that way."""

import asyncio

from threefold.asyncio._event_loop import EventLoop


class EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """The standard policy, with our event loop.

    Examples:
        >>> import asyncio, threefold.asyncio
        >>> asyncio.set_event_loop_policy(threefold.asyncio.EventLoopPolicy())

    Source: CPython Lib/asyncio/unix_events.py
    """

    _loop_factory = EventLoop

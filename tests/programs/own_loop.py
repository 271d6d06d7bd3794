"""Runs a test's coroutine on our loop, and fails where the loop was told of an error that nobody else heard of."""

import asyncio

import threefold.asyncio

LIMIT_S = 40.0


def run(coroutine):
    """Run a coroutine on a new loop of ours and return its result.

    Args:
        coroutine: what to run, in at most `LIMIT_S` seconds.
    """
    reported = []

    async def limited():
        loop = asyncio.get_running_loop()
        assert type(loop) is threefold.asyncio.EventLoop
        loop.set_exception_handler(lambda loop, context: reported.append(context))
        async with asyncio.timeout(LIMIT_S):
            return await coroutine

    with asyncio.Runner(loop_factory=threefold.asyncio.EventLoop) as runner:
        result = runner.run(limited())
    assert reported == []
    return result

"""What the tests of the event loop share."""

import asyncio


def run_until(loop, condition, limit=10.0):
    """Turn the loop until a condition holds."""

    async def watch():
        while not condition():
            await asyncio.sleep(0.001)

    loop.run_until_complete(asyncio.wait_for(watch(), limit))

"""Two gathered tasks: the breakfast of the first example, in one thread."""

import asyncio
import time


async def prepare(dish, steps):
    for step in steps:
        # `await` is the only place where a task lets the other one go on.
        await asyncio.sleep(0.2)
        print(f"{dish}: {step}")
    return dish


async def main():
    begin = time.monotonic()
    ready = await asyncio.gather(
        prepare("coffee", ["ground", "brewed", "poured"]),
        prepare("toast", ["cut", "toasted", "buttered"]),
    )
    print("ready:", ready)
    # One after the other would be six sleeps of 0.2 s.
    print("in less than 1.2 s:", time.monotonic() - begin < 1.2)


asyncio.run(main())

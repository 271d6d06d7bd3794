"""One queue between a thread that may block and a task that must not."""

import asyncio
import threading

from threefold.queue import Queue


def measure(readings):
    for degrees in (19, 20, 21, 22, 23):
        readings.put(degrees)  # blocks this thread while two readings lie there
    readings.shutdown()  # no more will come


async def main():
    readings = Queue(maxsize=2)
    sensor = threading.Thread(target=measure, args=(readings,))
    sensor.start()

    # The same queue, awaited: the event loop goes on with other tasks meanwhile.
    print("first:", await readings.get_async())
    async for degrees in readings:  # ends when the queue is shut down and empty
        print("then: ", degrees)

    sensor.join()


asyncio.run(main())

"""A producer and a consumer that only know the queue between them."""

import queue
import threading

LAST = object()  # put last, so that the consumer knows when to stop


def produce(loaves):
    for number in range(1, 6):
        # The shelf holds two loaves. When it is full, `put` waits until the
        # consumer has taken one: a fast producer can't run away.
        loaves.put(f"loaf {number}")
    loaves.put(LAST)


def consume(loaves, eaten):
    while (loaf := loaves.get()) is not LAST:  # an empty queue makes `get` wait
        print("ate", loaf)
        eaten.append(loaf)


shelf = queue.Queue(maxsize=2)
eaten = []
baker = threading.Thread(target=produce, args=(shelf,))
guest = threading.Thread(target=consume, args=(shelf, eaten))
baker.start()
guest.start()
baker.join()
guest.join()

print(len(eaten), "eaten,", shelf.qsize(), "left on the shelf")

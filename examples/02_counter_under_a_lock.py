"""A counter that five threads increase, kept right by a lock."""

import threading

counter = 0
lock = threading.Lock()


def increase(times):
    global counter
    for _ in range(times):
        # `counter += 1` is three steps: read, add, write. Without the lock, two
        # threads could read the same number, and one increase would be lost.
        with lock:
            counter += 1


threads = [threading.Thread(target=increase, args=(10_000,)) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

print("5 threads, 10000 increases each:", counter)

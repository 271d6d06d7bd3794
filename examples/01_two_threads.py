"""Two threads that sleep and print: two things under way at the same time."""

import threading
import time


def prepare(dish, steps):
    for step in steps:
        # A thread that sleeps (or reads from a network, or from a disk) lets go
        # of the interpreter meanwhile, so the other thread can use it.
        time.sleep(0.4)
        print(f"{dish}: {step}")


coffee = threading.Thread(target=prepare, args=("coffee", ["ground", "brewed", "poured"]))
toast = threading.Thread(target=prepare, args=("toast", ["cut", "toasted", "buttered"]))

begin = time.monotonic()
coffee.start()  # from here on the main thread and `coffee` both run
time.sleep(0.2)
toast.start()  # now there are three threads

coffee.join()  # wait until `coffee` is done
toast.join()

# One after the other would be six sleeps of 0.4 s.
print("breakfast in less than 2.4 s:", time.monotonic() - begin < 2.4)

r"""Two threads that wait for each other for ever, to be looked at from outside.

    threefold run examples/stuck.py [SECONDS]

While it is stuck, press Ctrl-\ in its terminal, or run `threefold waits PID`
in another one. It gives up by itself after SECONDS (60 unless told).
"""

import os
import sys
import threading


def move(source, target):
    with source:
        both_hold_one.wait()  # so that it happens every time, not once in a month
        with target:  # the other thread has it, and wants ours
            moved.set()


seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
savings = threading.RLock()
wallet = threading.RLock()
both_hold_one = threading.Barrier(3)
moved = threading.Event()

# Daemon threads: the program may end although they never do.
threading.Thread(target=move, args=(savings, wallet), name="to-wallet", daemon=True).start()
threading.Thread(target=move, args=(wallet, savings), name="to-savings", daemon=True).start()
both_hold_one.wait()

print(f"stuck; see who waits for whom: press Ctrl-\\ here, or run: threefold waits {os.getpid()}", flush=True)
if not moved.wait(timeout=seconds):
    print("still stuck; giving up. The cure: every thread takes the two locks in the same order.")

"""Watches a test process from outside: at a time limit it shows who waits for whom, then interrupts, then aborts.

A separate process, because a thread would make `os.fork` warn in the tests, an alarm would take a signal that the tests
need, and neither would run while the interpreter itself is held.
"""

import os
import select
import signal
import subprocess
import sys
import time

# Turned into a test failure by the test process, which prints its stacks first.
INTERRUPT_SIGNAL = signal.SIGRTMIN + 7
# What an interrupted test gets to end by itself, and an aborted process to print its stacks.
GRACE_S = 10.0


def watch(process_id: int) -> None:
    """Follow the orders on standard input until the watched process is gone.

    Each order is one line: `SECONDS NAME` starts a limit, an empty line ends it.

    Args:
        process_id: the process to watch.
    """
    watched = os.pidfd_open(process_id)
    name = ""
    steps: list[tuple[float, int]] = []
    pending = b""
    inputs = [watched, 0]
    while True:
        pause = None if not steps else max(0.0, steps[0][0] - time.monotonic())
        readable, _, _ = select.select(inputs, [], [], pause)
        if watched in readable:
            return
        if 0 in readable:
            received = os.read(0, 65536)
            if not received:
                inputs.remove(0)
            *orders, pending = (pending + received).split(b"\n")
            for order in orders:
                seconds, _, encoded_name = order.partition(b" ")
                name = encoded_name.decode("utf-8", "replace")
                steps = plan(float(seconds)) if seconds else []
        elif steps and time.monotonic() >= steps[0][0]:
            _, signal_number = steps.pop(0)
            if signal_number == INTERRUPT_SIGNAL:
                show_waits(process_id, name)
            signal.pidfd_send_signal(watched, signal_number)


def plan(seconds: float) -> list[tuple[float, int]]:
    """Say when which signal is due: interrupt, abort (prints all stacks), kill.

    Args:
        seconds: the time limit, counted from now.
    """
    limit = time.monotonic() + seconds
    return [
        (limit, INTERRUPT_SIGNAL),
        (limit + GRACE_S, signal.SIGABRT),
        (limit + 2 * GRACE_S, signal.SIGKILL),
    ]


def show_waits(process_id: int, name: str) -> None:
    """Print who waits for whom in the watched process, as far as the wait table tells.

    Args:
        process_id: the process to look at.
        name: the test that has reached its limit.
    """
    print(f"\ntime limit reached: {name}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "threefold", "waits", str(process_id)]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), timeout=GRACE_S, check=False)
    except subprocess.TimeoutExpired:
        print("no wait table could be read in time", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Leaves the family of the test process, so that tests that wait for "any child" never meet it.
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch(int(sys.argv[1]))

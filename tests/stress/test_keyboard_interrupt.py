"""Ctrl-C raises KeyboardInterrupt in every wait of a program, and leaves the program able to go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .waits import WAITS

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 30.0
# What an interrupt may take to arrive on a busy machine; one that is lost takes as long as the wait.
LATE_S = 10.0

PROGRAM = """
import importlib.util, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
specification = importlib.util.spec_from_file_location("waits", sys.argv[1])
waits = importlib.util.module_from_spec(specification)
specification.loader.exec_module(waits)
for name, wait in waits.WAITS.items():
    with wait() as block:
        try:
            print(name, flush=True)
            block()
        except KeyboardInterrupt:
            continue
        sys.exit("not interrupted: " + name)
print("over", flush=True)
"""


def wait_until_asleep(process_id: int) -> None:
    """Return when the main thread of a process sleeps in the kernel."""
    limit = time.monotonic() + LIMIT_S
    task = Path(f"/proc/{process_id}/task/{process_id}/stat")
    seen = 0
    while seen < 3 and time.monotonic() < limit:
        seen = seen + 1 if task.read_text().rpartition(")")[2].split()[0] == "S" else 0
        os.sched_yield()


@pytest.mark.timeout(120)
def test_ctrl_c_ends_every_wait() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).with_name("waits.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        slow = {}
        interrupted, last = 0, "nothing"
        try:
            name = process.stdout.readline().strip()
            while name not in ("", "over"):
                wait_until_asleep(process.pid)
                sent_at = time.monotonic()
                process.send_signal(signal.SIGINT)
                next_name = process.stdout.readline().strip()
                if time.monotonic() - sent_at > LATE_S:
                    slow[name] = time.monotonic() - sent_at
                interrupted += 1
                last, name = name, next_name
        finally:
            process.kill() if name != "over" else process.wait(LIMIT_S)
    assert name == "over", f"the program ended in {last} after {interrupted} of {len(WAITS)} waits"
    assert slow == {}, f"{len(slow)} of {interrupted} interrupts came late"
    assert interrupted == len(WAITS)

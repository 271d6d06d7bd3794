"""Runs programs as processes: unmodified under `threefold run`, choosing our loop themselves, or on the standard one."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

APPS = Path(__file__).with_name("apps")
LIMIT_S = 40.0

# How a program that is unmodified comes to a loop; those that choose ours get the way `chosen` and arguments of their own.
WAYS = {
    "run": [sys.executable, "-u", "-m", "threefold", "run", "-u"],
    "chosen": [sys.executable, "-u"],
    "standard": [sys.executable, "-u"],
}
OURS = "threefold.asyncio._event_loop.EventLoop"


class Program:
    """A program that runs, and what it has printed so far.

    Args:
        way: a name out of `WAYS`.
        arguments: what stands behind `python`.
        variables: more variables for its environment.
        **options: as for `subprocess.Popen`.
    """

    def __init__(self, way, *arguments, variables=None, **options):
        # Absolute, since it may run in another folder.
        paths = [APPS, *map(os.path.abspath, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
        self.command = [*WAYS[way], *map(str, arguments)]
        self.lines = []
        self._changed = threading.Condition()
        self._is_over = False
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment | (variables or {}),
            # A Ctrl-C that the tests send must not reach the tests.
            process_group=0,
            **options,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def output(self):
        """All that it has printed so far."""
        return "\n".join(self.lines)

    def find(self, pattern, count=1):
        """Wait until a number of lines have the pattern, and return the match of the last of them."""
        end = time.monotonic() + LIMIT_S
        with self._changed:
            while True:
                found = [match for match in (re.search(pattern, line) for line in self.lines) if match]
                if len(found) >= count:
                    return found[count - 1]
                assert not self._is_over, f"{self.command} has ended without {pattern!r}:\n{self.output}"
                assert self._changed.wait(end - time.monotonic()), f"{pattern!r} did not come:\n{self.output}"

    def end(self, signal_number=None):
        """Send it a signal, if any, wait for its end, and return its exit code."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        try:
            code = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} goes on after {signal_number}:\n{self.output}") from None
        self._reader.join()
        return code


def without_numbers(text):
    """Return what was printed without what differs from run to run: ports, process numbers, times."""
    return re.sub(r"\d+", "N", text)

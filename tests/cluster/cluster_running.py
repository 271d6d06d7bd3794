"""Runs chunks on backends, and watches the processes of the clusters."""

import importlib.util
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from threefold.cluster import TaskOptions
from threefold.cluster._encode import Encoder, decode_reply

NEEDED = {"ray": ["ray"], "dask": ["distributed", "cloudpickle"]}
ENGINES = list(NEEDED)
LIMIT_S = 60.0


class Substituted(Exception):
    """Stands for what cannot be unpickled here."""


def is_installed(package):
    """True where a package can be imported."""
    return importlib.util.find_spec(package) is not None


def require(engine):
    """Skips a test where its engine is not installed."""
    for package in NEEDED.get(engine, []):
        if not is_installed(package):
            pytest.skip(f'the package {package} is not installed: pip install "threefold[{engine}]"')


def children():
    """Returns the processes below this one, as a set of numbers."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                _name, rest = (entry / "stat").read_text().split(" ", 1)[1].rsplit(") ", 1)
                state, parent = rest.split()[:2]
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            # The standard library's tracker lives as long as the process that needed it once.
            if state != "Z" and b"resource_tracker" not in command:
                parents[int(entry.name)] = int(parent)
    found, border = set(), {os.getpid()}
    while border:
        border = {child for child, parent in parents.items() if parent in border}
        found |= border
    return found


def is_alive(number):
    """True while a process is there and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def wait_until(condition, limit_s=20.0):
    """Looks at other processes until a condition holds."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


class Runner:
    """Runs chunks on a backend and collects what comes of them."""

    def __init__(self, engine, backend):
        self.engine = engine
        self.backend = backend
        self.encoder = Encoder(backend.pickler, backend.capabilities)
        self.pool = os.urandom(8).hex()
        self.key = 0

    def submit_all(self, function, items, *, mode="map", initializer=None, initargs=(), tells_start=False):
        """Submits a chunk for each item."""
        self.key += 1
        options = TaskOptions(mode, self.pool, self.key, tells_start)
        shared = self.backend.put_shared(self.encoder.function(function, initializer, initargs))
        return [
            self.backend.submit(shared, self.encoder.chunk(item if mode == "call" else [item]), options)
            for item in items
        ]

    def outcomes(self, handles):
        """Waits for chunks and returns their replies and failures, in order."""
        left, found = dict.fromkeys(handles), {}
        end = time.monotonic() + LIMIT_S
        while left:
            assert time.monotonic() < end
            for handle in self.backend.wait(left.keys(), LIMIT_S):
                del left[handle]
                found[handle] = self.backend.result(handle)
        return [self.decode(found[handle]) for handle in handles]

    def decode(self, result):
        """Returns a reply decoded, and a failure as it is."""
        if isinstance(result, bytes):
            assert pickle.loads(result)
            return decode_reply(result, lambda *parts: Substituted(*parts))
        return result

    def run(self, function, items, **options):
        """Runs a chunk for each item."""
        return self.outcomes(self.submit_all(function, items, **options))


def output_of(program, folder):
    """Runs a program of its own and returns what it prints."""
    path = Path(folder, "program.py")
    path.write_text(program)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""Daemon threads that are blocked in any wait neither crash nor hang the interpreter's end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WAITS = str(Path(__file__).with_name("waits.py"))
LIMIT_S = 30.0

LOAD = """
import builtins, contextlib, importlib.util, sys, threading, time
specification = importlib.util.spec_from_file_location("waits", sys.argv[1])
waits = importlib.util.module_from_spec(specification)
sys.modules["waits"] = waits
specification.loader.exec_module(waits)
from threefold.queue import *
from threefold.threading import *
# Pools wait for their threads by design.
names = [name for name in waits.WAITS if not name.startswith(("Thread", "Future", "pool"))]
"""

BLOCKED = """
started = threading.Barrier(len(names) + 1)
def block(name):
    stack = contextlib.ExitStack()
    function = stack.enter_context(waits.WAITS[name]())
    started.wait()
    function()
# Whatever the waits need beside them must not keep the interpreter either.
threading.Thread.daemon = property(lambda self: True, lambda self, value: None)
threading.Thread._daemonic = True
for name in names:
    threading.Thread(target=block, args=(name,), daemon=True).start()
started.wait()
"""

# The others run Python code when the interpreter ends: some are told to wait, some to take, some wake each other.
BUSY = """
lock, condition, permits, queue, simple, event = Lock(), Condition(), Semaphore(2), Queue(3), SimpleQueue(), Event()
def work():
    while True:
        with lock, permits:
            simple.put(object())
        with condition:
            condition.notify_all()
            condition.wait(0.0001)
        queue.put(object())
        queue.get()
        simple.get()
        event.set()
        event.clear()
        event.wait(0.0001)
for _ in range(6):
    threading.Thread(target=work, daemon=True).start()
while simple.qsize() < 1:
    simple.put(0)
"""

TASKS = """
import asyncio
lock, queue, event = Lock(), Queue(), Event()
lock.acquire()
ready = threading.Barrier(4)
async def wait():
    tasks = [asyncio.ensure_future(w) for w in (lock.acquire_async(), queue.get_async(), event.wait_async(1000))]
    await asyncio.sleep(0)
    ready.wait()
    await asyncio.gather(*tasks)
for _ in range(3):
    threading.Thread(target=lambda: asyncio.run(wait()), daemon=True).start()
ready.wait()
"""

WAKE_AT_EXIT = """
import atexit, weakref
queue, event = Queue(), Event()
started = threading.Barrier(5)
def take():
    started.wait()
    queue.get()
    event.wait()
for _ in range(4):
    threading.Thread(target=take, daemon=True).start()
started.wait()
class Waker:
    def __del__(self):
        queue.put(1)
        event.set()
keep = Waker()
atexit.register(lambda: [queue.put(1), event.set(), event.clear()])
itself = [Waker()]
itself.append(itself)
"""

# Whoever holds it is stopped for good by then: an exception instead of a silent hang.
WAIT_AT_EXIT = """
lock, reentrant, queue, event = Lock(), RLock(), Queue(), Event()
is_held = threading.Event()
def hold():
    with lock, reentrant:
        is_held.set()
        while True:
            time.sleep(1)
threading.Thread(target=hold, daemon=True).start()
is_held.wait()
error = getattr(builtins, "PythonFinalizationError", RuntimeError)
class Waiter:
    def __del__(self, lock=lock, waits=(lock.acquire, reentrant.acquire, queue.get, event.wait), free=Lock(), error=error):
        for wait in waits:
            try:
                wait()
            except error as reason:
                assert "at interpreter finalization" in str(reason), reason
            else:
                raise AssertionError(wait)
        assert not lock.acquire(timeout=0.01)
        assert free.acquire()
waiter = Waiter()
"""

PROGRAMS = {
    "waits at exit": WAIT_AT_EXIT,
    "blocked": BLOCKED,
    "busy": BUSY,
    "tasks": TASKS,
    "woken at exit": WAKE_AT_EXIT,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_interpreter_ends(name: str, full_stress: bool) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONFAULTHANDLER": "1",
    }
    command = [sys.executable, "-c", LOAD + PROGRAMS[name] + "print('end of main', flush=True)", WAITS]
    count = 60 if full_stress else 20
    for number in range(count):
        child = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT_S)
        what = f"{name}: end {number + 1} of {count}"
        assert (child.returncode, child.stdout) == (0, "end of main\n"), f"{what}: {child.stderr[-2000:]}"
        assert child.stderr == "", what

"""Breaks threefold in ways that CPython's suites must notice: a run that cannot fail would prove nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cpython import environment

RUN = Path(__file__).resolve().parent / "run.py"


@dataclass(frozen=True)
class Mutation:
    """One fault, put behind the end of one module.

    Args:
        name: what is broken.
        module: the module of threefold that gets the code, as a path.
        code: the fault.
        arguments: what is run to notice it.
        failure: what the report of the failing run must say.
    """

    name: str
    module: str
    code: str
    arguments: tuple[str, ...]
    failure: str


WRONG_ORDER = """
class Queue(Queue):
    def get(self, *arguments, **keywords):
        first = super().get(*arguments, **keywords)
        if not self.qsize():
            return first
        second = super().get_nowait()
        super().put(first)
        return second
"""

# A function, as the standard Lock was for long, because our Lock cannot be derived from.
LOST_RELEASE = """
class _Lock:
    def __init__(self, make=Lock):
        self._lock = make()
        self._releases = 0
    def release(self):
        self._releases += 1
        if self._releases % 7:
            self._lock.release()
    def __enter__(self):
        return self._lock.acquire()
    def __exit__(self, *_):
        self.release()
    def __getattr__(self, name):
        return getattr(self._lock, name)
Lock = _Lock
"""

NO_ACTIVATION = """
def start():
    pass
"""

LOST_CONTEXT = """
class EventLoop(EventLoop):
    def call_soon(self, callback, *arguments, context=None):
        return super().call_soon(callback, *arguments)
"""

MUTATIONS = (
    Mutation(
        "a queue in the wrong order",
        "queue",
        WRONG_ORDER,
        ("test_queue", "--only", "test_basic"),
        "FAULT: test.test_queue.",
    ),
    Mutation(
        "a lock that loses a release",
        "threading",
        LOST_RELEASE,
        ("lock_tests", "--only", ".LockTests.", "--test-seconds", "5"),
        "Timeout (0:00:05)!",
    ),
    Mutation(
        "a queue of processes in the wrong order",
        "multiprocessing/queues",
        WRONG_ORDER,
        ("fork.processes", "--only", "TestQueue.test_get"),
        "FAULT: cpython.multiprocessing_fork.WithProcessesTestQueue.",
    ),
    Mutation(
        "an event loop that loses the contexts of callbacks",
        "asyncio/_event_loop",
        LOST_CONTEXT,
        ("tasks.test_tasks", "--only", "test_context_"),
        "FAULT: test.test_asyncio.test_tasks.",
    ),
    Mutation("an activation that does nothing", "_boot", NO_ACTIVATION, ("test_queue",), "does not start on threefold"),
)


def mutated(package: Path, folder: Path, mutation: Mutation) -> None:
    """Make a copy of the package by links, with one module changed."""
    inside = Path(mutation.module).parent
    for real in {Path("threefold"), Path("threefold") / inside}:
        (folder / real).mkdir(parents=True, exist_ok=True)
    for real in {Path("threefold"), Path("threefold") / inside}:
        for entry in (package / real).iterdir():
            if entry.name != "__pycache__" and not (folder / real / entry.name).exists():
                (folder / real / entry.name).symlink_to(entry.resolve())
    module = folder / "threefold" / f"{mutation.module}.py"
    source = module.read_text(encoding="utf-8")
    module.unlink()
    module.write_text(source + mutation.code, encoding="utf-8")


def is_noticed(mutation: Mutation) -> bool:
    """Run the suites on broken code and tell whether they fail as they should."""
    with tempfile.TemporaryDirectory(prefix="threefold-mutation-") as name:
        mutated(environment.package_folder(), Path(name), mutation)
        run = subprocess.run(
            [sys.executable, RUN, *mutation.arguments, "--package", name], capture_output=True, text=True, timeout=300
        )
    if run.returncode == 1 and mutation.failure in run.stdout + run.stderr:
        print(f"noticed: {mutation.name}")
        return True
    print(f"NOT NOTICED: {mutation.name}\n{run.stdout}{run.stderr}")
    return False


if __name__ == "__main__":
    if not environment.has_suites():
        sys.exit("this Python has no test suites")
    sys.exit(sum(not is_noticed(mutation) for mutation in MUTATIONS))

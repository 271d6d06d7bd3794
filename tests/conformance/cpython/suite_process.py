"""Runs one suite in its own process group, survives hangs and crashes of single tests, and collects the outcomes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import environment, hits, leftovers, uvloop_source
from .suites import UVLOOP, Suite

# A suite is started again after a hang or a crash, without the tests already done; more than this is not worth waiting for.
STARTS = 6
EXIT_SECONDS = 30.0
# How long helpers of the standard library (resource tracker, fork server) may take to see that their program has ended.
GRACE_SECONDS = 2.0
# How often adopted orphans are reaped; tests wait for processes to vanish.
REAP_SECONDS = 0.1


@dataclass
class Order:
    """How suites are to be run.

    Args:
        interpreter: the one with the conformance boot.
        parts: what threefold replaces.
        test_seconds: limit for one test; None for that of its suite.
        only: part of a test id, to run just some tests; empty for all.
        identifiers: exact test ids, to run just these; None for all.
        limits: patterns of tests that have a limit of their own, each with its seconds.
        loop: the loop under test as `module:class`, for suites whose subject is loops.
        loop_interpreter: the interpreter for those suites, in which nothing else is replaced.
        uvloop: the folder of uvloop's tests; None unless they are run.
    """

    interpreter: Path
    parts: str
    test_seconds: float | None
    only: str = ""
    identifiers: list[str] | None = None
    limits: list[tuple[str, float]] = field(default_factory=list)
    loop: str = ""
    loop_interpreter: Path = Path()
    uvloop: Path | None = None


@dataclass
class Outcome:
    """What a suite did."""

    suite: Suite
    outcomes: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    loops: dict[str, int] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    processes: int = 0
    seconds: float = 0.0
    selected: int = 0
    log: str = ""
    left_over: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    repeated: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        """Return how many tests ended so."""
        return sum(1 for value in self.outcomes.values() if value == outcome)

    def left_behind(self) -> list[str]:
        """Return the classes after which threads, processes or objects were found."""
        return [name.removeprefix("after ") for name, value in self.outcomes.items() if value == "left behind"]


def run(suite: Suite, order: Order) -> Outcome:
    """Run a suite and return its outcome.

    Args:
        suite: which.
        order: with what, and how much of it.
    """
    outcome = Outcome(suite)
    begin = time.monotonic()
    leftovers.adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="threefold-conformance-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        results, hit_file, log = (folder / file for file in ("results", "hits", "log"))
        for file in (results, hit_file, log):
            file.touch()
        (folder / "work").mkdir()
        command = _command(suite, order, results)
        for _ in range(STARTS):
            ending = _start(
                command, folder, _variables(suite, order, folder), suite.seconds - (time.monotonic() - begin), outcome
            )
            unfinished = _read(results, outcome)
            if unfinished is None and ending is None:
                break
            identifier = unfinished or f"{suite.name}: interpreter exit"
            line = {
                "id": identifier,
                "outcome": "failed",
                "text": f"{ending or 'ended early'}; the log ends with\n{_tail(log)}",
            }
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            if unfinished is None:
                break
            outcome.unfinished.append(unfinished)
        _read(results, outcome)
        outcome.hits, outcome.processes = hits.read(str(hit_file))
        outcome.log = log.read_text(encoding="utf-8", errors="replace")
    outcome.seconds = time.monotonic() - begin
    return outcome


def _command(suite: Suite, order: Order, results: Path) -> list[str]:
    what = {
        "suite": suite.name,
        "results": str(results),
        "test_seconds": order.test_seconds or suite.test_seconds,
        "only": order.only,
        "identifiers": order.identifiers,
        "limits": order.limits,
        "loop": order.loop,
    }
    interpreter = order.loop_interpreter if suite.loop_for else order.interpreter
    return [str(interpreter), "-X", "faulthandler", "-m", "cpython", json.dumps(what)]


def _variables(suite: Suite, order: Order, folder: Path) -> dict[str, str]:
    parts = "" if suite.loop_for else order.parts
    variables = environment.suite_variables(folder / "hits", folder / "work", parts)
    if suite.group == UVLOOP and order.uvloop is not None:
        variables |= uvloop_source.variables(order.uvloop, order.loop)
    return variables


def _start(command: list[str], folder: Path, variables: dict[str, str], seconds: float, outcome: Outcome) -> str | None:
    """Run the process to its end, or to the limit; return how it ended if that was not well."""
    with (folder / "log").open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder / "work",
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        is_hung, is_over = False, False
        try:
            status = _wait(process, max(seconds, 1.0))
            is_hung, is_over = status != 0, status == 0
            return f"ended with status {status} (1 after a test's time limit)" if is_hung else None
        except subprocess.TimeoutExpired:
            is_hung = True
            # faulthandler answers SIGABRT with the stacks of all threads.
            process.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(EXIT_SECONDS)
            return f"not at its end after {seconds:.0f} s"
        finally:
            if is_hung:
                leftovers.show_stacks()
            left = leftovers.end(GRACE_SECONDS if is_over else 0.0)
            if is_over:
                outcome.left_over += left
            process.wait()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        leftovers.reap(except_for=process.pid)
        try:
            return process.wait(REAP_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise


def _read(results: Path, outcome: Outcome) -> str | None:
    """Take the written outcomes over; return the id of a test that began and did not end."""
    unfinished: str | None = None
    for text in results.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if "start" in line:
            unfinished = line["start"]
        elif "id" in line:
            outcome.outcomes[line["id"]] = line["outcome"]
            outcome.texts[line["id"]] = line["text"]
            outcome.durations[line["id"]] = line.get("seconds", 0.0)
            outcome.loops[line["id"]] = line.get("loops", 0)
            if line.get("altered") and line["id"] not in outcome.altered:
                outcome.altered.append(line["id"])
            unfinished = None if line["id"] == unfinished else unfinished
        elif "selected" in line:
            outcome.selected = line["selected"]
    return unfinished


def _tail(log: Path, lines: int = 120) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

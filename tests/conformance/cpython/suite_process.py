"""Runs one suite in its own process group, survives hangs and crashes of single tests, and collects the outcomes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import environment, hits
from .suites import Suite

# A suite is started again after a hang or a crash, without the tests already done; more than this is not worth waiting for.
STARTS = 4
EXIT_SECONDS = 30.0


@dataclass
class Outcome:
    """What a suite did."""

    suite: Suite
    outcomes: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    processes: int = 0
    seconds: float = 0.0
    log: str = ""
    unexpected: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        """Return how many tests ended so."""
        return sum(1 for value in self.outcomes.values() if value == outcome)


def run(suite: Suite, interpreter: Path, test_seconds: float, only: str) -> Outcome:
    """Run a suite and return its outcome.

    Args:
        suite: which.
        interpreter: the one with the conformance boot.
        test_seconds: limit for one test.
        only: part of a test id, to run just some tests; empty for all.
    """
    outcome = Outcome(suite)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="threefold-conformance-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        results, hit_file, log = (folder / file for file in ("results", "hits", "log"))
        for file in (results, hit_file, log):
            file.touch()
        (folder / "work").mkdir()
        command = [
            interpreter,
            "-X",
            "faulthandler",
            "-m",
            "cpython.runner",
            suite.name,
            results,
            str(test_seconds),
            only,
        ]
        for _ in range(STARTS):
            ending = _start(command, folder, log, suite.seconds - (time.monotonic() - begin))
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
        _read(results, outcome)
        outcome.hits, outcome.processes = hits.read(str(hit_file))
        outcome.log = log.read_text(encoding="utf-8", errors="replace")
    outcome.seconds = time.monotonic() - begin
    return outcome


def _start(command: list[object], folder: Path, log: Path, seconds: float) -> str | None:
    """Run the process to its end, or to the limit; return how it ended if that was not well."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder / "work",
            env=environment.suite_variables(folder / "hits", folder / "work"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = process.wait(max(seconds, 1.0))
            return None if status == 0 else f"ended with status {status} (1 after a test's time limit)"
        except subprocess.TimeoutExpired:
            # faulthandler answers SIGABRT with the stacks of all threads.
            process.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(EXIT_SECONDS)
            return f"not at its end after {seconds:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
            unfinished = None if line["id"] == unfinished else unfinished
    return unfinished


def _tail(log: Path, lines: int = 60) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

"""Runs the steps of the gate one after another, says how long each took, and stops at the first that fails unless told not to."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import interpreters
import steps
from steps import Step


@dataclass(frozen=True)
class Counts:
    """How many tests of a step passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class StepError(Exception):
    """Says in a sentence how a step failed."""


def run(step: Step) -> None:
    """Run a step's command in a process group of its own, and leave nothing of it behind.

    Args:
        step: what to run.

    Raises:
        StepError: where the command cannot start, takes too long or exits with another code than 0.
    """
    is_listing = step.command[1:2] == ["metadata"]
    try:
        process = subprocess.Popen(
            step.command,
            cwd=steps.ROOT,
            env=os.environ | step.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if is_listing else None,
            process_group=0,
        )
    except OSError as error:
        raise StepError(f"cannot start: {error}") from error
    try:
        code = process.wait(step.limit_s)
    except subprocess.TimeoutExpired:
        raise StepError(f"not done after {step.limit_s:.0f} s") from None
    finally:
        end_group(process)
    if code:
        raise StepError(f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}")


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a command and whatever it has started and left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def counts(step: Step) -> Counts | None:
    """Read what a step's tests came to, None for a step that counts no tests."""
    if step.report is None or not step.report.exists():
        return None
    suites = ElementTree.parse(step.report).getroot().iter("testsuite")
    total = Counts()
    for suite in suites:
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total += Counts(int(suite.get("tests", 0)) - failed - skipped, failed, skipped)
    return total


def carry_out(planned: list[Step], *, keep_going: bool) -> int:
    """Run steps in order and return the exit code.

    Args:
        planned: the steps.
        keep_going: run what comes after a step that failed, too.
    """
    steps.REPORTS.mkdir(parents=True, exist_ok=True)
    results: list[str] = []
    failed: list[str] = []
    total: Counts | None = None
    for number, step in enumerate(planned, 1):
        if step.skipped:
            results.append(f"{step.title:30}  skipped: {step.skipped}")
            print(f"--- {number}/{len(planned)} {step.title}: skipped: {step.skipped}", flush=True)
            continue
        print(f"--- {number}/{len(planned)} {step.title}", flush=True)
        if step.report:
            step.report.unlink(missing_ok=True)
        start = time.monotonic()
        try:
            run(step)
        except StepError as reason:
            print(f"\nFAILED: {step.title}: {reason}, after {time.monotonic() - start:.1f} s", flush=True)
            print(f"the command: {shlex.join(step.command)}", flush=True)
            failed.append(f"{step.title}: {reason}")
            if not keep_going:
                return 1
            continue
        found = counts(step)
        results.append(f"{step.title:30} {time.monotonic() - start:7.1f} s  {found or ''}".rstrip())
        print(results[-1], flush=True)
        if found:
            total = found if total is None else total + found
    print("\npassed:" if failed else "\nall steps passed:")
    for result in results:
        print(f"  {result}")
    if total:
        print(total, flush=True)
    if failed:
        print("\nfailed:")
        for line in failed:
            print(f"  {line}", flush=True)
    return bool(failed)


def main() -> int:
    """Run the groups of steps that the command line names, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", nargs="*", help=f"groups of steps (default: all): {', '.join(steps.GROUPS)}")
    parser.add_argument("--this-python", action="store_true", help="use only the Python that runs this")
    parser.add_argument("--quick", action="store_true", help="build the engine without the whole-program link")
    parser.add_argument("--keep-going", action="store_true", help="run the steps after one that failed, too")
    parser.add_argument("--pytest", type=shlex.split, default=[], metavar="ARGUMENTS", help="what pytest runs instead")
    arguments = parser.parse_args()
    unknown = set(arguments.group) - set(steps.GROUPS)
    if unknown:
        parser.error(f"unknown group {sorted(unknown)[0]!r}; the groups are {', '.join(steps.GROUPS)}")
    try:
        chosen = [interpreters.probe(sys.executable)] if arguments.this_python else interpreters.found()
    except interpreters.InterpreterError as reason:
        parser.error(str(reason))
    print(f"on {', '.join(map(str, chosen))}", flush=True)
    planned = steps.steps(
        arguments.group or list(steps.GROUPS), chosen, quick=arguments.quick, arguments=arguments.pytest
    )
    return carry_out(planned, keep_going=arguments.keep_going)


if __name__ == "__main__":
    sys.exit(main())

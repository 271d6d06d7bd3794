"""Runs CPython's own suites, from the `test` package of the interpreter that runs this, against threefold."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from cpython import environment, expected, report, suite_process
from cpython.suites import SUITES

EXPECTED = Path(__file__).resolve().parent / "expected.toml"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Run CPython's own test suites against threefold, with the interpreter that runs this script.",
        epilog="exit status: 0 as expected, 1 a failure nobody expects, an expected one that passes, a suite without hits",
    )
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="SUITE",
        help="only these (default: all): " + ", ".join(suite.name for suite in SUITES),
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only tests whose id contains TEXT")
    parser.add_argument(
        "--package",
        type=Path,
        default=environment.package_folder(),
        metavar="FOLDER",
        help="folder that holds the package threefold",
    )
    parser.add_argument(
        "--standard-library",
        action="store_true",
        help="replace nothing, to see what the standard library does with the same tests",
    )
    parser.add_argument(
        "--test-seconds", type=float, default=120.0, metavar="SECONDS", help="limit for one test (default: 120)"
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="print each suite's slowest tests, and the whole log of suites with failures",
    )
    chosen = parser.parse_args()
    unknown = set(chosen.suites) - {suite.name for suite in SUITES}
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(suite.name for suite in SUITES)}")
    return chosen


def main() -> int:
    """Run the suites and print the table; return the exit status."""
    # A shell that starts this in the background has it ignored, and all children with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = arguments()
    python = environment.version()
    if not environment.has_suites():
        print(
            f"conformance: skipped, {sys.executable} ({python}) has no test suites (Debian: libpython{python}-testsuite)"
        )
        return 0
    is_ours = not chosen.standard_library
    exceptions, entries = expected.read(EXPECTED, python) if is_ours else ([], 0)
    with tempfile.TemporaryDirectory(prefix="threefold-conformance-") as folder:
        interpreter = environment.make(Path(folder), chosen.package.resolve(), is_ours)
        if is_ours and (fault := environment.fault(interpreter)):
            print(f"conformance: a child of this run does not start on threefold: {fault}", file=sys.stderr)
            return 1
        print(
            f"CPython {python} suites on {'threefold' if is_ours else 'the standard library'}\n{report.heading()}",
            flush=True,
        )
        outcomes = []
        for suite in SUITES:
            if (chosen.suites and suite.name not in chosen.suites) or (suite.name == "lock_tests" and not is_ours):
                continue
            if not suite.present():
                print(f"{suite.name:<27}  not in the test package of this Python")
                continue
            outcome = suite_process.run(suite, interpreter, chosen.test_seconds, chosen.only)
            outcome.unexpected = expected.judge(outcome.outcomes, exceptions)
            print(report.row(suite.name, report.numbers(outcome), outcome.seconds), flush=True)
            if chosen.verbose:
                report.print_slowest(outcome)
            outcomes.append(outcome)
    print(report.total(outcomes))
    for outcome in outcomes:
        report.print_failures(outcome, is_verbose=chosen.verbose)
    if not is_ours:
        return int(any(outcome.unexpected for outcome in outcomes))
    report.print_exceptions(exceptions, entries)
    found = report.faults(outcomes, exceptions)
    for fault in found:
        print(f"FAULT: {fault}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

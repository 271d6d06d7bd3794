"""Runs CPython's own suites, from the `test` package of the interpreter that runs this, against threefold."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from pathlib import Path

from cpython import environment, expected, loops, preparation, repetition, report, side_by_side, suites, uvloop_source
from cpython.suite_process import Order, Outcome
from cpython.suites import Suite

EXPECTED = Path(__file__).resolve().parent / "expected.toml"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Run CPython's own test suites against threefold, with the interpreter that runs this script.",
        epilog="exit status: 0 as expected; 1 a failure nobody expects, an expected one that passes, a suite without hits; "
        "2 uvloop's tests, or what they need, cannot be had",
    )
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="SUITE",
        help="only these, of any group; a pattern such as 'spawn.*' names several: "
        + ", ".join(suite.name for suite in suites.SUITES),
    )
    parser.add_argument(
        "--group",
        action="append",
        choices=(*suites.GROUPS, "all"),
        help=f"which suites; may be given several times (default: {suites.THREADS})",
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
        "--loop",
        default=loops.OURS,
        metavar="MODULE:CLASS",
        help=f"the event loop under test, in the groups {suites.TASKS} and {suites.UVLOOP} (default: {loops.OURS})",
    )
    parser.add_argument(
        "--repeat",
        action="store_true",
        help="run each unexpected failure once more, alone, on threefold and on the standard library, and say what it did",
    )
    parser.add_argument(
        "--test-seconds", type=float, metavar="SECONDS", help="limit for one test (default: 120, of event loops 30)"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="COUNT",
        help="suites at a time (default: 1); those of processes mostly wait, two for each core do no harm",
    )
    parser.add_argument("--classes", action="store_true", help="print what each class of tests did")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each test's outcome and seconds to FILE")
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="print each suite's slowest tests, and the whole log of suites with failures",
    )
    chosen = parser.parse_args()
    for pattern in chosen.suites:
        if not suites.chosen([pattern], []):
            parser.error(f"no suite {pattern}; there are {', '.join(suite.name for suite in suites.SUITES)}")
    if chosen.standard_library:
        chosen.loop = loops.STANDARD
    groups = chosen.group or [suites.THREADS]
    chosen.suites = suites.chosen(chosen.suites, list(suites.GROUPS) if "all" in groups else groups)
    return chosen


def run_suites(chosen: argparse.Namespace, order: Order, exceptions: list[expected.ExpectedFailure]) -> list[Outcome]:
    """Run the chosen suites, print a row for each, and return their outcomes."""
    runnable = []
    for suite in chosen.suites:
        if not suite.present():
            print(f"{suite.name:<{report.NAME_WIDTH}}  not in the test package of this Python")
        elif suite.name != "lock_tests" or not chosen.standard_library:
            runnable.append(suite)
    outcomes = []
    with contextlib.closing(side_by_side.run_all(runnable, order, chosen.jobs)) as results:
        for outcome in results:
            outcome.unexpected = expected.judge(outcome.outcomes, exceptions if is_ours(chosen, outcome.suite) else [])
            print(report.row(outcome.suite.name, report.numbers(outcome), outcome.seconds), flush=True)
            if chosen.verbose:
                report.print_slowest(outcome)
            outcomes.append(outcome)
    return outcomes


def is_ours(chosen: argparse.Namespace, suite: Suite) -> bool:
    """Tell whether a suite tests threefold, and not what it is compared with."""
    return chosen.loop == loops.OURS if suite.loop_for else not chosen.standard_library


def under_test(chosen: argparse.Namespace) -> str:
    """Return what is tested, for the head of the table."""
    subjects = [chosen.loop] if any(suite.loop_for for suite in chosen.suites) else []
    if not all(suite.loop_for for suite in chosen.suites):
        subjects.insert(0, "the standard library" if chosen.standard_library else "threefold")
    return " and ".join(subjects)


def print_results(chosen: argparse.Namespace, outcomes: list[Outcome]) -> None:
    """Print and write what the suites did, all but the judgement."""
    print(report.total(outcomes))
    report.print_loops(outcomes)
    if chosen.classes:
        report.print_classes(outcomes)
    for outcome in outcomes:
        report.print_failures(outcome, is_verbose=chosen.verbose)
    for outcome in outcomes:
        report.print_remains(outcome)
    if chosen.json:
        found = {
            "python": environment.version(),
            "loop": chosen.loop,
            "suites": {outcome.suite.name: record(outcome) for outcome in outcomes},
        }
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def record(outcome: Outcome) -> dict[str, object]:
    """Return what `--json` writes of a suite: its seconds, each test's outcome, seconds and loops, and what did not end."""
    tests = {
        name: [result, round(outcome.durations[name], 2), outcome.loops[name]]
        for name, result in outcome.outcomes.items()
    }
    return {
        "seconds": round(outcome.seconds, 1),
        "tests": tests,
        "unfinished": outcome.unfinished,
        "altered": outcome.altered,
    }


def end_orderly(number: int, _: object) -> None:
    """End with all that was started: whoever ends this run, as the gate does at its limit, ends the suites too."""
    # A second signal, since the first often goes to the whole process group, must not break off the cleaning up.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    """Run the suites and print the table; return the exit status."""
    # A shell that starts this in the background has it ignored, and all children with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end_orderly)
    chosen = arguments()
    python = environment.version()
    if not environment.has_suites():
        print(
            f"conformance: skipped, {sys.executable} ({python}) has no test suites (Debian: libpython{python}-testsuite)"
        )
        return 0
    exceptions, entries = expected.read(EXPECTED, python)
    with tempfile.TemporaryDirectory(prefix="threefold-conformance-") as name:
        folder = Path(name)
        try:
            order, present = preparation.prepare(chosen, folder)
        except (preparation.NotReady, uvloop_source.Unavailable) as error:
            print(f"conformance: {error}", file=sys.stderr)
            return 2 if isinstance(error, uvloop_source.Unavailable) else 1
        if any(is_ours(chosen, suite) for suite in chosen.suites):
            order.limits = expected.limits(exceptions)
        print(f"CPython {python} suites on {under_test(chosen)}\n{report.heading()}", flush=True)
        outcomes = run_suites(chosen, order, exceptions)
        if chosen.repeat and any(outcome.unexpected for outcome in outcomes):
            standard = preparation.standard(order, folder / "standard", chosen.package.resolve())
            for outcome in outcomes:
                outcome.repeated = repetition.repeat(outcome, outcome.unexpected, order, standard)
    print_results(chosen, outcomes)
    if any(is_ours(chosen, suite) for suite in chosen.suites):
        report.print_exceptions(exceptions, entries)
    found = report.faults(outcomes, exceptions, present, is_standard=chosen.standard_library)
    for sentence in found:
        print(f"FAULT: {sentence}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

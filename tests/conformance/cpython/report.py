"""Prints the tables of a conformance run and decides whether it is as expected."""

from __future__ import annotations

from collections import Counter

from .environment import version
from .expected import ExpectedFailure, outdated
from .suite_process import Outcome

COLUMNS = ("run", "passed", "expected failures", "unexpected", "skipped", "hits", "processes")
WIDTHS = tuple(max(len(column), 6) + 2 for column in COLUMNS)
NAME_WIDTH = 36


def heading() -> str:
    """Return the table's first line."""
    return (
        f"{'suite':<{NAME_WIDTH}}"
        + "".join(f"{column:>{width}}" for column, width in zip(COLUMNS, WIDTHS, strict=True))
        + f"{'seconds':>9}"
    )


def numbers(outcome: Outcome) -> list[int]:
    """Return the cells of one suite."""
    passed, failed, skipped = (outcome.count(word) for word in ("passed", "failed", "skipped"))
    unexpected = len(outcome.unexpected)
    return [passed + failed, passed, failed - unexpected, unexpected, skipped, outcome.hits.total(), outcome.processes]


def row(name: str, cells: list[int], seconds: float) -> str:
    """Return one line of the table."""
    return (
        f"{name:<{NAME_WIDTH}}"
        + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
        + f"{seconds:>9.1f}"
    )


def total(outcomes: list[Outcome]) -> str:
    """Return the table's last line."""
    sums = [sum(column) for column in zip(*map(numbers, outcomes), strict=True)] or [0] * len(COLUMNS)
    return row("all", sums, sum(outcome.seconds for outcome in outcomes))


def print_classes(outcomes: list[Outcome]) -> None:
    """Print what each class of tests did: total, passed, failed, skipped, and its seconds."""
    print(f"\n{'class':<76}{'total':>8}{'passed':>8}{'failed':>8}{'skipped':>8}{'seconds':>9}")
    for outcome in outcomes:
        counts: dict[str, Counter[str]] = {}
        seconds: Counter[str] = Counter()
        for identifier, result in outcome.outcomes.items():
            if result in ("passed", "failed", "skipped"):
                name = _class(identifier)
                counts.setdefault(name, Counter())[result] += 1
                seconds[name] += outcome.durations[identifier]  # type: ignore[assignment]
        for name, count in counts.items():
            cells = (count.total(), count["passed"], count["failed"], count["skipped"])
            title = f"{outcome.suite.name} {name}"
            print(f"{title:<76}" + "".join(f"{cell:>8}" for cell in cells) + f"{seconds[name]:>9.1f}")
    print()


def _class(identifier: str) -> str:
    # The id of a test is module.Class.method; that of a failed fixture has the class in parentheses.
    words = identifier.rpartition("(")[2].rstrip(")") if "(" in identifier else identifier.rpartition(".")[0]
    return words.rpartition(".")[2] or identifier


def print_failures(outcome: Outcome, *, is_verbose: bool) -> None:
    """Print the unexpected failures of a suite, with its whole log if asked for."""
    line = "=" * 100
    for identifier in outcome.unexpected:
        print(f"{line}\nFAILED {identifier}\n{outcome.texts[identifier].rstrip()}")
        if identifier in outcome.repeated:
            print(f"repeated: {outcome.repeated[identifier]}")
    if outcome.unexpected and is_verbose:
        print(f"{line}\nLog of {outcome.suite.name}\n{outcome.log}")


def print_remains(outcome: Outcome) -> None:
    """Print what a suite has left: classes that left something behind, processes that had to be killed, tests not run."""
    for name in outcome.left_behind():
        print(f"left behind: {outcome.suite.name}: something that {name} made was still there after its last test")
    for command in outcome.left_over:
        print(f"left over: {outcome.suite.name}: killed: {command}")
    if missing := not_run(outcome):
        print(f"not run: {missing} tests of {outcome.suite.name}, after too many hangs or crashes, or for lack of time")


def not_run(outcome: Outcome) -> int:
    """Return how many of a suite's tests have no outcome."""
    done = sum(outcome.count(word) for word in ("passed", "failed", "skipped"))
    return max(0, outcome.selected - done)


def print_slowest(outcome: Outcome, count: int = 3) -> None:
    """Print the tests of a suite that took longest."""
    slowest = sorted(outcome.durations, key=lambda identifier: -outcome.durations[identifier])[:count]
    for identifier in slowest:
        print(f"    {outcome.durations[identifier]:.1f} s  {identifier}")


def print_loops(outcomes: list[Outcome]) -> None:
    """Print what became of the tests that made a loop under test; the others say nothing about it."""
    ends: Counter[str] = Counter()
    made = 0
    for outcome in outcomes:
        for identifier, result in outcome.outcomes.items():
            if outcome.suite.loop_for and outcome.loops[identifier]:
                ends[result] += 1
                made += outcome.loops[identifier]
    unfinished = sum(len(outcome.unfinished) for outcome in outcomes if outcome.suite.loop_for)
    altered = sum(len(outcome.altered) for outcome in outcomes if outcome.suite.loop_for)
    if made or unfinished:
        words = ", ".join(f"{ends[word]} {word}" for word in ("passed", "failed", "skipped"))
        print(f"{ends.total()} tests made {made} loops under test: {words}; {unfinished} more did not come to an end")
        if altered:
            print(f"{altered} of the failed did all that they ask for, but left a thread, a process or an error behind")


def faults(
    outcomes: list[Outcome], exceptions: list[ExpectedFailure], present: set[str], *, is_standard: bool
) -> list[str]:
    """Return everything that makes the run fail, one sentence each.

    Args:
        outcomes: of all suites.
        exceptions: the expected failures of this Python.
        present: the types, as `module:name`, that threefold has of its own.
        is_standard: the standard library was tested; only a loop must have been made all the same.
    """
    found = []
    for outcome in outcomes:
        suite = outcome.suite
        found += [f"{identifier} fails and is not expected to" for identifier in outcome.unexpected]
        if missing := not_run(outcome):
            found.append(f"{suite.name} has {missing} tests that did not run")
        ran = outcome.count("passed") + outcome.count("failed")
        if ran and suite.loop_for and not outcome.hits:
            found.append(f"{suite.name} ran {ran} tests and never made a loop under test")
        elif ran and not outcome.hits and not is_standard:
            found.append(f"{suite.name} ran {ran} tests and never touched a type of threefold")
        elif ran and suite.subject in present and not _touched(outcome):
            found.append(f"{suite.name} ran {ran} tests and never touched {suite.subject}")
    for entry in outdated(exceptions):
        found.append(f"{entry.passed[0]} passes: take it out of expected.toml ({entry.test}, Python {version()})")
    return found


def _touched(outcome: Outcome) -> bool:
    name = outcome.suite.subject.rpartition(":")[2]
    return any(hit.rpartition(".")[2] == name and not hit.startswith(("threading.", "queue.")) for hit in outcome.hits)


def print_exceptions(exceptions: list[ExpectedFailure], entries: int) -> None:
    """Print the expected failures that occurred, and their number.

    Args:
        exceptions: the entries for this Python.
        entries: how many entries there are for all versions.
    """
    failing = [entry for entry in exceptions if entry.failed]
    for entry in failing:
        print(f"expected: {entry.test}: {entry.reason}")
    print(f"{len(failing)} exceptions on Python {version()}; expected.toml has {entries} for all versions")

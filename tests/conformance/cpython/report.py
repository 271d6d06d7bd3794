"""Prints the table of a conformance run and decides whether it is as expected."""

from __future__ import annotations

from .environment import version
from .expected import ExpectedFailure, outdated
from .suite_process import Outcome

COLUMNS = ("run", "passed", "expected failures", "unexpected", "skipped", "hits", "processes")
WIDTHS = tuple(max(len(column), 6) + 2 for column in COLUMNS)


def heading() -> str:
    """Return the table's first line."""
    return (
        f"{'suite':<27}"
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
        f"{name:<27}"
        + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
        + f"{seconds:>9.1f}"
    )


def total(outcomes: list[Outcome]) -> str:
    """Return the table's last line."""
    sums = [sum(column) for column in zip(*map(numbers, outcomes), strict=True)] or [0] * len(COLUMNS)
    return row("all", sums, sum(outcome.seconds for outcome in outcomes))


def print_failures(outcome: Outcome, *, is_verbose: bool) -> None:
    """Print the unexpected failures of a suite, with its whole log if asked for."""
    line = "=" * 100
    for identifier in outcome.unexpected:
        print(f"{line}\nFAILED {identifier}\n{outcome.texts[identifier].rstrip()}")
    if outcome.unexpected and is_verbose:
        print(f"{line}\nLog of {outcome.suite.name}\n{outcome.log}")


def print_slowest(outcome: Outcome, count: int = 3) -> None:
    """Print the tests of a suite that took longest."""
    slowest = sorted(outcome.durations, key=lambda identifier: -outcome.durations[identifier])[:count]
    for identifier in slowest:
        print(f"    {outcome.durations[identifier]:.1f} s  {identifier}")


def faults(outcomes: list[Outcome], exceptions: list[ExpectedFailure]) -> list[str]:
    """Return everything that makes the run fail, one sentence each."""
    found = []
    for outcome in outcomes:
        found += [f"{identifier} fails and is not expected to" for identifier in outcome.unexpected]
        ran = outcome.count("passed") + outcome.count("failed")
        if ran and not outcome.hits:
            found.append(f"{outcome.suite.name} ran {ran} tests and never touched a type of threefold")
    for entry in outdated(exceptions):
        found.append(f"{entry.passed[0]} passes: take it out of expected.toml ({entry.test}, Python {version()})")
    return found


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

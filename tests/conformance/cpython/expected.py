"""Reads `expected.toml` and judges the outcomes of a run against it."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class ExpectedFailure:
    """One expected failure.

    Args:
        test: pattern of test ids.
        pythons: the versions in which it fails.
        reason: one sentence.
        seconds: limit for a test that is known to wait for ever; None for that of all tests.
    """

    test: str
    pythons: list[str]
    reason: str
    seconds: float | None = None
    failed: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def matches(self, identifier: str) -> bool:
        """Tell whether a test is meant."""
        return fnmatch.fnmatchcase(identifier, self.test)


def read(path: Path, python: str) -> tuple[list[ExpectedFailure], int]:
    """Return the expected failures of one Python version, and how many entries the file has in all.

    Raises:
        ValueError: an entry has no reason, or names no version.
    """
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("expected", [])
    exceptions = []
    for entry in entries:
        if not entry.get("reason", "").endswith(".") or not entry.get("pythons"):
            raise ValueError(
                f"{path}: the entry for {entry.get('test')} needs `pythons` and a `reason` that is a sentence"
            )
        exceptions.append(ExpectedFailure(entry["test"], entry["pythons"], entry["reason"], entry.get("seconds")))
    return [exception for exception in exceptions if python in exception.pythons], len(entries)


def limits(exceptions: list[ExpectedFailure]) -> list[tuple[str, float]]:
    """Return the patterns of tests that have a limit of their own, each with its seconds."""
    return [(exception.test, exception.seconds) for exception in exceptions if exception.seconds is not None]


def judge(outcomes: dict[str, str], exceptions: list[ExpectedFailure]) -> list[str]:
    """Return the ids of the failures that no entry expects, and note in each entry what its tests did."""
    unexpected = []
    for identifier, outcome in outcomes.items():
        entries = [exception for exception in exceptions if exception.matches(identifier)]
        for exception in entries:
            if outcome == "failed":
                exception.failed.append(identifier)
            elif outcome == "passed":
                exception.passed.append(identifier)
        if outcome == "failed" and not entries:
            unexpected.append(identifier)
    return unexpected


def outdated(exceptions: list[ExpectedFailure]) -> list[ExpectedFailure]:
    """Return the entries whose tests now pass; each must be taken out of the file, or be narrowed."""
    return [exception for exception in exceptions if exception.passed]

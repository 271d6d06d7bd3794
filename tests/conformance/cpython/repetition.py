"""Runs failed tests once more, alone, with threefold and without, to tell a difference of ours from a test that fails anyway."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from . import side_by_side
from .suite_process import Order, Outcome


def repeat(outcome: Outcome, identifiers: Iterable[str], ours: Order, standard: Order) -> dict[str, str]:
    """Return for each failed test what it did when it was repeated, as a few words.

    Args:
        outcome: of the suite that the tests belong to.
        identifiers: the tests.
        ours: how the suite was run.
        standard: the same with nothing replaced.
    """
    # A failed fixture or interpreter exit is no test that could be run alone.
    failed = [identifier for identifier in identifiers if identifier in outcome.durations and " " not in identifier]
    if not failed:
        return {}
    with_us, without = (
        next(side_by_side.run_all([outcome.suite], replace(order, identifiers=failed), 1)).outcomes
        for order in (ours, standard)
    )
    subject = ours.loop if outcome.suite.loop_for else "threefold"
    return {
        identifier: f"{with_us.get(identifier, 'not run')} on {subject}, "
        f"{without.get(identifier, 'not run')} on the standard library"
        for identifier in failed
    }

"""Declares what is measured: a case is a function that is called with one peer and returns one figure, or several by name."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Figures = float | dict[str, float]

# Set for samples of `run.py --quick`: they show that a case works, not how fast it is.
IS_QUICK = os.environ.get("THREEFOLD_BENCH_QUICK") == "1"
QUICK_DIVISOR = 50

ROUND_COUNT = 5
TIME_LIMIT_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What happened, in words, where that counts for more than how long it took."""

    words: str
    # None if it never ended: then nobody waits for it again.
    figure: float | None


Measure = Callable[[str], Figures | Outcome]


@dataclass(frozen=True)
class Case:
    """One thing that is measured, and those it is measured for."""

    name: str
    # Of one operation (`ns`, `us`: less is better), of a rate (`items/s`: more is better), or `bytes` (less is better);
    # by name for figures that differ in it.
    unit: str | dict[str, str]
    # The column's name, and where to find the class or module it stands for: "queue:Queue", "threading".
    peers: dict[str, str]
    measure: Measure

    def unit_of(self, part: str) -> str:
        """Return the unit of one of the figures.

        Args:
            part: its name; empty if there is but one.
        """
        return self.unit if isinstance(self.unit, str) else self.unit.get(part, "")


CASES: dict[str, Case] = {}


class UnavailableError(Exception):
    """This peer has no such thing; the text says what."""


class WrongResultError(Exception):
    """Work was lost or done twice; the text says what."""


def case(name: str, unit: str | dict[str, str], peers: dict[str, str]) -> Callable[[Measure], Measure]:
    """Declare the decorated function as a case.

    Args:
        name: what the tables call it.
        unit: of its figures, or of each by its name.
        peers: name and address of each column.
    """

    def declare(measure: Measure) -> Measure:
        CASES[name] = Case(name, unit, peers, measure)
        return measure

    return declare


def times(count: int) -> int:
    """Return how often to do something: `count`, much less in a quick run."""
    return max(2, count // QUICK_DIVISOR) if IS_QUICK else count


def load(peer: str) -> Any:
    """Import what an address names.

    Args:
        peer: "module" or "module:attribute".
    """
    module, _, attribute = peer.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def home(peer: str) -> str:
    """Return the package that an address lies in."""
    return peer.partition(":")[0].partition(".")[0]


def require_own(peer: str, thing: Any) -> None:
    """Make sure that a package of ours does not hand out the standard library's object, to be measured under our name.

    Args:
        peer: the address that it was found under.
        thing: a class, or a function.

    Raises:
        UnavailableError: if it is the standard library's.
    """
    if home(peer) == "threefold" and home(thing.__module__) != "threefold":
        raise UnavailableError("the standard library's")


def expect(found: object, expected: object, what: str) -> None:
    """Make sure that a sample did what its figure claims.

    Args:
        found: what came out.
        expected: what must have come out.
        what: its name, for the message.

    Raises:
        WrongResultError: if the two differ.
    """
    if found != expected:
        raise WrongResultError(f"{what}: {shorten(found)}, expected {shorten(expected)}")


def shorten(value: object) -> str:
    """Return a text for a value that fits into a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

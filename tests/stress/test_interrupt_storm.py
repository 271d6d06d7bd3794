"""An exception that a signal handler raises at any moment of any operation leaves no object broken."""

import sys
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from .checker import Checker
from .storms import STORMS, Storm


@pytest.fixture
def checker() -> Generator[Checker]:
    """Offer a second thread."""
    second = Checker()
    yield second
    second.close()


@pytest.fixture
def restless() -> Generator[None]:
    """Let threads take turns as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def weather(storm: Storm, count: int, lightning: Any, checker: Checker) -> dict[str, int]:
    """Return how often a look after an interrupt said what, where that was not "all is well".

    Args:
        storm: what to interrupt.
        count: how often.
        lightning: the fixture.
        checker: the fixture.
    """
    seen: Counter[str] = Counter()
    for _ in range(count):
        thing = storm.make()
        checker.ask(lambda thing=thing: storm.prepare(thing))
        lightning.strike(lambda thing=thing: storm.loop(thing))
        answer = checker.ask(lambda thing=thing: storm.look(thing))
        if answer is not True:
            seen[str(answer)] += 1
            if seen["hangs"] == 3:
                break
    return dict(seen)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("storm", STORMS, ids=[storm.name for storm in STORMS])
def test_an_interrupt_breaks_nothing(storm: Storm, lightning: Any, checker: Checker, full_stress: bool) -> None:
    count = 4_000 if full_stress else 250
    broken = weather(storm, count, lightning, checker)
    assert broken == {}, f"{storm.name}: {sum(broken.values())} of {count} interrupts left it broken"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("storm", STORMS, ids=[storm.name for storm in STORMS])
def test_an_interrupt_breaks_nothing_among_restless_threads(
    storm: Storm, lightning: Any, checker: Checker, restless: None, full_stress: bool
) -> None:
    count = 1_000 if full_stress else 50
    broken = weather(storm, count, lightning, checker)
    assert broken == {}, f"{storm.name}: {sum(broken.values())} of {count} interrupts left it broken"

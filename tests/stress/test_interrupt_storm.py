"""An exception that a signal handler raises at any moment of any operation leaves no object broken."""

import json
import os
import sys
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from threefold._threefold import Event, waits_report

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


@pytest.fixture(params=STORMS, ids=[storm.name for storm in STORMS])
def storm(request: pytest.FixtureRequest) -> Storm:
    """Offer each storm that makes sense on this Python."""
    if request.param.uses_with:
        request.getfixturevalue("safe_with")
    return request.param  # type: ignore[no-any-return]


@pytest.mark.timeout(300)
def test_an_interrupt_breaks_nothing(storm: Storm, lightning: Any, checker: Checker, full_stress: bool) -> None:
    count = 4_000 if full_stress else 250
    broken = weather(storm, count, lightning, checker)
    assert broken == {}, f"{storm.name}: {sum(broken.values())} of {count} interrupts left it broken"


@pytest.mark.timeout(300)
def test_an_interrupt_breaks_nothing_among_restless_threads(
    storm: Storm, lightning: Any, checker: Checker, restless: None, full_stress: bool
) -> None:
    count = 1_000 if full_stress else 50
    broken = weather(storm, count, lightning, checker)
    assert broken == {}, f"{storm.name}: {sum(broken.values())} of {count} interrupts left it broken"


@pytest.mark.timeout(60)
def test_an_interrupted_wait_is_no_longer_shown(storm: Storm, lightning: Any, checker: Checker) -> None:
    # So that there is a table, whichever test runs first.
    Event().wait(0.001)
    weather(storm, 50, lightning, checker)
    report = json.loads(waits_report(os.getpid(), True))
    waiting = [wait for process in report["processes"] for wait in process["waiting"]]
    assert [wait for wait in waiting if wait["waiter"]["thread"] == "MainThread"] == []

"""Each thing that processes share, at each moment, by each death: the others go on, and what they share is whole.

The deaths, for each cell: killed (SIGKILL), crashed (SIGSEGV), exited (`os._exit`), stopped and then killed, and stopped
only: then those who do not need what it has go on meanwhile, and it goes on afterwards as if nothing had been.

| moment | Lock RLock BoundedSemaphore | Semaphore | Condition | Event | Barrier | Queue.get Queue.put SimpleQueue | join |
|---|---|---|---|---|---|---|---|
| idle: asleep | x | x | x | x | x | x | x |
| woken: the wake has come, nothing is taken | x | x | x | x | x | x | x |
| telling: the change is made, nobody is woken | x | x | 7 | x | 7 | x | x |
| holding | x | 1 | x | 2 | 3 | 4 | 4 |
| in the middle of writing | 5 | 5 | 5 | 5 | 5 | 4 | 5 |
| in the middle of reading | 6 | 6 | 6 | 6 | 6 | 4 | 6 |

1. What a dead process took of a Semaphore stays taken, as with the standard library: that is what the cell shows.
2. Nobody can hold an Event.
3. Between the last party's arrival and the opening: in the barrier's action.
4. A queue's messages have moments of their own: test_kill_messages.py; the two ends of a pipe: test_kill_pipes.py.
5. A change is one store; what follows it is "telling".
6. A look is one load.
7. Who is stopped there has the condition's lock, or is in the barrier's section, and holds others up until it goes on.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parent))
import kill_programs as programs
import process_rig as rig
from kill_programs import BROKEN, DONE, GO, REACHED
from kill_stage import DEATHS, LONG_S, SOON_S, Actor, Missed, Stage, arm, descriptor_count, is_before, resident_bytes
from kill_subjects import SUBJECTS, Subject

# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

# A try misses its moment when another process was quicker.
MOST_TRIES = 20
# The interpreter's own; what one round keeps would be more.
MOST_GROWTH_BYTES = 2**22

Moment = Callable[[Stage, str, Subject, str], None]


def idle(stage: Stage, name: str, subject: Subject, death: str) -> None:
    """It sleeps, and somebody else, too."""
    thing = subject.make(stage.context)
    subject.occupy(thing)
    victim = stage.start_waiting(name, thing)
    other = stage.start_waiting(name, thing)
    victim.meet(death)
    if name == "Barrier" and death != "stopped":
        other.expect_soon(BROKEN)
        return
    subject.free(thing)
    finish(subject, thing, victim, [other])


def woken(stage: Stage, name: str, subject: Subject, death: str) -> None:
    """Its wake has come, and it has not looked yet."""
    thing = subject.make(stage.context)
    subject.occupy(thing)
    victim = stage.start_ready(programs.wait_and_stay_when_woken, name, thing)
    other = stage.start_ready(programs.wait_once, name, thing)
    victim.until_it_waits()
    arm(victim)
    other.begin_to_wait()
    if victim.says_within(0):
        # It has looked around by itself.
        raise Missed
    subject.free(thing)
    if subject.wakes_one and not is_before(victim, other):
        raise Missed
    victim.expect(REACHED)
    victim.meet(death)
    if death == "stopped":
        victim.tell(GO)
    finish(subject, thing, victim, [other])
    if name == "Barrier":
        another_round(stage, thing)


def telling(stage: Stage, name: str, subject: Subject, death: str) -> None:
    """It has changed what others wait for, and dies before it wakes them."""
    thing = subject.make(stage.context)
    victim = stage.start_ready(programs.free_and_stay_before_the_wake, name, thing)
    others = [stage.start_waiting(name, thing) for _ in range(subject.audience)]
    victim.tell(GO)
    if victim.says_within(SOON_S) != REACHED:
        raise Missed
    victim.meet(death)
    if subject.tells_inside and death == "stopped":
        # It holds others up.
        victim.tell(GO)
        victim.go_on()
        victim.expect(DONE)
        victim.death = ""
    elif death == "stopped":
        victim.tell(GO)
    finish(subject, thing, victim, others)


def holding(stage: Stage, name: str, subject: Subject, death: str) -> None:
    """It has what another one waits for, who gets it once it is dead, and not before."""
    thing = subject.make(stage.context)
    if name == "Semaphore":
        thing.release()
    victim = stage.start(programs.hold, thing)
    victim.expect(REACHED)
    other = stage.start_ready(programs.claim, thing)
    other.begin_to_wait()
    victim.meet(death)
    if death == "stopped":
        assert not other.says_within(LONG_S)
        victim.kill_if_stopped()
    if name == "Semaphore":
        assert not other.says_within(LONG_S)
        thing.release()
    other.expect_soon(DONE)
    assert subject.is_whole(thing)


def acting(stage: Stage, _name: str, _subject: Subject, death: str) -> None:
    """It is in the barrier's action: nobody goes on, and once it is dead the barrier is broken."""
    barrier = stage.context.Barrier(3, programs.act)
    others = [stage.start_waiting("Barrier", barrier) for _ in range(2)]
    victim = stage.start_ready(programs.wait_once, "Barrier", barrier)
    victim.tell(GO)
    victim.expect(REACHED)
    victim.meet(death)
    if death == "stopped":
        assert not others[0].says_within(LONG_S)
        victim.kill_if_stopped()
    for other in others:
        other.expect_soon(BROKEN)
    barrier.reset()
    assert not barrier.broken


def finish(subject: Subject, thing: Any, victim: Actor, others: list[Actor]) -> None:
    """See the others go on, and then the one that was stopped only; and that nothing is lost or twice."""
    if subject.tells_the_first and victim.death == "stopped":
        # What it was told is its own.
        assert not others[0].says_within(LONG_S)
        subject.free(thing)
    for other in others:
        other.expect_soon(DONE)
    if victim.death == "stopped":
        victim.go_on()
        victim.expect_soon(DONE)
    assert subject.is_whole(thing)


def another_round(stage: Stage, barrier: Any) -> None:
    """See that the parties of a new round meet."""
    others = [stage.start_waiting("Barrier", barrier) for _ in range(2)]
    barrier.wait(SOON_S)
    for other in others:
        other.expect_soon(DONE)


HELD = ["Lock", "RLock", "BoundedSemaphore", "Semaphore", "Condition"]
CELLS: list[tuple[str, str, Moment]] = [
    *((moment.__name__, name, moment) for moment in (idle, woken, telling) for name in SUBJECTS),
    *(("holding", name, holding) for name in HELD),
    ("holding", "Barrier", acting),
]
# With fresh interpreters, which take their time to start.
SAMPLE = ["Lock", "Queue.get"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Go through the whole table with fork; with the other start methods through a sample, or all if asked to."""
    if "cell" not in metafunc.fixturenames:
        return
    is_full = metafunc.config.getoption("--full-stress")
    cells = [
        pytest.param(method, cell, death, id=f"{method}-{cell[0]}-{cell[1]}-{death}")
        for method in rig.METHODS
        for cell in CELLS
        for death in DEATHS
        if is_full or method == "fork" or (method == "spawn" and death == "killed" and cell[1] in SAMPLE)
    ]
    metafunc.parametrize(("method", "cell", "death"), cells)


@pytest.fixture
def make_stage(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Stage]:
    return lambda method: Stage(rig.context_of(method, monkeypatch))


def test_others_go_on_and_nothing_is_lost_or_twice(
    method: str, cell: tuple[str, str, Moment], death: str, make_stage: Callable[[str], Stage]
) -> None:
    stage, (_, name, moment) = make_stage(method), cell
    for _ in range(MOST_TRIES):
        try:
            with stage.open():
                moment(stage, name, SUBJECTS[name], death)
            return
        except Missed:
            continue
    pytest.fail("the moment was missed every time")


@pytest.mark.timeout(600)
def test_rounds_of_deaths_leave_descriptors_and_memory_as_they_were(
    make_stage: Callable[[str], Stage], full_stress: bool
) -> None:
    stage, names = make_stage("fork"), list(SUBJECTS)
    descriptors = memory = 0
    for number in range(1000 if full_stress else 40):
        with stage.open():
            name = names[number % len(names)]
            idle(stage, name, SUBJECTS[name], "killed")
        if number == len(names):
            descriptors, memory = descriptor_count(), resident_bytes()
    assert descriptor_count() == descriptors
    assert resident_bytes() - memory < MOST_GROWTH_BYTES

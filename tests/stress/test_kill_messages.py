"""A process dies in the middle of putting or taking a message: that one may be lost, nothing else is, its memory comes back.

| moment | what others find |
|---|---|
| putting: in the pickle; in the copying; between two buffers; in the section, before the change | all but that message |
| putting: in the section, when the change is written down and half done | the same: what was half done is a claim of memory |
| taking: in the section, before the change | that message, too |
| taking: in the section, when the change is written down; in the copying; in the pickle; with a view of it | all but it |
| taken, and not reported as done | `join` goes on waiting |

Whoever is stopped (not dead) in the section holds others up until it is killed; elsewhere it holds up nobody.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parent))
import kill_messages as messages
import process_rig as rig
from kill_programs import DONE, GO, REACHED
from kill_stage import DEATHS, LONG_S, Stage, descriptor_count
from kill_subjects import used_bytes

# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

# What the others find after each moment, and whether it is in the section.
MOMENTS: dict[str, tuple[Any, list[str], bool]] = {
    "putting, in the pickle": (messages.put_and_stay_in_the_pickle, [], False),
    "putting, in the copying": (messages.put_and_stay_in_the_copy, ["kept"], False),
    "putting, between two buffers": (messages.put_and_stay_between_the_buffers, ["kept"], False),
    "putting, in the section": (messages.put_and_stay_in_the_section, ["kept"], True),
    "putting, in the journal": (messages.put_and_stay_in_the_journal, ["kept"], True),
    "taking, in the section": (messages.get_and_stay_in_the_section, ["short", "kept"], True),
    "taking, in the journal": (messages.get_and_stay_in_the_journal, ["kept"], True),
    "taking, in the copying": (messages.get_and_stay_in_the_copy, ["kept"], False),
    "taking, in the pickle": (messages.get_and_stay_in_the_pickle, ["kept"], False),
    "taken, with a view": (messages.get_and_keep_a_view, ["kept"], False),
}
# What an empty queue may take.
MOST_IDLE_BYTES = 64 * 1024


@pytest.fixture
def make_stage(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Stage]:
    return lambda method: Stage(rig.context_of(method, monkeypatch))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Go through all with fork; with fresh interpreters through a sample, or all if asked to."""
    if "moment" not in metafunc.fixturenames:
        return
    is_full = metafunc.config.getoption("--full-stress")
    cells = [
        pytest.param(method, moment, death, id=f"{method}-{moment}-{death}")
        for method in rig.METHODS
        for moment in MOMENTS
        for death in DEATHS
        if is_full
        or method == "fork"
        or (method == "spawn" and (moment, death) == ("taking, in the copying", "killed"))
    ]
    metafunc.parametrize(("method", "moment", "death"), cells)


def test_only_the_message_of_the_dead_is_lost_and_its_memory_comes_back(
    method: str, moment: str, death: str, make_stage: Callable[[str], Stage]
) -> None:
    program, expected, is_inside = MOMENTS[moment]
    with make_stage(method).open() as stage:
        queue = stage.context.Queue()
        victim = stage.start(program, queue)
        victim.expect(REACHED)
        other = stage.start_ready(messages.get_all, queue)
        victim.meet(death)
        other.tell(GO)
        if is_inside and death == "stopped":
            assert not other.says_within(LONG_S)
            victim.kill_if_stopped()
        other.expect_soon(DONE)
        other.tell(GO)
        assert other.line.recv() == expected
        victim.kill_if_stopped()
        with pytest.raises(Empty):
            # A wait of a slice for nothing tidies up.
            queue.get(timeout=LONG_S)
        assert used_bytes(queue) <= MOST_IDLE_BYTES


@pytest.mark.parametrize("death", DEATHS)
def test_what_a_dead_process_had_claimed_of_a_limited_queue_is_room_again(
    death: str, make_stage: Callable[[str], Stage]
) -> None:
    with make_stage("fork").open() as stage:
        queue = stage.context.Queue(max_bytes=2 * len(messages.LARGE))
        victim = stage.start(messages.get_and_stay_in_the_copy, queue)
        victim.expect(REACHED)
        with pytest.raises(MemoryError):
            queue.put(messages.LARGE)
        victim.meet(death)
        if death == "stopped":
            with pytest.raises(MemoryError):
                queue.put(messages.LARGE)
            victim.kill_if_stopped()
        queue.put(messages.LARGE)
        assert [queue.get() == message for message in (messages.KEPT, messages.LARGE)] == [True, True]


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
def test_what_a_dead_process_had_not_reported_as_done_is_waited_for(
    is_done: bool, death: str, make_stage: Callable[[str], Stage]
) -> None:
    with make_stage("fork").open() as stage:
        queue = stage.context.JoinableQueue()
        queue.put(b"one")
        other = stage.start_waiting("JoinableQueue.join", queue)
        victim = stage.start(messages.take, queue, is_done)
        victim.expect(REACHED)
        victim.meet(death)
        if not is_done:
            assert not other.says_within(LONG_S)
            queue.task_done()
        other.expect_soon(DONE)
        queue.join()


@pytest.mark.timeout(600)
def test_rounds_of_deaths_leave_descriptors_and_memory_as_they_were(
    make_stage: Callable[[str], Stage], full_stress: bool
) -> None:
    stage, before = make_stage("fork"), 0
    queue = stage.context.Queue()
    programs = [
        messages.put_and_stay_in_the_journal,
        messages.get_and_stay_in_the_journal,
        messages.get_and_keep_a_view,
    ]
    for round_number in range(1000 if full_stress else 20):
        program = programs[round_number % 3]
        with stage.open():
            victim = stage.start(program, queue)
            victim.expect(REACHED)
            victim.meet("killed")
            assert queue.get() == messages.KEPT
        if round_number == 0:
            before = descriptor_count()
    assert descriptor_count() == before
    with pytest.raises(Empty):
        queue.get(timeout=LONG_S)
    assert used_bytes(queue) <= MOST_IDLE_BYTES

"""The process at one end of a pipe dies: the other end is told, what was sent whole arrives, and nothing hangs.

| moment | what the other end finds |
|---|---|
| asleep, in receiving | what it sends is refused: the end is closed |
| asleep, in the middle of receiving | the same; the rest of the message goes nowhere |
| asleep, in the middle of sending | all messages before that one, then an error that says that one was cut off |
| just sent | all messages, then the end |
| just woken: the message is there, not taken | what it sends is refused |

Nobody holds a pipe, so that the table has no such row. A stopped process goes on as if nothing had been.
"""

import os
import struct
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parent))
import kill_programs as programs
import process_rig as rig
from kill_programs import DONE, REACHED
from kill_stage import DEATHS, Actor, Stage, descriptor_count

# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

# More than a pipe or a socket holds.
LARGE = b"x" * 2**23
CUT_OFF = "got end of file during message"


@pytest.fixture(params=[True, False], ids=["duplex", "one way"])
def is_duplex(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=DEATHS)
def death(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Generator[Stage]:
    before = descriptor_count()
    with Stage(rig.context_of("fork", monkeypatch)).open() as stage:
        yield stage
    assert descriptor_count() == before


@pytest.fixture
def start(stage: Stage, is_duplex: bool) -> Generator[Callable[..., Any]]:
    ends = []

    def start_at(program: Any, receives: bool, *arguments: Any) -> tuple[Actor, Any]:
        reader, writer = stage.context.Pipe(is_duplex)
        there, here = (reader, writer) if receives else (writer, reader)
        ends.append(here)
        # The child has a copy of this end, too, unless it closes that.
        actor = stage.start_ready(program, there, here, *arguments)
        there.close()
        return actor, here

    yield start_at
    for end in ends:
        end.close()


def test_the_end_of_a_receiver_that_slept_is_closed(start: Callable[..., Any], death: str) -> None:
    victim, end = start(programs.receive, True)
    victim.until_it_waits()
    victim.meet(death)
    if death == "stopped":
        end.send_bytes(b"whole")
        victim.go_on()
        victim.expect_soon(DONE)
    else:
        with pytest.raises(BrokenPipeError):
            end.send_bytes(b"whole")


def test_the_end_of_a_receiver_in_the_middle_of_a_message_is_closed(start: Callable[..., Any], death: str) -> None:
    victim, end = start(programs.receive, True)
    message = struct.pack("!i", len(LARGE)) + LARGE
    os.write(end.fileno(), message[:1000])
    victim.until_it_waits()
    victim.meet(death)
    if death == "stopped":
        os.write(end.fileno(), message[1000:2000])
        victim.go_on()
        sent = 2000
        while sent < len(message):
            sent += os.write(end.fileno(), message[sent:])
        victim.expect_soon(DONE)
    else:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            os.write(end.fileno(), message[1000:2000])


def test_a_message_that_its_sender_did_not_finish_is_an_error_and_those_before_it_arrive(
    start: Callable[..., Any], death: str
) -> None:
    victim, end = start(programs.send, False, [b"one", b"two", LARGE])
    victim.until_it_waits()
    victim.meet(death)
    assert [end.recv_bytes(), end.recv_bytes()] == [b"one", b"two"]
    if death == "stopped":
        victim.go_on()
        assert end.recv_bytes() == LARGE
        victim.expect_soon(DONE)
    else:
        with pytest.raises(OSError, match=CUT_OFF):
            end.recv_bytes()
        with pytest.raises(EOFError):
            end.recv_bytes()


def test_what_was_sent_whole_arrives_though_its_sender_is_dead(start: Callable[..., Any], death: str) -> None:
    victim, end = start(programs.send_and_stay, False, [b"one", b"two"])
    victim.expect(REACHED)
    victim.meet(death)
    assert [end.recv_bytes(), end.recv_bytes()] == [b"one", b"two"]
    assert end.poll(0) is (death != "stopped")
    victim.kill_if_stopped()
    with pytest.raises(EOFError):
        end.recv_bytes()


def test_a_receiver_that_dies_when_woken_takes_its_message_along_and_closes_its_end(
    start: Callable[..., Any], death: str
) -> None:
    victim, end = start(programs.receive, True)
    victim.until_it_waits()
    # Whether it is quick enough to take the message makes no difference to the other end.
    end.send_bytes(b"whole")
    victim.meet(death)
    if death == "stopped":
        victim.go_on()
        victim.expect_soon(DONE)
    else:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            end.send_bytes(b"whole")

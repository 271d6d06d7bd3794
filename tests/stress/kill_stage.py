"""The test's side of a killed process: starts it, brings it to its moment, ends it in each way."""

import contextlib
import gc
import json
import os
import select
import signal
import time
from collections.abc import Generator
from pathlib import Path
from queue import Empty
from typing import Any

import kill_programs as programs
import pytest
from kill_programs import ARM, ARMED, GO, OWN_EXIT, READY, UNABLE

from threefold import multiprocessing
from threefold._threefold import waits_report

LIMIT_S = 20.0
# What those who live may take to notice a death; a busy machine is slow by itself.
SOON_S = 5.0
# Longer than the slices in which those who wait look around: what has not come by then does not come.
LONG_S = 0.3

# How a process ends: the signals that it gets, and its exit code. `stopped` does not end until the test ends it.
DEATHS: dict[str, tuple[list[int], int]] = {
    "killed": ([signal.SIGKILL], -signal.SIGKILL),
    "crashed": ([signal.SIGSEGV], -signal.SIGSEGV),
    "exited": ([programs.EXIT_SIGNAL], OWN_EXIT),
    "stopped, then killed": ([signal.SIGSTOP, signal.SIGKILL], -signal.SIGKILL),
    "stopped": ([signal.SIGSTOP], -signal.SIGKILL),
}


class Missed(Exception):
    """The moment has passed by; another try may find it."""


class Actor:
    """A process of the test, and the line to it."""

    def __init__(self, context: Any, program: Any, *arguments: Any) -> None:
        self.line, there = context.Pipe()
        self.process = context.Process(target=programs.begin, args=(program, there, *arguments), daemon=True)
        self.process.start()
        there.close()
        self.death = ""

    def says_within(self, seconds: float) -> bytes:
        """Return what the process says, nothing if that takes longer."""
        if not select.select([self.line], [], [], seconds)[0]:
            return b""
        word = os.read(self.line.fileno(), 1)
        if not word:
            self.process.join(LIMIT_S)
            pytest.fail(f"the process has ended with {self.process.exitcode}")
        if word == UNABLE:
            pytest.skip("this machine lets no process refuse its own system calls")
        return word

    def expect(self, word: bytes, seconds: float = LIMIT_S) -> None:
        """Wait until the process says this."""
        said = self.says_within(seconds)
        assert said == word, f"{said!r} instead of {word!r} after {self.death or 'no death'}"

    def expect_soon(self, word: bytes) -> None:
        """The same, of somebody who lives, after a death."""
        self.expect(word, SOON_S)

    def tell(self, word: bytes) -> None:
        """Say something to the process."""
        os.write(self.line.fileno(), word)

    def until_it_waits(self) -> None:
        """Return once the process's table shows a wait."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError, LookupError):
                # An error: it has not waited for anything yet.
                if json.loads(waits_report(self.process.pid, True))["processes"][0]["waiting"]:
                    return
            time.sleep(0.001)
        pytest.fail("the process does not wait")

    def begin_to_wait(self) -> None:
        """Have a process that is ready go to sleep."""
        self.tell(GO)
        self.until_it_waits()

    def meet(self, death: str) -> None:
        """Let the process die so, or be stopped."""
        self.death = death
        signals, _ = DEATHS[death]
        for number in signals:
            os.kill(self.process.pid, number)
        if death == "stopped":
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        else:
            self.bury()

    def bury(self) -> None:
        """See that the process has ended as it should."""
        self.process.join(LIMIT_S)
        assert self.process.exitcode == DEATHS[self.death][1]

    def kill_if_stopped(self) -> None:
        """End what was only stopped."""
        if self.death == "stopped":
            self.process.kill()
            self.bury()

    def go_on(self) -> None:
        """Let a stopped process go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Clean up."""
        self.process.kill()
        self.process.join(LIMIT_S)
        self.process.close()
        self.line.close()


class Stage:
    """Where the processes of one try are, in one start method."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.actors: list[Actor] = []

    def start(self, program: Any, *arguments: Any) -> Actor:
        """Start a process that runs a program."""
        self.actors.append(Actor(self.context, program, *arguments))
        return self.actors[-1]

    def start_ready(self, program: Any, *arguments: Any) -> Actor:
        """The same, and wait until it is ready."""
        actor = self.start(program, *arguments)
        actor.expect(READY)
        return actor

    def start_waiting(self, name: str, thing: Any) -> Actor:
        """Start a process that sleeps at the object."""
        actor = self.start_ready(programs.wait_once, name, thing)
        actor.begin_to_wait()
        return actor

    @contextlib.contextmanager
    def open(self) -> Generator["Stage"]:
        """End all that was started."""
        try:
            yield self
        finally:
            for actor in self.actors:
                actor.end()
            self.actors.clear()


def descriptor_count() -> int:
    """Return how many descriptors the test has, once it has what it needs for its own waits."""
    with contextlib.suppress(Empty):
        multiprocessing.Queue().get(timeout=0.001)
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident_bytes() -> int:
    """Return how much memory the test has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def is_before(first: Actor, second: Actor) -> bool:
    """Wait until one of them says something; return whether that is the first one, and only that."""
    said = select.select([first.line, second.line], [], [], LIMIT_S)[0]
    return said == [first.line]


def arm(actor: Actor) -> None:
    """Have a process that sleeps stay at its next look."""
    actor.tell(ARM)
    actor.expect(ARMED)

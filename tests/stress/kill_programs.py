"""What the processes of the kill tests do; imported by its bare name, so that fresh interpreters find it, too."""

import faulthandler
import os
import resource
import signal
import threading
from collections.abc import Callable
from threading import BrokenBarrierError
from typing import Any

import kill_subjects
import kill_traps

# One byte each, between the test and a process of it, in either direction.
READY, GO, ARM, ARMED, REACHED, DONE, BROKEN, UNABLE = b"r", b"g", b"a", b"A", b"!", b"d", b"x", b"u"
# What lets a process end itself at any moment, and with which exit code.
EXIT_SIGNAL = signal.SIGUSR1
OWN_EXIT = 7


class Line:
    """The way to the test, by system calls only: it is used in the middle of the engine's work."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.descriptor = connection.fileno()

    def say(self, word: bytes) -> None:
        """Tell the test."""
        os.write(self.descriptor, word)

    def hear(self, word: bytes) -> None:
        """Wait until the test says so."""
        heard = os.read(self.descriptor, 1)
        if heard != word:
            # The test has gone.
            os._exit(1)

    def stay(self, *, until: bytes = GO) -> None:
        """Say that the moment has come, and stay in it."""
        self.say(REACHED)
        self.hear(until)


# The only process's own line, for what is called without an argument.
_lines: list[Line] = []


def current() -> Line:
    """Return the process's own line."""
    return _lines[-1]


def begin(program: Callable[..., None], connection: Any, *arguments: Any) -> None:
    """Run a program that ends at once, without any cleaning up, when it gets the signal."""
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(EXIT_SIGNAL, lambda *_: os._exit(OWN_EXIT))
    _lines.append(Line(connection))
    try:
        program(current(), *arguments)
    except kill_traps.Unable:
        current().say(UNABLE)


def wait_once(line: Line, name: str, thing: Any) -> None:
    """Wait when told to; say so; let the next one go on."""
    subject = kill_subjects.SUBJECTS[name]
    line.say(READY)
    line.hear(GO)
    _wait(line, subject, thing)


def _wait(line: Line, subject: kill_subjects.Subject, thing: Any) -> None:
    try:
        subject.wait(thing)
    except BrokenBarrierError:
        line.say(BROKEN)
    else:
        subject.settle(thing)
        line.say(DONE)


def wait_and_stay_when_woken(line: Line, name: str, thing: Any) -> None:
    """Wait; once armed, stay at the first look after the wake, before anything is taken."""
    subject = kill_subjects.SUBJECTS[name]
    descriptor = subject.descriptor(thing)

    def stay() -> None:
        line.stay()
        kill_traps.protect(descriptor, kill_traps.ALL)

    def arm() -> None:
        # The sleep goes on: the kernel knows the page by its file.
        line.hear(ARM)
        kill_traps.protect(descriptor, kill_traps.NOTHING)
        line.say(ARMED)

    kill_traps.on_signal(signal.SIGSEGV, stay)
    threading.Thread(target=arm, daemon=True).start()
    line.say(READY)
    _wait(line, subject, thing)


def free_and_stay_before_the_wake(line: Line, name: str, thing: Any) -> None:
    """Let somebody go on, and stay when that is so in memory, and nobody was woken."""
    subject = kill_subjects.SUBJECTS[name]
    subject.occupy(thing)
    line.say(READY)
    line.hear(GO)
    kill_traps.before_waking(line.stay)
    subject.free(thing)
    line.say(DONE)


def hold(line: Line, thing: Any) -> None:
    """Have it."""
    assert thing.acquire(True, kill_subjects.LIMIT_S)
    line.stay()


def act() -> None:
    """Be in the action of a barrier."""
    current().stay()


def claim(line: Line, thing: Any) -> None:
    """Have it, and give it back."""
    line.say(READY)
    line.hear(GO)
    assert thing.acquire(True, kill_subjects.LIMIT_S)
    thing.release()
    line.say(DONE)


def receive(line: Line, end: Any, other_end: Any) -> None:
    """Take a message."""
    other_end.close()
    line.say(READY)
    assert end.recv_bytes()
    line.say(DONE)
    line.hear(GO)


def _send_all(line: Line, end: Any, other_end: Any, messages: list[bytes]) -> None:
    other_end.close()
    line.say(READY)
    for message in messages:
        end.send_bytes(message)


def send(line: Line, end: Any, other_end: Any, messages: list[bytes]) -> None:
    """Send messages, more than there is room for."""
    _send_all(line, end, other_end, messages)
    line.say(DONE)
    line.hear(GO)


def send_and_stay(line: Line, end: Any, other_end: Any, messages: list[bytes]) -> None:
    """Send messages that there is room for."""
    _send_all(line, end, other_end, messages)
    line.stay()

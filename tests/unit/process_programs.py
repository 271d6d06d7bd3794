"""What the children of the process tests do; imported by its bare name, so that fresh interpreters find it, too."""

import array
import faulthandler
import multiprocessing
import os
import pickle
import signal
import time
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

from threefold import OwnerDied

LIMIT_S = 20.0
# What lets a program end itself at any moment, and with which exit code.
EXIT_SIGNAL = signal.SIGUSR1
OWN_EXIT = 7
MEGABYTE = b"x" * 2**20


def until_told_to_exit(function: Any, *arguments: Any) -> None:
    """Run a program that ends at once, without any cleaning up, when it gets the signal."""
    faulthandler.disable()
    signal.signal(EXIT_SIGNAL, lambda *_: os._exit(OWN_EXIT))
    function(*arguments)


def hold(lock: Any, is_held: Any) -> None:
    """Have the lock until killed."""
    assert lock.acquire(True, LIMIT_S)
    is_held.set()
    time.sleep(LIMIT_S)


def take_or_be_told(lock: Any, answers: Any) -> None:
    """Take the lock once, and say how that went, with the number of the dead owner if one was told of."""
    try:
        with lock:
            answers.put("had")
    except OwnerDied as error:
        answers.put(error.pid)


def notify_and_die(condition: Any) -> None:
    """End with the lock of a condition, after a notification."""
    condition.acquire()
    condition.notify()
    os._exit(OWN_EXIT)


def interrupt_and_die(condition: Any, was_interrupted: Any) -> None:
    """Notify, interrupt the parent, which waits for the lock, and end with the lock once it was interrupted."""
    condition.acquire()
    condition.notify()
    os.kill(os.getppid(), EXIT_SIGNAL)
    assert was_interrupted.wait(LIMIT_S)
    os._exit(OWN_EXIT)


def die_when_told(lock: Any, is_held: Any, may_die: Any) -> None:
    """End with the lock, at the moment that somebody else chooses."""
    lock.acquire()
    is_held.set()
    assert may_die.wait(LIMIT_S)
    os._exit(OWN_EXIT)


def add(lock: Any, path: str, rounds: int) -> None:
    """Count in a file what only a lock keeps whole."""
    for _ in range(rounds):
        with lock, Path(path).open("r+") as file:
            number = int(file.read())
            file.seek(0)
            file.write(str(number + 1))


def answer(event: Any, answers: Any) -> None:
    """Wait for the event, and say what came of it."""
    answers.put(event.wait(LIMIT_S))


def wait_at_condition(condition: Any, answers: Any) -> None:
    """Wait to be notified; say so before and after."""
    with condition:
        answers.put("waiting")
        answers.put(condition.wait(LIMIT_S))


def meet(barrier: Any, answers: Any) -> None:
    """Wait at the barrier, and say how it went."""
    try:
        answers.put(barrier.wait(LIMIT_S))
    except Exception as error:
        answers.put(type(error).__name__)


def try_locks(locks: Any, answers: Any) -> None:
    """Say which of the locks are to be had."""
    answers.put([lock.acquire(False) for lock in locks])


def release_all(locks: Any, answers: Any) -> None:
    """Give back what another process has, and say what came of it."""
    outcomes = []
    for lock in locks:
        try:
            lock.release()
            outcomes.append("released")
        except Exception as error:
            outcomes.append(f"{type(error).__name__}: {error}")
    answers.put(outcomes)


def put(queue: Any, items: list[Any]) -> None:
    """Put the items."""
    for item in items:
        queue.put(item)


def put_a_megabyte(queue: Any) -> None:
    """Put more than a pipe holds, and end."""
    queue.put(MEGABYTE)


def put_for_ever(queue: Any) -> None:
    """Put large messages until killed."""
    number = 0
    while True:
        queue.put((number, bytearray(MEGABYTE)))
        number += 1


def put_buffers(queue: Any) -> None:
    """Put objects whose buffers travel beside the pickle."""
    numbers = array.array("d", range(100_000))
    queue.put([pickle.PickleBuffer(numbers), pickle.PickleBuffer(bytearray(b"y" * 5000)), bytearray(b"z" * 3)])
    queue.put(pickle.PickleBuffer(b"read-only" * 1000))


def work(tasks: Any, results: Any) -> None:
    """Do tasks until there is None."""
    for task in iter(tasks.get, None):
        results.put(task * task)
        tasks.task_done()
    tasks.task_done()


def take_for_ever(queue: Any, is_running: Any) -> None:
    """Wait for items until killed."""
    is_running.set()
    while True:
        queue.get()


def pass_on_for_ever(queue: Any, results: Any) -> None:
    """Take numbered messages, and say which, until killed."""
    while True:
        number, _ = queue.get()
        results.put(number)


def keep_a_view(queue: Any, is_there: Any) -> None:
    """Look at a message where it lies until killed."""
    view = queue.get(zero_copy=True)
    is_there.set()
    time.sleep(LIMIT_S)
    assert memoryview(view).readonly


def wait_for_ever(event: Any, is_running: Any) -> None:
    """Wait for the event until killed."""
    is_running.set()
    event.wait(LIMIT_S)


def wait_notified(condition: Any, is_running: Any) -> None:
    """Wait to be notified until killed."""
    with condition:
        is_running.set()
        condition.wait(LIMIT_S)


def be_interrupted(name: str, thing: Any, answers: Any) -> None:
    """Wait in the way that the name says, until Ctrl-C; then say whether the object is as before."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers.put(os.getpid())
    try:
        if name == "Condition":
            with thing:
                thing.wait()
        elif name in ("Event", "Barrier"):
            thing.wait()
        elif name == "Queue.get":
            thing.get()
        elif name == "Queue.put":
            thing.put(2)
        elif name == "JoinableQueue.join":
            thing.join()
        else:
            thing.acquire()
    except KeyboardInterrupt:
        answers.put("KeyboardInterrupt")


class Adder(multiprocessing.process.BaseProcess):
    """A process whose class is the program's own."""

    def __init__(self, queue: Any, values: Any, lock: Any, memory_name: str) -> None:
        super().__init__(name="adder")
        self.arguments = queue, values, lock, memory_name

    def run(self) -> None:
        """Add what another process has in its shared list, and say who this is."""
        queue, values, lock, memory_name = self.arguments
        memory = shared_memory.ShareableList(name=memory_name)
        with lock, values.get_lock():
            values[0] += memory[0]
        memory.shm.close()
        parent = multiprocessing.parent_process()
        queue.put((multiprocessing.current_process().name, parent.pid if parent else None))


class ForkAdder(Adder, multiprocessing.get_context("fork").Process):  # type: ignore[name-defined, misc]
    """Forked."""


class SpawnAdder(Adder, multiprocessing.get_context("spawn").Process):  # type: ignore[name-defined, misc]
    """In a fresh interpreter."""


class ForkserverAdder(Adder, multiprocessing.get_context("forkserver").Process):  # type: ignore[name-defined, misc]
    """Forked by the server."""


def echo(connection: Any) -> None:
    """Send back what comes, until None does; bytes as bytes."""
    while (item := connection.recv()) is not None:
        connection.send_bytes(item) if isinstance(item, bytes) else connection.send(item)


def send_bytes(connection: Any, sizes: list[int]) -> None:
    """Send messages of these sizes, each of one byte's repetitions."""
    for index, size in enumerate(sizes):
        connection.send_bytes(bytes([index % 256]) * size)
    connection.close()

"""Locks, semaphores, conditions, events and barriers that processes share, alone and between two of them."""

import time
from collections.abc import Callable
from typing import Any

from children import shared_words, together
from harness import case, expect, load, times

PEERS = {"multiprocessing": "multiprocessing", "threefold": "threefold.multiprocessing"}


def make(peer: str, class_name: str, *arguments: object) -> Any:
    """Return a new primitive for processes that are forked."""
    return getattr(load(peer).get_context("fork"), class_name)(*arguments)


def alone(class_name: str) -> Callable[[str], float]:
    """Return a case's function: nanoseconds for acquire and release by one process."""

    def measure(peer: str) -> float:
        primitive = make(peer, class_name)
        acquire, release = primitive.acquire, primitive.release
        count = times(200_000)
        begin = time.perf_counter_ns()
        for _ in range(count):
            acquire()
            release()
        elapsed = time.perf_counter_ns() - begin
        expect(acquire(block=False), True, "acquire() of what was released")
        expect(acquire(block=False), class_name == "RLock", "acquire() of what is held")
        return elapsed / count

    return measure


for class_name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore"):
    case(f"{class_name}: acquire + release, uncontended", "ns", PEERS)(alone(class_name))


@case("with Lock, uncontended", "ns", PEERS)
def with_lock(peer: str) -> float:
    lock = make(peer, "Lock")
    count = times(200_000)
    begin = time.perf_counter_ns()
    for _ in range(count):
        with lock:
            pass
    elapsed = time.perf_counter_ns() - begin
    expect(lock.acquire(block=False), True, "acquire() after the last `with`")
    return elapsed / count


def contended(class_name: str) -> Callable[[str], float]:
    """Return a case's function: pairs of acquire and release in a second, by two processes together."""

    def measure(peer: str) -> float:
        primitive = make(peer, class_name)
        total = shared_words(1)
        each_count = times(100_000)

        def work() -> None:
            acquire, release = primitive.acquire, primitive.release
            for _ in range(each_count):
                acquire()
                total[0] += 1
                release()

        elapsed, _nothing = together([work, work])
        expect(total[0], 2 * each_count, "the counter under the lock")
        return 2 * each_count / elapsed

    return measure


for class_name in ("Lock", "RLock", "Semaphore"):
    case(f"{class_name}: 2 processes contending", "pairs/s", PEERS)(contended(class_name))


def in_turn(step: Callable[[int], None], count: int) -> float:
    """Return the microseconds of a turn of each of two processes.

    Args:
        step: waits for the turn of the player of that number, takes it, and gives it to the other.
        count: turns that each takes.
    """

    def player(me: int) -> Callable[[], None]:
        def play() -> None:
            for _ in range(count):
                step(me)

        return play

    elapsed, _nothing = together([player(0), player(1)])
    return elapsed / count * 1e6


class Turns:
    """Who took which turn, in memory that the players share; only who has the turn writes."""

    def __init__(self, count: int) -> None:
        self.expected = [0, 1] * count
        self.words = shared_words(1 + 2 * count)

    def note(self, me: int) -> None:
        """Note that a player has had its turn."""
        self.words[0] += 1
        self.words[self.words[0]] = me

    def check(self) -> None:
        """Make sure that the players took turns."""
        expect(self.words.tolist()[1:], self.expected, "the order of turns")


@case("Semaphore: hand-over and back", "us", PEERS)
def semaphore_hand_over(peer: str) -> float:
    semaphores = make(peer, "Semaphore", 1), make(peer, "Semaphore", 0)
    count = times(10_000)
    turns = Turns(count)

    def step(me: int) -> None:
        semaphores[me].acquire()
        turns.note(me)
        semaphores[1 - me].release()

    elapsed = in_turn(step, count)
    turns.check()
    return elapsed


@case("Condition: notify and wait in turn", "us", PEERS)
def condition_in_turn(peer: str) -> float:
    condition = make(peer, "Condition")
    next_player = shared_words(1)
    count = times(3_000)
    turns = Turns(count)

    def step(me: int) -> None:
        with condition:
            while next_player[0] != me:
                condition.wait()
            next_player[0] = 1 - me
            turns.note(me)
            condition.notify()

    elapsed = in_turn(step, count)
    turns.check()
    return elapsed


@case("Event: set and wait in turn", "us", PEERS)
def event_in_turn(peer: str) -> float:
    events = make(peer, "Event"), make(peer, "Event")
    events[0].set()
    count = times(3_000)
    turns = Turns(count)

    def step(me: int) -> None:
        events[me].wait()
        events[me].clear()
        turns.note(me)
        events[1 - me].set()

    elapsed = in_turn(step, count)
    turns.check()
    return elapsed


@case("Barrier: 2 processes cross", "us", PEERS)
def barrier(peer: str) -> float:
    crossing = make(peer, "Barrier", 2)
    count = times(3_000)

    def play() -> list[int]:
        return [crossing.wait() for _ in range(count)]

    elapsed, indices = together([play, play])
    expect({sum(pair) for pair in zip(*indices, strict=True)}, {1}, "the sums of the two indices of each crossing")
    return elapsed / count * 1e6

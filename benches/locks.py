"""Locks, semaphores, conditions, events and barriers, alone and between two threads or more."""

import threading
import time
from collections.abc import Callable
from typing import Any

from harness import case, expect, home, load, times

PEERS = {"threading": "threading", "aiologic": "aiologic", "threefold": "threefold.threading"}


def method(primitive: Any, name: str) -> Callable[..., Any]:
    """Return a blocking method; aiologic calls those `green_...`."""
    return getattr(primitive, f"green_{name}", None) or getattr(primitive, name)


def alone(class_name: str) -> Callable[[str], float]:
    """Return a case's function: nanoseconds for acquire and release by one thread."""

    def measure(peer: str) -> float:
        primitive = getattr(load(peer), class_name)(*([1] if "Semaphore" in class_name else []))
        acquire, release = method(primitive, "acquire"), method(primitive, "release")
        count = times(200_000)
        begin = time.perf_counter_ns()
        for _ in range(count):
            acquire()
            release()
        elapsed = time.perf_counter_ns() - begin
        expect(acquire(blocking=False), True, "acquire() of what was released")
        # aiologic raises where its owner asks for a Lock again.
        if home(peer) != "aiologic":
            expect(acquire(blocking=False), class_name == "RLock", "acquire() of what is held")
        return elapsed / count

    return measure


for class_name in ("Lock", "RLock", "Semaphore", "BoundedSemaphore"):
    case(f"{class_name}: acquire + release, uncontended", "ns", PEERS)(alone(class_name))


@case("with Lock, uncontended", "ns", PEERS)
def with_lock(peer: str) -> float:
    lock = load(peer).Lock()
    count = times(200_000)
    begin = time.perf_counter_ns()
    for _ in range(count):
        with lock:
            pass
    elapsed = time.perf_counter_ns() - begin
    expect(method(lock, "acquire")(blocking=False), True, "acquire() after the last `with`")
    return elapsed / count


def beside(other: Callable[[], None], own: Callable[[], None]) -> float:
    """Run `other` in a second thread and `own` here; return the seconds until both are done."""
    thread = threading.Thread(target=other)
    begin = time.perf_counter()
    thread.start()
    own()
    thread.join()
    return time.perf_counter() - begin


@case("Lock: 4 threads contending", "pairs/s", PEERS)
def contended(peer: str) -> float:
    lock = load(peer).Lock()
    acquire, release = method(lock, "acquire"), method(lock, "release")
    each_count = times(50_000)
    total = 0

    def work() -> None:
        nonlocal total
        for _ in range(each_count):
            acquire()
            total += 1
            release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    expect(total, 4 * each_count, "the counter under the lock")
    return total / elapsed


# Semaphores, since aiologic's Lock must be released by who acquired it.
@case("Semaphore: hand-over and back", "us", PEERS)
def semaphore_hand_over(peer: str) -> float:
    kind = load(peer).Semaphore
    there, back = kind(0), kind(0)
    count = times(10_000)
    turns: list[str] = []

    def play(name: str, mine: Any, yours: Any) -> None:
        acquire, release = method(mine, "acquire"), method(yours, "release")
        for _ in range(count):
            acquire()
            turns.append(name)
            release()

    method(there, "release")()
    elapsed = beside(lambda: play("b", back, there), lambda: play("a", there, back))
    expect("".join(turns), "ab" * count, "the order of turns")
    return elapsed / count * 1e6


@case("Condition: notify and wait in turn", "us", PEERS)
def condition_in_turn(peer: str) -> float:
    module = load(peer)
    condition = module.Condition(module.Lock()) if home(peer) == "aiologic" else module.Condition()
    wait = condition.wait
    count = times(5_000)
    turn, changes = 0, 0

    def play(me: int) -> None:
        nonlocal turn, changes
        for _ in range(count):
            with condition:
                while turn != me:
                    wait()
                turn = 1 - me
                changes += 1
                condition.notify()

    elapsed = beside(lambda: play(1), lambda: play(0))
    expect(changes, 2 * count, "turns taken")
    return elapsed / count * 1e6


@case("Event: set and wait in turn", "us", PEERS)
def event_in_turn(peer: str) -> float:
    # aiologic's Event has no clear(); its REvent has.
    kind = load(peer).REvent if home(peer) == "aiologic" else load(peer).Event
    there, back = kind(), kind()
    count = times(5_000)
    turns: list[str] = []

    def play(name: str, mine: Any, yours: Any) -> None:
        wait = mine.wait
        for _ in range(count):
            wait()
            mine.clear()
            turns.append(name)
            yours.set()

    there.set()
    elapsed = beside(lambda: play("b", back, there), lambda: play("a", there, back))
    expect("".join(turns), "ab" * count, "the order of turns")
    return elapsed / count * 1e6


@case("Barrier: 2 threads cross", "us", PEERS)
def barrier(peer: str) -> float:
    module = load(peer)
    crossing = (module.RBarrier if home(peer) == "aiologic" else module.Barrier)(2)
    wait = method(crossing, "wait")
    count = times(5_000)
    indices: list[list[int]] = []

    def play() -> None:
        indices.append([wait() for _ in range(count)])

    elapsed = beside(play, play)
    expect({sum(pair) for pair in zip(*indices, strict=True)}, {1}, "the sums of the two indices of each crossing")
    return elapsed / count * 1e6

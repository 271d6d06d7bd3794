"""The child of a fork never hangs on what a thread of its parent held or waited for, and keeps what its own thread has."""

import multiprocessing
import os
import signal
import sys
import threading as standard
import traceback
from collections.abc import Callable, Generator
from queue import Empty
from typing import Any

import pytest

from threefold.queue import LifoQueue, PriorityQueue, Queue, SimpleQueue
from threefold.threading import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore, Thread

LIMIT_S = 20
# Python 3.12 and later say that a fork beside other threads may deadlock: the subject of these tests.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(function: Callable[[], Any], just_before: Callable[[], Any] = lambda: None) -> str:
    """Return what the function returns in a forked child, the words of its error, or "hangs".

    Args:
        function: what to run.
        just_before: what to do in the parent immediately before the fork.
    """
    reader, writer = os.pipe()
    just_before()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT_S)
        try:
            os.write(writer, repr(function()).encode())
        except BaseException as error:
            traceback.print_exc()
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = answers.read().decode()
    _, status = os.waitpid(child, 0)
    return answer if status == 0 else "hangs" if os.WIFSIGNALED(status) else f"exits with {status}"


class Other:
    """A thread of the parent that does something with an object and stays."""

    def __init__(self) -> None:
        self.is_over = standard.Event()
        self.threads: list[standard.Thread] = []

    def hold(self, lock: Any) -> None:
        """Have the lock held by another thread."""
        is_held = standard.Event()

        def run() -> None:
            with lock:
                is_held.set()
                self.is_over.wait()

        self.start(run)
        assert is_held.wait(LIMIT_S)

    def start(self, function: Callable[[], Any]) -> None:
        """Run a function in another thread."""
        thread = standard.Thread(target=function, daemon=True)
        thread.start()
        self.threads.append(thread)


@pytest.fixture
def other() -> Generator[Other]:
    """Offer other threads."""
    other = Other()
    yield other
    other.is_over.set()


def until_waiting(is_waiting: Callable[[], bool]) -> None:
    """Return when another thread waits in the kernel: it is `is_waiting`, and has let go of the interpreter."""
    while not is_waiting():
        os.sched_yield()


@pytest.fixture
def unhurried() -> Generator[None]:
    """Keep other threads from running between a wake and a fork."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("make", [Lock, RLock, Condition, lambda: Condition(Lock())])
def test_what_another_thread_holds_is_free_in_the_child(make: Any, other: Other) -> None:
    lock = make()
    other.hold(lock)

    def use() -> Any:
        with lock:
            return "mine"

    assert in_child(use) == "'mine'"
    assert in_child(lambda: (lock.acquire(blocking=False), lock.acquire(timeout=1) if make is RLock else True)) == (
        "(True, True)"
    )
    assert lock.acquire(blocking=False) is False


@pytest.mark.parametrize("make", [Lock, RLock, Condition])
def test_what_several_threads_wait_for_is_free_in_the_child(make: Any, other: Other) -> None:
    lock = make()
    other.hold(lock)
    for _ in range(3):
        other.start(lambda: lock.acquire(timeout=LIMIT_S))

    def use() -> Any:
        taken = []

        def take() -> None:
            for _ in range(100):
                with lock:
                    taken.append(1)

        threads = [Thread(target=take) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(taken)

    assert in_child(use) == "300"


@pytest.mark.parametrize("make", [Lock, RLock, Condition])
def test_the_forking_thread_keeps_what_it_holds(make: Any) -> None:
    lock = make()
    lock.acquire()

    def use() -> Any:
        answers: Any = SimpleQueue()
        Thread(target=lambda: answers.put(lock.acquire(blocking=False))).start()
        is_free_for_others = answers.get()
        lock.release()
        Thread(target=lambda: answers.put(lock.acquire(blocking=False))).start()
        return is_free_for_others, answers.get()

    assert in_child(use) == "(False, True)"
    lock.release()


def test_a_reentrant_lock_keeps_its_count() -> None:
    lock = RLock()
    with lock, lock:
        assert in_child(lambda: (lock.release(), lock.release(), repr(lock).split()[0])) == "(None, None, '<unlocked')"


def test_a_waiter_left_behind_swallows_no_permit(other: Other) -> None:
    permits = Semaphore(0)
    is_started = standard.Event()
    other.start(lambda: (is_started.set(), permits.acquire(timeout=LIMIT_S)))
    assert is_started.wait(LIMIT_S)

    def use() -> Any:
        permits.release()
        return permits.acquire(timeout=LIMIT_S / 2)

    assert in_child(use) == "True"


@pytest.mark.parametrize("make", [Semaphore, BoundedSemaphore])
def test_a_free_permit_is_free_in_the_child(make: Any) -> None:
    permits = make(2)
    with permits:
        assert in_child(lambda: (permits.acquire(False), permits.acquire(False))) == "(True, False)"


def test_an_event_that_others_wait_for_works(other: Other) -> None:
    event = Event()
    for _ in range(3):
        other.start(lambda: event.wait(LIMIT_S))
    assert in_child(lambda: (event.wait(0.01), event.set(), event.wait())) == "(False, None, True)"
    assert not event.is_set()
    event.set()


def test_a_notification_reaches_the_childs_own_waiter(other: Other) -> None:
    changed = Condition()
    is_waiting = standard.Event()

    def wait() -> None:
        with changed:
            is_waiting.set()
            changed.wait(LIMIT_S)

    other.start(wait)
    assert is_waiting.wait(LIMIT_S)
    with changed:
        pass

    def use() -> Any:
        answers: Any = SimpleQueue()

        def wait_here() -> None:
            with changed:
                answers.put("waits")
                answers.put(changed.wait(LIMIT_S / 2))

        Thread(target=wait_here).start()
        answers.get()
        with changed:
            changed.notify()
        return answers.get()

    assert in_child(use) == "True"


@pytest.mark.parametrize("make", [Queue, LifoQueue, PriorityQueue, SimpleQueue])
def test_a_getter_left_behind_swallows_no_item(make: Any, other: Other) -> None:
    queue = make()
    is_started = standard.Event()
    other.start(lambda: (is_started.set(), queue.get(timeout=LIMIT_S)))
    assert is_started.wait(LIMIT_S)
    assert in_child(lambda: (queue.put(7), queue.get(timeout=LIMIT_S / 2))) == "(None, 7)"
    queue.put(1)


def wait_patiently(wait: Callable[[], Any], other: Other) -> None:
    """Have another thread wait for long enough to be handed what it waits for.

    A fork in the same breath as the wake finds the thing given to a thread that has not run yet.
    """
    is_started = standard.Event()
    other.start(lambda: (is_started.set(), wait(), other.is_over.wait()))
    assert is_started.wait(LIMIT_S)
    # A waiter that has just come is asked to look again; one that has waited 1 ms is given the thing.
    standard.Event().wait(0.05)


@pytest.mark.parametrize("make", [Queue, LifoQueue, PriorityQueue, SimpleQueue])
def test_an_item_promised_to_a_thread_left_behind_can_be_taken(make: Any, other: Other, unhurried: None) -> None:
    queue = make()
    wait_patiently(lambda: queue.get(timeout=LIMIT_S), other)
    assert in_child(lambda: (queue.qsize(), queue.get(timeout=LIMIT_S / 2)), lambda: queue.put(7)) == "(1, 7)"


@pytest.mark.parametrize("make", [Queue, LifoQueue, PriorityQueue])
def test_room_promised_to_a_thread_left_behind_can_be_used(make: Any, other: Other, unhurried: None) -> None:
    queue = make(1)
    queue.put(0)
    wait_patiently(lambda: queue.put(1, timeout=LIMIT_S), other)
    answer = in_child(lambda: (queue.qsize(), queue.put(5, timeout=LIMIT_S / 2), queue.get()), queue.get)
    assert answer == "(0, None, 5)"


def test_a_permit_promised_to_a_thread_left_behind_can_be_taken(other: Other, unhurried: None) -> None:
    semaphore = Semaphore(0)
    wait_patiently(lambda: semaphore.acquire(timeout=LIMIT_S), other)
    assert in_child(lambda: semaphore.acquire(timeout=LIMIT_S / 2), semaphore.release) == "True"


def test_a_lock_handed_to_a_thread_left_behind_is_free(other: Other, unhurried: None) -> None:
    lock = Lock()
    lock.acquire()
    wait_patiently(lambda: lock.acquire(timeout=LIMIT_S), other)
    assert in_child(lambda: lock.acquire(timeout=LIMIT_S / 2), lock.release) == "True"


def test_a_putter_left_behind_holds_no_room(other: Other) -> None:
    queue: Any = Queue(1)
    queue.put(0)
    is_started = standard.Event()
    other.start(lambda: (is_started.set(), queue.put(1, timeout=LIMIT_S)))
    assert is_started.wait(LIMIT_S)
    assert in_child(lambda: (queue.get(), queue.put(2, timeout=LIMIT_S / 2), queue.get(), queue.qsize())) == (
        "(0, None, 2, 0)"
    )
    queue.get()


def test_parties_left_behind_are_not_counted(other: Other) -> None:
    barrier = Barrier(2)
    other.start(lambda: barrier.wait(LIMIT_S))
    until_waiting(lambda: barrier.n_waiting == 1)
    assert in_child(lambda: barrier.n_waiting) == "0"
    barrier.wait()


def test_a_barrier_whose_action_runs_elsewhere_does_not_hang(other: Other) -> None:
    is_inside, go_on = standard.Event(), standard.Event()

    def action() -> None:
        is_inside.set()
        go_on.wait(LIMIT_S)

    barrier = Barrier(1, action)
    other.start(barrier.wait)
    assert is_inside.wait(LIMIT_S)

    def use() -> Any:
        # The action waits for an event that nobody will set here, unless the barrier calls it again.
        go_on.set()
        try:
            return barrier.wait()
        except Exception as error:
            return type(error).__name__

    assert in_child(use) in ("0", "'BrokenBarrierError'")
    go_on.set()


def test_a_thread_may_fork(other: Other) -> None:
    lock, queue = Lock(), Queue()  # type: ignore[var-annotated]
    answers: Any = SimpleQueue()
    with lock:
        Thread(
            target=lambda: answers.put(in_child(lambda: (lock.acquire(timeout=5), queue.put(1), queue.get())))
        ).start()
        assert answers.get(timeout=LIMIT_S) == "(True, None, 1)"


def test_forks_may_be_nested(other: Other) -> None:
    lock, queue = Lock(), SimpleQueue()  # type: ignore[var-annotated]
    other.hold(lock)

    def descend(depth: int) -> Any:
        with lock:
            queue.put(depth)
            thread = Thread(target=queue.get)
            thread.start()
            thread.join()
        # One more thread that stays behind at the next fork, holding the lock.
        elsewhere = Other()
        elsewhere.hold(lock)
        return in_child(lambda: descend(depth - 1)) if depth else "down"

    assert in_child(lambda: descend(4)).count("down") == 1


def child_of_multiprocessing(lock: Any, queue: Any, answers: Any) -> None:
    with lock:
        queue.put(3)
        answers.put((queue.get(timeout=LIMIT_S), queue.qsize()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_children_of_multiprocessing_are_free(other: Other) -> None:
    context = multiprocessing.get_context("fork")
    lock, queue, answers = Lock(), Queue(), context.SimpleQueue()  # type: ignore[var-annotated]
    other.hold(lock)
    child = context.Process(target=child_of_multiprocessing, args=(lock, queue, answers))
    child.start()
    assert answers.get() == (3, 0)
    child.join()
    assert child.exitcode == 0
    with pytest.raises(Empty):
        queue.get_nowait()


@pytest.mark.timeout(120)
def test_forks_in_the_middle_of_everything_hang_nowhere(full_stress: bool) -> None:
    lock, condition, permits, queue = Lock(), Condition(), Semaphore(3), Queue(2)  # type: ignore[var-annotated]
    is_over = False

    def work() -> None:
        while not is_over:
            with lock, condition, permits:
                condition.notify()
                condition.wait(0.0001)
            queue.put(1)
            queue.get()

    def use() -> Any:
        with lock, condition:
            condition.notify_all()
        while not queue.empty():
            queue.get_nowait()
        return queue.put(1, timeout=5), queue.get(timeout=5)

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    count = 300 if full_stress else 40
    try:
        answers = [in_child(use) for _ in range(count)]
    finally:
        is_over = True
        for thread in threads:
            thread.join(LIMIT_S)
    wrong = [answer for answer in answers if answer != "(None, 1)"]
    assert wrong == [], f"{len(wrong)} of {count} children failed"

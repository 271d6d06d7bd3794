"""Our `Thread` and `Timer` are the standard ones underneath, and a `join()` can always be interrupted."""

import _thread
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

import threefold.threading
from threefold.threading import Event, Thread, Timer, _patch_thread, _unpatch_thread

SOON_S = 30.0


class Subclass(threading.Thread):
    """What a program makes of the standard class."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = Event()

    def run(self) -> None:
        """Wait for leave to end."""
        self.go_on.wait(SOON_S)


@pytest.fixture
def patched() -> Generator[None]:
    """Give the standard class our methods for the time of a test."""
    _patch_thread(threading.Thread)
    yield
    _unpatch_thread(threading.Thread)


def started(run: Callable[[], object], **options: Any) -> Thread:
    """Return a thread that has been started."""
    thread = Thread(target=run, **options)
    thread.start()
    return thread


def test_a_started_thread_is_known_everywhere_at_once() -> None:
    go_on = Event()
    thread = started(lambda: go_on.wait(SOON_S))
    try:
        assert thread.is_alive()
        assert thread.ident is not None
        assert thread.native_id is not None
        assert thread in threading.enumerate()
        assert thread in threading._dangling
        assert threading._active[thread.ident] is thread
        assert thread not in threading._limbo
    finally:
        go_on.set()
        thread.join()
    assert not thread.is_alive()
    assert thread not in threading.enumerate()


def test_a_thread_has_begun_to_run_when_start_returns() -> None:
    for _ in range(100):
        order: list[str] = []
        thread = started(lambda order=order: order.append("thread"))
        order.append("starter")
        thread.join()
        assert order[0] == "thread"


def test_inside_the_thread_it_is_the_current_one() -> None:
    seen: list[threading.Thread] = []
    thread = started(lambda: seen.append(threading.current_thread()))
    thread.join()
    assert seen == [thread]


def test_arguments_name_and_daemon_are_the_standard_ones() -> None:
    seen: list[Any] = []
    thread = Thread(
        None, lambda *args, **kwargs: seen.extend([args, kwargs]), "a name", (1, 2), {"key": 3}, daemon=True
    )
    assert (thread.name, thread.daemon, thread.ident) == ("a name", True, None)
    thread.start()
    thread.join()
    assert seen == [(1, 2), {"key": 3}]


def test_a_subclass_may_replace_run_and_start() -> None:
    calls = []

    class Loud(Thread):
        def start(self) -> None:
            calls.append("start")
            super().start()

        def run(self) -> None:
            calls.append("run")

    loud = Loud()
    loud.start()
    loud.join()
    assert calls == ["start", "run"]


def test_starting_twice_is_an_error() -> None:
    thread = started(lambda: None)
    thread.join()
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()


def test_a_thread_whose_constructor_did_not_run_is_an_error() -> None:
    class Forgetful(Thread):
        def __init__(self) -> None:
            """Leave out what the base class needs."""

    with pytest.raises(RuntimeError, match=r"thread.__init__\(\) not called"):
        Forgetful().start()
    with pytest.raises(RuntimeError, match=r"Thread.__init__\(\) not called"):
        Forgetful().join()


def test_a_join_that_cannot_end_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="cannot join thread before it is started"):
        Thread().join()
    messages: list[str] = []

    def join_myself() -> None:
        try:
            threading.current_thread().join()
        except RuntimeError as error:
            messages.append(str(error))

    started(join_myself).join()
    assert len(messages) == 1
    assert "join current thread" in messages[0]


def test_a_start_that_the_system_refuses_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise _thread.error("no more threads")

    name = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"
    thread = Thread(target=lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(threading, name, refuse)
        with pytest.raises(_thread.error, match="no more threads"):
            thread.start()
    assert thread not in threading._limbo
    assert not thread.is_alive()


@pytest.mark.parametrize("timeout", [0, 0.01, -1])
def test_a_short_join_gives_up(timeout: float) -> None:
    go_on = Event()
    thread = started(lambda: go_on.wait(SOON_S))
    thread.join(timeout)
    assert thread.is_alive()
    go_on.set()
    thread.join(SOON_S)
    assert not thread.is_alive()


def test_a_join_that_lasts_can_time_out_too() -> None:
    go_on = Event()
    thread = started(lambda: go_on.wait(SOON_S))
    thread.join(3 * threefold._thread_join.SHORT_S)
    assert thread.is_alive()
    go_on.set()
    thread.join()
    assert not thread.is_alive()


def test_many_may_join_the_same_thread() -> None:
    go_on = Event()
    thread = started(lambda: go_on.wait(SOON_S))
    joining = [started(thread.join) for _ in range(5)]
    joining[0].join(2 * threefold._thread_join.SHORT_S)
    assert all(joiner.is_alive() for joiner in joining)
    go_on.set()
    for joiner in joining:
        joiner.join(SOON_S)
    assert not any(joiner.is_alive() for joiner in joining)


def test_an_uncaught_exception_goes_to_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: seen.append((arguments.exc_type, arguments.thread)))
    thread = started(lambda: 1 // 0)
    thread.join()
    assert seen == [(ZeroDivisionError, thread)]


def test_trace_and_profile_functions_are_installed() -> None:
    seen = set()
    threading.settrace(lambda *_: seen.add("trace"))  # type: ignore[arg-type]
    threading.setprofile(lambda *_: seen.add("profile"))
    try:
        started(lambda: None).join()
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
        threading.setprofile(None)
    assert seen == {"trace", "profile"}


@pytest.mark.skipif(sys.version_info < (3, 14), reason="threads take a context from Python 3.14 on")
def test_a_thread_runs_in_the_context_that_it_was_given() -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default="outside")
    context = contextvars.copy_context()
    context.run(variable.set, "inside")
    seen: list[str] = []
    started(lambda: seen.append(variable.get()), context=context).join()
    assert seen == ["inside"]


def test_repr_says_how_far_it_is() -> None:
    go_on = Event()
    thread = Thread(target=lambda: go_on.wait(SOON_S), name="worker")
    assert repr(thread) == "<Thread(worker, initial)>"
    thread.start()
    assert repr(thread) == f"<Thread(worker, started {thread.ident})>"
    go_on.set()
    thread.join()
    assert repr(thread) == f"<Thread(worker, stopped {thread.ident})>"


def test_a_timer_calls_its_function() -> None:
    called = Event()
    timer = Timer(0.001, called.set)
    assert isinstance(timer, threading.Timer)
    timer.start()
    assert called.wait(SOON_S)
    timer.join(SOON_S)


def test_a_timer_can_be_cancelled() -> None:
    calls: list[int] = []
    timer = Timer(SOON_S, calls.append, args=[1])
    timer.start()
    timer.cancel()
    timer.join(SOON_S)
    assert not timer.is_alive()
    assert calls == []


class Interrupted(Exception):
    """Raised by the signal handler of a test."""


def raise_interrupted(*_arguments: object) -> None:
    """Handle a signal by raising."""
    raise Interrupted


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system cannot send a signal to one thread")
def test_a_signal_that_another_thread_got_interrupts_a_join() -> None:
    go_on, is_joining = Event(), Event()

    def get_the_signal() -> None:
        is_joining.wait(SOON_S)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        go_on.wait(SOON_S)

    before = signal.signal(signal.SIGUSR1, raise_interrupted)
    thread = started(get_the_signal)
    try:
        is_joining.set()
        with pytest.raises(Interrupted):
            thread.join(SOON_S)
        assert thread.is_alive()
    finally:
        signal.signal(signal.SIGUSR1, before)
        go_on.set()
        thread.join()
    assert not thread.is_alive()


def test_the_standard_class_can_be_given_our_join_and_gets_its_own_back(patched: None) -> None:
    thread = Subclass()
    assert threading.Thread.join.__module__ == "threefold._thread_join"
    thread.start()
    thread.join(2 * threefold._thread_join.SHORT_S)
    assert thread.is_alive()
    thread.go_on.set()
    thread.join()
    assert not thread.is_alive()
    _patch_thread(threading.Thread)
    _unpatch_thread(threading.Thread)
    assert threading.Thread.join.__module__ == "threading"
    assert not hasattr(threading.Thread, "_has_ended")
    _unpatch_thread(threading.Thread)


def test_a_thread_that_ran_before_the_class_was_patched_can_be_joined() -> None:
    thread = Subclass()
    thread.start()
    _patch_thread(threading.Thread)
    try:
        started(lambda: thread.go_on.set()).join()
        thread.join()
        assert not thread.is_alive()
    finally:
        _unpatch_thread(threading.Thread)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_child_knows_that_the_other_threads_are_gone() -> None:
    go_on = Event()
    thread = started(lambda: go_on.wait(SOON_S))
    child = os.fork()
    if child == 0:
        is_right = not thread.is_alive() and threading.enumerate() == [threading.current_thread()]
        thread.join()
        own = started(lambda: None)
        own.join()
        os._exit(0 if is_right and not own.is_alive() else 1)
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def run_program(text: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=SOON_S, check=False)


def test_the_interpreter_waits_for_threads_at_exit() -> None:
    program = """if True:
        import sys, threading
        from threefold.threading import Event, Thread
        released = Event()
        def last():
            released.wait(20)
            sys.stdout.write("last\\n")
        Thread(target=last).start()
        Thread(target=lambda: (threading.main_thread().join(), released.set())).start()
        sys.stdout.write("main\\n")
    """
    done = run_program(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["main", "last"]


def test_the_interpreter_does_not_wait_for_a_daemon() -> None:
    program = """if True:
        from threefold.threading import Event, Thread
        Thread(target=Event().wait, daemon=True).start()
        print("main")
    """
    done = run_program(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "main\n", "")


def test_starting_many_threads_that_nobody_joins_keeps_no_trace_of_them() -> None:
    ends = [started(lambda: None) for _ in range(300)]
    for thread in ends:
        thread.join()
    assert len(getattr(threading, "_shutdown_locks", ())) < 100

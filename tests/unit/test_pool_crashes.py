"""The crash matrix: whatever goes wrong in a worker, only the guilty task fails, with its name, and the pool goes on."""

import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from threefold import Error, multiprocessing

sys.path.insert(0, str(Path(__file__).parent))
import pool_programs as programs
import pool_rig as rig

context, fork, make_pool, make_executor = rig.context, rig.fork, rig.make_pool, rig.make_executor
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

COUNT = 8
GUILTY = programs.GUILTY
INNOCENT = [number for number in range(COUNT) if number != GUILTY]
# Results, errors, and when the last error came.
Outcome = tuple[list[Any], list[BaseException], float]


def death(number: int | None = None, exitcode: int | None = None) -> Callable[[Any, int], None]:
    """Expect that the worker died, and that the error says of what."""

    def check(error: Any, pid: int) -> None:
        assert isinstance(error, multiprocessing.WorkerDied)
        assert isinstance(error, BrokenProcessPool)
        assert isinstance(error, Error)
        assert error.pid == pid
        assert error.signal == number
        if exitcode is not None:
            assert error.exitcode == exitcode
        assert not error.is_out_of_memory
        assert str(pid) in str(error)
        assert (signal.Signals(number).name if number else f"exit code {exitcode}") in str(error)
        assert "live" in str(error), "the message names the task"

    return check


def failure(*words: str, kind: Any = Exception) -> Callable[[Any, int], None]:
    """Expect an error that is no death, and that mentions what went wrong."""

    def check(error: Any, _pid: int) -> None:
        assert isinstance(error, kind)
        assert not isinstance(error, multiprocessing.WorkerDied)
        text = f"{error!r} {error} {error.__cause__}"
        assert [word for word in words if word not in text] == []

    return check


FATES: dict[str, tuple[Any, Callable[[Any, int], None]]] = {
    "exits at once": (programs.exit_at_once, death(exitcode=1)),
    "is killed": (programs.be_killed, death(signal.SIGKILL)),
    "faults": (programs.fault, death(signal.SIGSEGV)),
    "exits in order": (programs.exit_in_order, death(exitcode=3)),
    "raises": (programs.raise_value_error, failure("the guilty one", "raise_value_error", kind=ValueError)),
    "raises what cannot be unpickled": (programs.raise_peculiarly, failure("PeculiarError", "peculiar")),
    "returns what cannot be unpickled": (programs.return_what_cannot_be_read, failure("not a number")),
    "returns what cannot be pickled": (programs.return_what_cannot_be_sent, failure("Unsendable")),
    "cannot be sent": (programs.Unsendable(), failure("Unsendable")),
    "cannot be received": (programs.Unreadable(), failure("not a number")),
}
NEVER_BEGUN = ["cannot be sent", "cannot be received"]


def collect(getters: Iterable[Callable[[], Any]]) -> Outcome:
    results: list[Any] = []
    errors: list[BaseException] = []
    failed_at = 0.0
    for get in getters:
        try:
            results.append(get())
        except StopIteration:
            break
        except (Exception, SystemExit) as error:
            errors.append(error)
            failed_at = time.monotonic()
    return results, errors, failed_at


def take_all(iterator: Any) -> Outcome:
    return collect(itertools.repeat(iterator.__next__))


def map_all(pool: Any, items: list[Any]) -> Outcome:
    try:
        pool.map(programs.live_one, items, 1)
    except Exception as error:
        # Whoever maps gets the first error in place of all results.
        return INNOCENT, [error], time.monotonic()
    return [], [], 0.0


def starmap_all(pool: Any, items: list[Any]) -> Outcome:
    try:
        pool.starmap(programs.live, items, 1)
    except Exception as error:
        return INNOCENT, [error], time.monotonic()
    return [], [], 0.0


WAYS: dict[str, Callable[[Any, list[Any]], Outcome]] = {
    "map": map_all,
    "starmap": starmap_all,
    "apply": lambda pool, items: collect([lambda item=item: pool.apply(programs.live, item) for item in items]),
    "apply_async": lambda pool, items: collect([pool.apply_async(programs.live, item).get for item in items]),
    "imap": lambda pool, items: take_all(pool.imap(programs.live_one, items)),
    "imap_unordered": lambda pool, items: take_all(pool.imap_unordered(programs.live_one, items)),
}


def submit_all(executor: Any, items: list[Any]) -> Outcome:
    return collect([executor.submit(programs.live, *item).result for item in items])


def check_outcome(way: Callable[[Any, list[Any]], Outcome], pool: Any, name: str, place: Path) -> None:
    """Do eight tasks of which one goes wrong, and see that it is the only one."""
    fate, check = FATES[name]
    place.mkdir()
    results, errors, failed_at = way(pool, [(str(place), fate if n == GUILTY else None, n) for n in range(COUNT)])
    assert sorted(results) == INNOCENT
    assert len(errors) == 1
    begun = {int(number): (int(pid), float(at)) for number, pid, at in rig.recorded(place)}
    assert rig.counts(place) == dict.fromkeys(INNOCENT if name in NEVER_BEGUN else range(COUNT), 1)
    pid, at = begun.get(GUILTY, (0, failed_at))
    if hasattr(pool, "submit") and name == "exits in order":
        # An executor hands SystemExit to the caller, as the standard library's does.
        assert isinstance(errors[0], SystemExit)
        assert errors[0].code == 3
    else:
        check(errors[0], pid)
    assert failed_at - at < rig.SOON_S
    rig.assert_full_strength(pool, place)


@pytest.mark.parametrize("name", FATES)
@pytest.mark.parametrize("way", WAYS)
def test_only_the_guilty_task_fails(fork: Any, make_pool: Any, way: str, name: str, tmp_path: Path) -> None:
    check_outcome(WAYS[way], make_pool(fork), name, tmp_path / "place")


@pytest.mark.parametrize("name", FATES)
def test_only_the_guilty_call_of_an_executor_fails(fork: Any, make_executor: Any, name: str, tmp_path: Path) -> None:
    check_outcome(submit_all, make_executor(fork), name, tmp_path / "place")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_matrix_holds_on_one_pool_of_fresh_interpreters(
    method: str, make_pool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(rig.context_of(method, monkeypatch))
    for way in ("map", "apply_async", "imap_unordered"):
        for name in FATES:
            check_outcome(WAYS[way], pool, name, tmp_path / f"{way} {name}")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_matrix_holds_on_one_executor_of_fresh_interpreters(
    method: str, make_executor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make_executor(rig.context_of(method, monkeypatch))
    for name in FATES:
        check_outcome(submit_all, executor, name, tmp_path / name)


def test_a_function_that_the_worker_does_not_find_fails_its_calls_only(
    context: Any, make_pool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(context)
    rig.assert_full_strength(pool, tmp_path)

    def later(number: int) -> int:
        return number

    # The workers are there already, and have imported the module without it.
    later.__module__, later.__qualname__ = programs.__name__, "later"
    monkeypatch.setattr(programs, "later", later, raising=False)
    good = pool.map_async(programs.same, range(COUNT), 1)
    for call in (
        lambda: pool.apply(later, (1,)),
        lambda: pool.map(later, range(4)),
        lambda: next(pool.imap(later, [1])),
    ):
        with pytest.raises(AttributeError, match="later"):
            call()
    assert good.get(rig.LIMIT_S) == list(range(COUNT))
    rig.assert_full_strength(pool, tmp_path)


def test_a_chunk_shares_the_fate_of_its_guilty_item(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)
    items = [(str(tmp_path), programs.be_killed if number == GUILTY else None, number) for number in range(COUNT)]
    results, errors, _ = take_all(pool.imap_unordered(programs.live_one, items, 2))
    # Items 2 and 3 are the guilty chunk.
    assert sorted(results) == [0, 1, 4, 5, 6, 7]
    assert [type(error) for error in errors] == [multiprocessing.WorkerDied]
    assert rig.counts(tmp_path) == dict.fromkeys(range(COUNT), 1)


def test_many_guilty_tasks_in_a_row_are_each_named(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)
    deaths = [programs.be_killed, programs.exit_at_once, programs.fault, programs.exit_in_order]
    results = [pool.apply_async(programs.live, (str(tmp_path), death, GUILTY)) for death in deaths * 5]
    kinds = []
    for result in results:
        with pytest.raises(multiprocessing.WorkerDied) as caught:
            result.get(rig.LIMIT_S)
        kinds.append(caught.value.signal or caught.value.exitcode)
    assert kinds == [signal.SIGKILL, 1, signal.SIGSEGV, 3] * 5
    assert len({int(words[1]) for words in rig.recorded(tmp_path)}) == len(results)
    rig.assert_full_strength(pool, tmp_path)


def test_callbacks_hear_of_a_death(fork: Any, make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(fork)
    heard: list[Any] = []
    item = (str(tmp_path), programs.be_killed, GUILTY)
    pool.apply_async(programs.live, item, callback=heard.append, error_callback=heard.append).wait(rig.LIMIT_S)
    pool.map_async(programs.live_one, [item], 1, heard.append, heard.append).wait(rig.LIMIT_S)
    rig.until(lambda: len(heard) == 2, "both callbacks")
    assert [type(error) for error in heard] == [multiprocessing.WorkerDied] * 2

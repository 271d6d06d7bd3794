"""What both engines do alike: results, exceptions, initializers and deaths, on a cluster of this machine."""

import collections
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback

import cluster_tasks as tasks
import pytest

from threefold.cluster import TaskOptions

pytestmark = pytest.mark.timeout(120)


def only(outcomes):
    (outcome,) = outcomes
    return outcome


def executions(folder):
    return collections.Counter(path.name.split(".")[0] for path in folder.iterdir())


def test_each_chunk_comes_back_with_its_results(runner):
    outcomes = runner.run(tasks.square, range(20))
    assert [outcome.results for outcome in outcomes] == [[number * number] for number in range(20)]
    assert {outcome.kind for outcome in outcomes} == {"returned"}


def test_arguments_are_passed_as_the_mode_says(runner):
    assert only(runner.run(tasks.add, [((1, 2), {"third": 3})], mode="call")).results == [6]
    assert only(runner.run(tasks.add, [(1, 2)], mode="star")).results == [3]


def test_a_reply_says_where_and_when_the_task_ran(runner):
    outcome = only(runner.run(tasks.process_number, [0]))
    assert outcome.results == [outcome.start.pid]
    assert outcome.start.time_s <= outcome.end_s


def test_lambdas_and_closures_travel(runner):
    offset = 10
    assert only(runner.run(lambda number: number + offset, [1])).results == [11]


def test_a_function_that_is_returned_can_be_called(runner):
    assert only(runner.run(lambda number: lambda: number + 1, [1])).results[0]() == 2


def test_a_large_function_is_sent_apart_from_its_chunks(runner):
    table = bytes(100_000)
    assert [outcome.results for outcome in runner.run(lambda place: table[place], [5, 6])] == [[0], [0]]


def test_large_arguments_and_results_travel(runner):
    assert only(runner.run(lambda data: data + b"!", [bytes(20_000_000)])).results == [bytes(20_000_000) + b"!"]


def test_an_exception_arrives_with_its_notes_and_the_workers_traceback(runner):
    outcome = only(runner.run(tasks.raise_with_note, [7]))
    assert outcome.kind == "raised"
    assert repr(outcome.error) == "ValueError('bad 7')"
    assert outcome.error.__notes__ == ["a note from the worker"]
    assert isinstance(outcome.error.__cause__, RemoteTraceback)
    assert "in raise_with_note" in str(outcome.error.__cause__)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (tasks.raise_what_cannot_be_unpickled, "ErrorThatCannotBeUnpickled"),
        (tasks.raise_what_cannot_be_pickled, "ErrorThatCannotBePickled"),
    ],
)
def test_something_stands_for_an_exception_that_cannot_travel(runner, function, name):
    outcome = only(runner.run(function, [0]))
    found, representation, text, reason = outcome.error.args
    assert outcome.kind == "raised"
    assert found == name
    assert representation.startswith(f"{name}(")
    assert f"in {function.__name__}" in text
    assert isinstance(reason, Exception)


def test_something_stands_for_a_result_that_cannot_be_unpickled(runner):
    outcome = only(runner.run(tasks.return_what_cannot_be_unpickled, [0]))
    assert outcome.kind == "raised"
    assert isinstance(outcome.error.args[3], ValueError)


def test_a_result_that_cannot_be_pickled_is_named(runner):
    outcomes = runner.run(tasks.return_what_cannot_be_pickled, [1, 2, 3])
    assert [outcome.results for outcome in outcomes] == [[1], [], [3]]
    assert isinstance(outcomes[1].error, MaybeEncodingError)
    assert "ResultThatCannotBePickled" in str(outcomes[1].error)
    assert "this stays here" in str(outcomes[1].error)


def test_an_exit_in_a_task_fails_the_task_and_not_the_worker(runner):
    outcomes = runner.run(tasks.exit_with_3, [0]) + runner.run(tasks.square, [2])
    assert [outcome.kind for outcome in outcomes] == ["exited", "returned"]
    assert outcomes[0].error.args == (3,)


@pytest.mark.parametrize("misdeed", tasks.MISDEEDS)
def test_only_the_task_that_ended_its_worker_fails_and_each_runs_once(runner, tmp_path, misdeed):
    items = [(str(tmp_path), number, misdeed if number == 3 else None) for number in range(8)]
    outcomes = runner.run(tasks.square_on_record, items)
    assert [outcome.kind for outcome in outcomes] == ["returned"] * 3 + ["worker_died"] + ["returned"] * 4
    assert executions(tmp_path) == {str(number): 1 for number in range(8)}


def test_the_cluster_is_at_full_strength_again_after_a_death(runner, tmp_path):
    assert only(runner.run(tasks.square_on_record, [(str(tmp_path), 0, "is killed")])).kind == "worker_died"
    outcomes = runner.run(tasks.meet, [(str(tmp_path), "one", "other"), (str(tmp_path), "other", "one")])
    assert [outcome.results for outcome in outcomes] == [["one"], ["other"]]


def test_a_pool_survives_the_death_of_all_its_workers(runner, tmp_path):
    def die_with_table(number):
        return tasks.square_on_record((str(tmp_path), number, "is killed" if table[number] else None))

    table = bytes([1, 1, 1] + [0] * 50_000)
    kinds = [outcome.kind for outcome in runner.run(die_with_table, range(8))]
    assert kinds == ["worker_died"] * 3 + ["returned"] * 5


def test_the_initializer_runs_once_in_each_process(runner, tmp_path):
    initializer = {"initializer": tasks.set_state, "initargs": (str(tmp_path), "prepared")}
    outcomes = runner.run(tasks.see_state, range(10), **initializer)
    assert [outcome.results for outcome in outcomes] == [[("prepared", number)] for number in range(10)]
    outcomes += runner.run(tasks.see_state, range(10), **initializer)
    processes = {outcome.start.pid for outcome in outcomes}
    assert len(list(tmp_path.iterdir())) == len(processes)


def test_every_function_sees_what_an_initializer_that_travels_by_value_has_set(runner):
    # Functions of a program's main module travel like these: each with a copy of the globals that it uses.
    names = {"__name__": "a_module_that_no_worker_has"}
    exec("def prepare(value):\n    global kept\n    kept = value\n", names)
    exec("def see(item):\n    return kept, item\ndef see_again(item):\n    return item, kept\n", names)
    initializer = {"initializer": names["prepare"], "initargs": ("prepared",)}
    assert only(runner.run(names["see"], [1], **initializer)).results == [("prepared", 1)]
    outcomes = runner.run(names["see_again"], range(6), **initializer)
    assert [outcome.results for outcome in outcomes] == [[(number, "prepared")] for number in range(6)]


def test_an_initializer_that_fails_is_reported_with_its_traceback(runner):
    outcomes = runner.run(tasks.square, range(3), initializer=tasks.fail_to_initialize)
    assert {outcome.kind for outcome in outcomes} == {"initializer_failed"}
    assert repr(outcomes[0].error) == "LookupError('no database here')"
    assert "in fail_to_initialize" in str(outcomes[0].error.__cause__)


def test_a_function_that_the_worker_cannot_load_fails_its_chunks(runner):
    backend = runner.backend
    shared = backend.put_shared(b"cno_such_module\nfunction\n.")
    outcome = only(runner.outcomes([backend.submit(shared, b"", TaskOptions("map", runner.pool, 99))]))
    assert outcome.kind == "raised"
    assert "no_such_module" in str(outcome.error)

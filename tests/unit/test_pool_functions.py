"""Lambdas, closures and methods as tasks of a pool, with cloudpickle and without it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from threefold.futures import ProcessPoolExecutor

sys.path.insert(0, str(Path(__file__).parent))
import pool_rig as rig

context, make_pool = rig.context, rig.make_pool
# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def without_cloudpickle(monkeypatch: Any) -> None:
    # What Python itself puts there for a module that must not be imported.
    monkeypatch.setitem(sys.modules, "cloudpickle", None)


def test_lambdas_and_closures_are_tasks(context: Any, make_pool: Any) -> None:
    pytest.importorskip("cloudpickle")
    pool, step = make_pool(context), 10

    def add(number: int) -> int:
        return number + step

    assert pool.map(lambda number: number * number, range(5)) == [0, 1, 4, 9, 16]
    assert pool.map(add, range(3)) == [10, 11, 12]
    assert pool.apply(lambda: step) == 10
    assert list(pool.imap(add, [1])) == [11]
    assert pool.starmap(lambda left, right: left - right, [(3, 1)]) == [2]
    # As an argument, too.
    assert pool.apply(map_over, (add, [1, 2])) == [11, 12]


def test_an_executor_takes_lambdas(context: Any) -> None:
    pytest.importorskip("cloudpickle")
    with ProcessPoolExecutor(2, context) as executor:
        assert executor.submit(lambda: 7).result(rig.LIMIT_S) == 7
        assert list(executor.map(lambda number: -number, range(3))) == [0, -1, -2]


def map_over(function: Any, numbers: list[int]) -> list[int]:
    return [function(number) for number in numbers]


@pytest.mark.usefixtures("without_cloudpickle")
def test_without_cloudpickle_a_lambda_is_refused_with_what_would_help(context: Any, make_pool: Any) -> None:
    pool = make_pool(context)
    results = [pool.apply_async(lambda: 1), pool.map_async(lambda number: number, [1])]
    for result in results:
        with pytest.raises(Exception, match="lambda") as refusal:
            result.get(rig.LIMIT_S)
        assert any("threefold[cloudpickle]" in note for note in refusal.value.__notes__)
    assert pool.apply(abs, (-1,)) == 1

"""`run_in_executor` on our loops: results, errors and cancellation go both ways."""

import asyncio
import threading
import traceback
from concurrent import futures
from typing import Any

import pytest

from threefold.asyncio import EventLoop


def run(coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(asyncio.wait_for(coroutine, 30))


@pytest.fixture
def executor():
    with futures.ThreadPoolExecutor(1) as executor:
        yield executor


def test_results_come_from_the_loops_threads_and_from_an_executor(executor: Any) -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(chosen, divmod, 17, number) for number in (3, 5) for chosen in (None, executor)]
        return [*await asyncio.gather(*calls), await asyncio.to_thread(int, "7", base=8)]

    assert run(main()) == [(5, 2), (5, 2), (3, 2), (3, 2), 7]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ZeroDivisionError("text"), ZeroDivisionError),
        (futures.CancelledError("text"), asyncio.CancelledError),
        (futures.InvalidStateError("text"), asyncio.InvalidStateError),
        (TimeoutError("text"), TimeoutError),
    ],
)
def test_an_exception_comes_as_the_class_that_tasks_know(executor: Any, raised: Any, expected: Any) -> None:
    def fail() -> None:
        raise raised

    async def main() -> BaseException:
        with pytest.raises(expected, match="text") as caught:
            await asyncio.get_running_loop().run_in_executor(executor, fail)
        return caught.value

    error = run(main())
    assert type(error) is expected
    if error is raised:
        assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-1] == "fail"


def test_a_cancelled_wait_cancels_what_has_not_begun(executor: Any) -> None:
    begun, may_end = threading.Event(), threading.Event()
    calls = []

    def occupy() -> None:
        begun.set()
        may_end.wait(30)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = loop.run_in_executor(executor, occupy)
        second = loop.run_in_executor(executor, calls.append, "second")
        begun.wait(30)
        second.cancel()
        first.cancel()
        await asyncio.wait([first, second])
        assert first.cancelled()
        assert second.cancelled()
        may_end.set()
        await loop.run_in_executor(executor, calls.append, "third")

    run(main())
    assert calls == ["third"]


def test_what_an_executor_gives_up_is_cancelled() -> None:
    class Executor(futures.Executor):
        def submit(self, function: Any, /, *args: Any, **keywords: Any) -> Any:
            future: Any = futures.Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.get_running_loop().run_in_executor(Executor(), print)

    run(main())


def test_an_executor_that_ends_after_its_loop_disturbs_nobody(executor: Any, caplog: Any) -> None:
    may_end = threading.Event()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(executor, may_end.wait, 30)

    run(main())
    may_end.set()
    executor.shutdown(wait=True)
    assert not caplog.records


def test_after_its_shutdown_the_loops_own_executor_takes_nothing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, int)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="shutdown"):
            await loop.run_in_executor(None, int)

    run(main())

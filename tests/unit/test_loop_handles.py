"""Handles of our loops: what their attributes say, whatever way the engine keeps it."""

import asyncio
import gc
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import run

ARGUMENTS: list[tuple[Any, ...]] = [(), (1,), (None,), ((),), ((1, 2),), ([],), ("a",), (1, 2), tuple(range(9))]


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later"])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=repr)
def test_a_callback_gets_the_arguments_that_its_handle_shows(method: str, arguments: tuple[Any, ...]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        called: list[tuple[Any, ...]] = []
        delay = (0.0,) if method == "call_later" else ()

        def call(*given: Any) -> None:
            called.append(given)

        for asks in (False, True):
            handle = getattr(loop, method)(*delay, call, *arguments)
            if asks:
                assert handle._args == arguments
                assert handle._args is handle._args
            while not called:
                await asyncio.sleep(0)
            assert handle._args == arguments
            assert called.pop() == arguments
        handle = getattr(loop, method)(*delay, call, *arguments)
        handle.cancel()
        assert handle._args is None
        assert handle._callback is None
        for _ in range(3):
            await asyncio.sleep(0)
        assert called == []

    run(main())


def test_the_exception_of_a_callback_is_told_with_its_only_argument() -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.call_soon(fail, 17)
        loop.set_debug(False)
        loop.call_soon(fail, 18)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert "fail(17)" in loop.reported[0]["message"] or sys.version_info >= (3, 13)
        assert [context["exception"].args for context in loop.reported] == [(17,), (18,)]
        assert loop.reported[1]["handle"]._args == (18,)

    run(main())


def test_an_only_argument_ends_with_its_call() -> None:
    class Argument:
        pass

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for call in (loop.call_soon, loop.call_soon_threadsafe):
            argument = Argument()
            known = weakref.ref(argument)
            call(id, argument)
            del argument
            gc.collect()
            assert known() is not None
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert known() is None

    run(main())

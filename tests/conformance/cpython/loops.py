"""The event loop under test: a class of its own that counts its objects, put where tests take their loops from."""

from __future__ import annotations

import asyncio
import sys
from asyncio import unix_events
from importlib import import_module
from typing import Any

OURS = "threefold.asyncio:EventLoop"
STANDARD = "asyncio:SelectorEventLoop"
# The variable that tells the stand-in for uvloop, in the children of tests too, which loop is under test.
VARIABLE = "THREEFOLD_CONFORMANCE_LOOP"

_made: list[type] = []


def under_test(name: str) -> type:
    """Return a subclass of a loop class that counts what is made of it.

    Args:
        name: the loop class as `module:class`.
    """
    module, _, attribute = name.partition(":")
    base: Any = getattr(import_module(module), attribute)

    # A class and not a function, because tests ask whether a loop is an instance of `asyncio.SelectorEventLoop`.
    class LoopUnderTest(base):
        # Tests pass a selector, which a loop that is none of asyncio's knows nothing of.
        def __new__(cls, selector: object = None) -> Any:
            _made.append(cls)
            return base.__new__(cls)

        def __init__(self, selector: object = None) -> None:
            super().__init__()

    if not hasattr(base, "_default_executor"):
        # What every test of asyncio looks at in its end, to shut the executor down.
        LoopUnderTest._default_executor = None
    return LoopUnderTest


def install(name: str, package: str) -> None:
    """Make a loop class the one that a package makes its loops of, by whatever name; before the tests are imported.

    Args:
        name: the loop class as `module:class`.
        package: `asyncio`, or `uvloop`, whose stand-in has the loop under test already.
    """
    if package == "asyncio":
        _install_into_asyncio(under_test(name))
    elif name.partition(":")[0] == package:
        import uvloop

        uvloop.Loop = under_test(name)


def _install_into_asyncio(loop: type) -> None:
    # Not a policy of our own: the tests set the standard one again after each module.
    unix_events._UnixDefaultEventLoopPolicy._loop_factory = loop  # type: ignore[attr-defined]
    for module in (asyncio, unix_events):
        for public in ("SelectorEventLoop", "EventLoop"):
            if hasattr(module, public):
                setattr(module, public, loop)


def take_made() -> int:
    """Return how many loops under test this process has made since it was last asked."""
    count = len(_made)
    del _made[:count]
    return count


if __name__ == "__main__":
    under_test(sys.argv[1])().close()

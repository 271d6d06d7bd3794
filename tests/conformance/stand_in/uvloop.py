"""Stands in for uvloop where uvloop's own tests import it: the loop under test by uvloop's names, in every process."""

from __future__ import annotations

import asyncio
import os
from asyncio import unix_events
from collections.abc import Callable, Coroutine
from typing import Any

from cpython import loops, uvloop_source

# A module with a path is a package: the tests' helper, `uvloop._testbase`, is found there, and nothing else of uvloop.
__path__ = [os.environ[uvloop_source.VARIABLE]]

Loop = loops.under_test(os.environ[loops.VARIABLE])


def new_event_loop() -> Any:
    """Return a new loop under test."""
    return Loop()


class EventLoopPolicy(unix_events._UnixDefaultEventLoopPolicy):  # type: ignore[name-defined, misc]
    """The policy that makes loops under test."""

    _loop_factory = Loop


def run(
    main: Coroutine[Any, Any, Any], *, loop_factory: Callable[[], Any] = new_event_loop, debug: bool | None = None
) -> Any:
    """Run a coroutine on a loop under test."""
    with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
        return runner.run(main)

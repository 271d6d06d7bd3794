"""What the tests of processes share: each start method's context, and children that are started and must end well."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from threefold import multiprocessing
from threefold._threefold import waits_report

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs

METHODS = ["fork", "spawn", "forkserver"]


def context_of(method: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the context of a start method."""
    # The children need not import pytest, as the main program of their parent.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    return multiprocessing.get_context(method)


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Offer each start method's context."""
    return context_of(request.param, monkeypatch)


def run(context: Any, function: Any, *arguments: Any) -> Any:
    """Start a child that calls a function."""
    process = context.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def end(process: Any) -> None:
    """Wait for a child, which must end well."""
    process.join(programs.LIMIT_S)
    assert process.exitcode == 0


def new(name: str, *arguments: Any) -> Any:
    """Make an object for children that are forked."""
    return getattr(multiprocessing.get_context("fork"), name)(*arguments)


def until_it_waits(process: Any) -> None:
    """Return once the process's table shows a wait."""
    end = time.monotonic() + programs.LIMIT_S
    while time.monotonic() < end:
        try:
            if json.loads(waits_report(process.pid, True))["processes"][0]["waiting"]:
                return
        except (OSError, ValueError, LookupError):
            pass  # It has not waited for anything yet.
        time.sleep(0.005)
    pytest.fail("the process does not wait")

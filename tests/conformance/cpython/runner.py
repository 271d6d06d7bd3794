"""Runs one suite in a process of its own and writes what happened to each test, one JSON line a test."""

# ruff: noqa: N802, N815 - the methods of a TestResult have the names that unittest gives them.
from __future__ import annotations

import faulthandler
import fnmatch
import gc
import json
import resource
import sys
import threading
import time
import unittest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from test import support

from . import hits, loops, uvloop_contract
from .suites import SUITES, UVLOOP, Suite


class Recorder(unittest.TestResult):
    """A test result that writes each outcome at once, so that a killed process loses at most the test it was in.

    Args:
        file: where the lines go.
        test_seconds: a test that takes longer has the stacks of all its threads dumped, and ends the process.
        limits: patterns of tests that have another limit, each with its seconds.
    """

    def __init__(self, file: TextIO, test_seconds: float, limits: list[tuple[str, float]]) -> None:
        super().__init__()
        self.file = file
        self.test_seconds = test_seconds
        self.limits = limits
        self.outcome = "passed"
        self.text = ""
        self.begin = 0.0
        self.previous: unittest.TestCase | None = None

    def write(self, **fields: object) -> None:
        """Write one line."""
        self.file.write(json.dumps(fields) + "\n")
        self.file.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        """Say which test begins, and start its time limit."""
        super().startTest(test)
        if type(test) is not type(self.previous):
            self.look_behind()
        self.previous = test
        self.outcome, self.text = "passed", ""
        support.environment_altered = False
        self.begin = time.monotonic()
        self.write(start=test.id())
        own = (seconds for pattern, seconds in self.limits if fnmatch.fnmatchcase(test.id(), pattern))
        faulthandler.dump_traceback_later(next(own, self.test_seconds), exit=True)

    def stopTest(self, test: unittest.TestCase) -> None:
        """Write how the test ended."""
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        hits.add_type_under_test(test)
        if self.outcome == "failed":
            # A process that it started, and did not come to wait for, is reaped with its object, which the frames of the
            # failure keep. Else a later class finds it, and the one before that is blamed.
            gc.collect()
        is_altered = self.outcome == "passed" and support.environment_altered
        if is_altered:
            self.outcome, self.text = (
                "failed",
                "the test left a thread, a child process or an error behind (see the log)",
            )
        seconds, made = time.monotonic() - self.begin, loops.take_made()
        if made:
            hits.add("a loop under test")
        what = {"outcome": self.outcome, "text": self.text, "seconds": seconds, "loops": made, "altered": is_altered}
        self.write(id=test.id(), **what)
        support.environment_altered = False

    def look_behind(self) -> None:
        """Write that the fixtures of the class before have found threads, processes or objects which its tests left behind."""
        if self.previous is not None and support.environment_altered:
            name = f"{type(self.previous).__module__}.{type(self.previous).__qualname__}"
            self.write(id=f"after {name}", outcome="left behind", text="see the log")
        support.environment_altered = False

    def note(self, test: unittest.TestCase, outcome: str, text: str) -> None:
        """Keep an outcome for stopTest; errors of a whole class or module have no test to end."""
        self.outcome, self.text = outcome, text
        if not isinstance(test, unittest.TestCase):
            self.write(id=test.id(), outcome=outcome, text=text)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        """Keep an error."""
        self.note(test, "failed", self._exc_info_to_string(err, test))

    addFailure = addError

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        """Keep a failed part of a test as the test's failure."""
        if err is not None:
            self.note(test, "failed", f"{subtest.id()}\n{self._exc_info_to_string(err, test)}")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Keep the reason of a skipped test, unless a part of it has failed."""
        if self.outcome != "failed":
            self.note(test, "skipped", reason)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """A test that CPython expects to fail has passed."""
        self.note(test, "failed", "passed, although CPython marks it as an expected failure")


def prepare() -> None:
    """Import `queue` whole, since tests import parts of it, and put our RLock where its tests look for one."""
    import_module("queue")
    if hits.is_ours(threading.RLock):
        threading._CRLock = threading.RLock  # type: ignore[attr-defined]


class LowLevel(hits.Watched):
    """What a module sees as `_thread` while it is imported: the real one, with our locks."""

    def __init__(self) -> None:
        import _thread

        super().__init__("_thread")
        self.__dict__.update(vars(_thread))
        for name in ("allocate_lock", "allocate", "LockType", "lock"):
            if hasattr(_thread, name):
                setattr(self, name, threading.Lock)
        self.RLock = threading.RLock


def load(suite: Suite) -> unittest.TestSuite:
    """Import the suite's modules and collect their tests."""
    tests = unittest.TestSuite()
    for module in suite.present():
        real = sys.modules["_thread"]
        if suite.low_level and hits.is_ours(threading.Lock):
            sys.modules["_thread"] = LowLevel()
        try:
            import_module(module)
        except unittest.SkipTest:
            continue
        finally:
            sys.modules["_thread"] = real
        tests.addTests(unittest.defaultTestLoader.loadTestsFromName(module))
    if suite.group == UVLOOP:
        return unittest.TestSuite(test for test in flat(tests) if uvloop_contract.belongs(test, suite.loop_for))
    return tests


def flat(tests: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield the single tests in order."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def already_done(results: str) -> set[str]:
    """Return the ids of the tests whose outcome an earlier process has written."""
    lines = (json.loads(text) for text in Path(results).read_text(encoding="utf-8").splitlines())
    return {line["id"] for line in lines if "id" in line}


def main(order: str) -> None:
    """Run a suite without the tests that an earlier process has already done.

    Args:
        order: JSON: `suite`, its name; `results`, the file to which the lines are added; `test_seconds`, limit for one
            test; `only`, part of a test id, to run just some tests, empty for all; `identifiers`, exact ids, or null for all;
            `limits`, patterns of test ids that have another limit, each with its seconds; `loop`, the loop under test.
    """
    wanted = json.loads(order)
    faulthandler.enable()
    # A hung process is ended by a signal that writes its stacks, and would leave its memory in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    support.verbose = 0
    # Tests with many threads ask for the sum of their stacks as memory, of which they touch next to nothing.
    support.set_memlimit("6G")
    suite = next(suite for suite in SUITES if suite.name == wanted["suite"])
    done = already_done(wanted["results"])
    prepare()
    if suite.loop_for:
        loops.install(wanted["loop"], suite.loop_for)

    def unraisable(error: Any, show: Any = sys.unraisablehook) -> None:
        support.environment_altered = True
        show(error)

    sys.unraisablehook = unraisable
    with Path(wanted["results"]).open("a", encoding="utf-8") as file:
        recorder = Recorder(file, wanted["test_seconds"], wanted["limits"])
        selected = [
            (name, test)
            for name, test in ((test.id(), test) for test in flat(load(suite)))
            if suite.contains(name)
            and wanted["only"] in name
            and (wanted["identifiers"] is None or name in wanted["identifiers"])
        ]
        # A module may bind the same test twice.
        recorder.write(selected=len({name for name, _ in selected}))
        unittest.TestSuite(test for name, test in selected if name not in done).run(recorder)
        recorder.look_behind()
        recorder.write(end=True)
    # The interpreter's exit waits for threads, perhaps for ever.
    faulthandler.dump_traceback_later(wanted["test_seconds"], exit=True)

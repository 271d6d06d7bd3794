"""The demo says clearly what went wrong: a wrong exit code, a program that never ends, an engine that is not there."""

import runpy
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def demo():
    return runpy.run_path(str(SCRIPTS / "demo.py"))


def test_a_program_that_fails_is_shown_with_its_exit_code_and_its_last_words(demo):
    with pytest.raises(demo["DemoError"], match=r"(?s)exit code 3.*the last words"):
        demo["run"]([sys.executable, "-c", "import sys; print('the last words', file=sys.stderr); sys.exit(3)"], 30.0)


def test_a_program_that_never_ends_is_stopped_with_what_it_waits_for(demo):
    begin = time.monotonic()
    never = "import threading; threading.Event().wait()"
    with pytest.raises(demo["DemoError"], match=r"(?s)not done after 2 s, stopped.*Event\.wait"):
        demo["run"](demo["threefold"]("run", "-c", never), 2.0)
    assert time.monotonic() - begin < 50.0


def test_the_engine_is_there_before_anything_is_claimed(demo):
    demo["check_engine"]()
    demo["check_engine"].__globals__["threefold"] = lambda *arguments: [sys.executable, *arguments[1:]]
    with pytest.raises(demo["DemoError"], match="did not put its locks and queues in place"):
        demo["check_engine"]()


def test_each_note_is_about_an_example_that_is_there(demo):
    examples = SCRIPTS.parent / "examples"
    assert [name for name in demo["NOTES"] if not (examples / name).is_file()] == []

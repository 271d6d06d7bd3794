"""A program ends and leaves its pool to the interpreter's end: it ends in time, quietly, and leaves no process behind."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import pool_rig as rig

run_parent = rig.run_parent

ENDINGS = {
    "end_with_an_idle_pool": "[0, 1, 2, 3]",
    "end_with_a_new_pool": "there",
    "end_with_tasks": "busy",
    "end_with_a_half_read_imap": "[0, 1, 2]",
    "end_with_a_closed_pool": "[0, 1, 2, 3]",
    "end_in_atexit": "[0, 1, 2, 3]\njoined",
    "end_with_a_waiting_thread": "waiting",
    "end_in_a_task_of_its_own": "[0, 1, 2, 3]",
    "end_with_an_executor": "submitted",
}


def end(run_parent: Any, tmp_path: Path, name: str, method: str) -> tuple[int, str, str]:
    """Run a program to its end; return its exit code and what it has printed and complained of."""
    parent = run_parent(name, method)
    rig.until(lambda: parent.poll() is not None, "the end of the program")
    rig.until_gone(rig.pids(tmp_path))
    return parent.returncode, (tmp_path / "output").read_text().strip(), (tmp_path / "errors").read_text()


@pytest.mark.parametrize("method", rig.METHODS)
@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_ends_without_a_word_about_its_pool(run_parent: Any, tmp_path: Path, name: str, method: str) -> None:
    assert end(run_parent, tmp_path, name, method) == (0, ENDINGS[name], "")


def test_an_executor_does_what_was_submitted_before_the_end(run_parent: Any, tmp_path: Path) -> None:
    assert end(run_parent, tmp_path, "end_with_an_executor", "fork")[0] == 0
    assert len(rig.recorded(tmp_path)) == 4


def test_an_error_of_the_program_is_the_only_one_shown(run_parent: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    code, _, errors = end(run_parent, tmp_path, "end_by_an_error", "fork")
    assert (code, errors.count("Traceback")) == (1, 1)
    assert errors.rstrip().endswith("LookupError: mine")
    assert time.monotonic() - began < rig.LIMIT_S / 2


def test_a_forked_child_leaves_the_pool_of_its_parent_alone(run_parent: Any, tmp_path: Path) -> None:
    code, output, errors = end(run_parent, tmp_path, "end_in_a_forked_child", "fork")
    kept = ["[0, 1, 2, 3]", *[f"{way} 0 [0, 1, 2, 3]" for way in ("exits", "forgets", "terminates", "uses")], "True"]
    assert (code, output.splitlines()) == (0, kept), errors
    assert "Traceback" not in errors

"""Type checkers see in our modules what the other files of this folder say."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="the types are checked where mypy is installed")

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ["crawling", "drop_in", "processes", "tasks", "refused"]


@pytest.mark.timeout(300)
def test_programs_are_typed_as_they_would_be_with_the_standard_library() -> None:
    files = [f"tests/typing/{program}.py" for program in PROGRAMS]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_can_be_run(program: str) -> None:
    compiled = compile((ROOT / "tests" / "typing" / f"{program}.py").read_text(), f"{program}.py", "exec")
    exec(compiled, {"__name__": program})

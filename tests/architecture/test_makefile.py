"""`make help` lists every target, and every target that the documentation names exists."""

import re
import subprocess
from typing import Any

EXPECTED = {"help", "demo", "build", "test", "bench", "lint", "fmt", "docs", "conformance", "stress", "check"}


def targets(project: Any) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (project.root / "Makefile").read_text(), re.MULTILINE))


def test_help_lists_every_target(project: Any) -> None:
    shown = subprocess.run(["make", "--no-print-directory", "help"], cwd=project.root, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert set(re.findall(r"^  make (\S+)", shown.stdout, re.MULTILINE)) == targets(project)


def test_the_targets_that_people_expect_are_there(project: Any) -> None:
    assert targets(project) >= EXPECTED


def test_the_documentation_names_existing_targets_only(project: Any) -> None:
    known = targets(project)
    for page in project.files(".md"):
        named = set(re.findall(r"`make ([a-z-]+)[^`]*`", page.read_text()))
        assert named <= known, project.name(page)

"""Runs every program of the README and the documentation, and compares the output the pages show.

A comment on the line before a fenced block says what the block is:

    <!-- from examples/NAME.py -->        it stands word for word in that file (which test_examples runs)
    <!-- output of examples/NAME.py -->   it is what that program prints
    <!-- output -->                       it is what the program before it on the page prints
    <!-- compare -->                      a console block: its `$` lines are run, the rest is what they print
    <!-- like threefold waits on examples/stuck.py -->   a capture: the same but for numbers, order and paths
    <!-- not run: REASON -->              it can't be run here

A python block without a comment is a program of its own and must end well.
"""

import functools
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT = 60.0  # seconds for one block
PAGES = [
    *sorted(ROOT.glob("README*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "examples" / "README.md",
]
FENCE = re.compile(
    r"(?:<!-- (?P<mark>[^>]*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    mark: str
    language: str
    text: str
    program_before: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    source = page.read_text(encoding="utf-8")
    found: list[Block] = []
    program = ""
    for match in FENCE.finditer(source):
        line = source.count("\n", 0, match.start("text"))
        block = Block(
            page.relative_to(ROOT).as_posix(), line, match["mark"] or "", match["language"], match["text"], program
        )
        found.append(block)
        if block.language == "python":
            program = block.text
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks_where(condition):
    """Parametrises a test with the blocks that fulfil a condition."""
    return pytest.mark.parametrize("block", [block for block in BLOCKS if condition(block)], ids=str)


@functools.cache
def what_prints(path: Path) -> str:
    """What plain Python prints when it runs the program in a file."""
    done = subprocess.run(
        [sys.executable, path], cwd=ROOT, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@functools.cache
def what_program_prints(program: str) -> str:
    """What a program of a page prints, saved to a file as its reader would (children that are not forked load it)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program.py")
        path.write_text(program, encoding="utf-8")
        return what_prints(path)


@pytest.fixture(scope="session")
def shell_environment(tmp_path_factory):
    """An environment in which `python` and `threefold` are those under test."""
    folder = tmp_path_factory.mktemp("bin")
    for name, command in [("python", sys.executable), ("threefold", f"{sys.executable} -m threefold")]:
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_each_mark_is_one_that_is_known():
    known = re.compile(r"|from examples/\w+\.py|output of examples/\w+\.py|output|compare|like .+|not run: .+")
    assert [f"{block}: {block.mark}" for block in BLOCKS if not known.fullmatch(block.mark)] == []


@blocks_where(lambda block: block.mark.startswith("from "))
def test_a_quoted_program_stands_in_its_file(block):
    assert block.text in (ROOT / block.mark.removeprefix("from ")).read_text(encoding="utf-8")


@blocks_where(lambda block: block.language == "python" and not block.mark)
def test_a_program_of_a_page_runs(block):
    what_program_prints(block.text)


@blocks_where(lambda block: block.mark == "output")
def test_a_page_shows_what_its_program_prints(block):
    assert what_program_prints(block.program_before) == block.text


@blocks_where(lambda block: block.mark.startswith("output of "))
def test_a_page_shows_what_an_example_prints(block):
    assert what_prints(ROOT / block.mark.removeprefix("output of ")) == block.text


@blocks_where(lambda block: block.mark == "compare")
def test_a_console_block_shows_what_its_commands_print(block, shell_environment):
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=shell_environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIME_LIMIT,
            check=False,
        )
        assert done.stdout == shown


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name.endswith(".zh-CN.md")], ids=lambda page: page.name
)
def test_both_languages_show_the_same_programs(page):
    english = page.with_name(page.name.replace(".zh-CN", ""))
    programs = [block.text for block in blocks_of(page) if block.language == "python"]
    assert programs == [block.text for block in blocks_of(english) if block.language == "python"]


def test_each_page_of_the_tutorial_is_there_in_both_languages():
    pages = {path.name for path in (ROOT / "docs" / "tutorial").glob("*.md")}
    english = {name for name in pages if not name.endswith(".zh-CN.md")}
    assert {name.replace(".md", ".zh-CN.md") for name in english} == pages - english

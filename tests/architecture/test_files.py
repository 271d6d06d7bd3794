"""The shape of the files: their size, their names, and a first line that says what each is for."""

import re
from pathlib import Path
from typing import Any

import pytest

LARGEST = 500
SOURCES = (".rs", ".py", ".pyi", ".toml", ".sh", "Makefile", ".ci/run")
# Names that say nothing about what is inside.
EMPTY_NAMES = {"util", "utils", "common", "helper", "helpers", "misc", "base", "core", "types", "manager"}
# The standard library's own name.
FORCED = {"python/threefold/multiprocessing/util.py", "python/threefold/multiprocessing/util.pyi"}


def test_no_file_has_more_than_500_lines(project: Any) -> None:
    sizes = {project.name(path): len(path.read_text().splitlines()) for path in project.files(*SOURCES)}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}


def test_no_module_has_an_empty_name(project: Any) -> None:
    named = [project.name(path) for path in project.files(".rs", ".py", ".pyi")]
    parts = {name: {part.split(".")[0].strip("_") for part in Path(name).parts} for name in named}
    assert [name for name, words in parts.items() if words & EMPTY_NAMES and name not in FORCED] == []


def test_every_rust_file_begins_with_what_it_is_for(project: Any) -> None:
    head = re.compile(r"(#!\[[^\n]*\]\n)*//! \S")
    assert [project.name(path) for path in project.files(".rs") if not head.match(path.read_text())] == []


def test_every_python_file_begins_with_what_it_is_for(project: Any) -> None:
    head = re.compile(r'(#![^\n]*\n)?(r?"""\S|# |$)')
    assert [project.name(path) for path in project.files(".py", ".pyi") if not head.match(path.read_text())] == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_nothing_is_left_for_later(project: Any, word: str) -> None:
    files = [path for path in project.files(".rs", ".py", ".pyi", ".md") if path != Path(__file__).resolve()]
    assert [project.name(path) for path in files if re.search(rf"\b{word}\b", path.read_text())] == []

"""The floors of the architecture: Python is named in the binding only, and unsafe code has two places."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

# Strings and comments may speak of anything; what is left is code.
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|"(?:\\.|[^"\\])*"', re.DOTALL)
UNSAFE = re.compile(r"\bunsafe\b")

# The only crates that may hold unsafe code, and where in them it may be.
UNSAFE_PLACES = ("crates/sys/src/", "binding/src/ffi.rs", "binding/src/ffi/")


def code(path: Path) -> str:
    return NOT_CODE.sub(" ", path.read_text())


def crates(project: Any) -> list[Path]:
    return sorted(manifest.parent for manifest in (project.root / "crates").glob("*/Cargo.toml"))


def test_the_crates_know_nothing_of_python(project: Any) -> None:
    named = [project.name(path) for path in project.files(".rs", under="crates") if re.search(r"\bpyo3", code(path))]
    assert named == []


def test_no_crate_depends_on_pyo3(project: Any) -> None:
    for crate in crates(project):
        manifest = tomllib.loads((crate / "Cargo.toml").read_text())
        tables = [manifest, *manifest.get("target", {}).values()]
        kinds = ("dependencies", "dev-dependencies", "build-dependencies")
        names = {name for table in tables for kind in kinds for name in table.get(kind, {})}
        assert not {name for name in names if name.startswith("pyo3")}, crate.name


def test_unsafe_code_is_where_the_architecture_allows_it(project: Any) -> None:
    strays = [
        project.name(path)
        for path in project.files(".rs")
        if UNSAFE.search(code(path)) and not project.name(path).startswith(UNSAFE_PLACES)
    ]
    explained = "".join(page.read_text() for page in project.files(".md", under="docs"))
    # A measured gain may have a third place: a file `raw.rs` with a page of its own under docs/design.
    assert [name for name in strays if not (name.endswith("/raw.rs") and name in explained)] == []


def test_every_other_crate_forbids_unsafe_code(project: Any) -> None:
    for crate in crates(project):
        if crate.name == "sys" or any(crate.rglob("raw.rs")):
            continue
        assert "#![forbid(unsafe_code)]" in (crate / "src" / "lib.rs").read_text(), crate.name


@pytest.mark.parametrize("name", ["sys", "trace", "wait", "sync", "shared_memory", "pool", "crawl"])
def test_a_crate_uses_only_the_floors_below_it(project: Any, name: str) -> None:
    floors = {
        "trace": ["sys"],
        "wait": ["sys", "trace"],
        "sync": ["sys", "trace", "wait"],
        "shared_memory": ["sys", "trace", "wait"],
        "pool": ["sys", "trace", "wait", "shared_memory"],
    }
    below = floors.get(name, [])
    manifest = tomllib.loads((project.root / "crates" / name / "Cargo.toml").read_text())
    ours = [crate for crate in manifest["dependencies"] if crate.startswith("threefold-")]
    used = {crate.removeprefix("threefold-").replace("-", "_") for crate in ours}
    assert used <= set(below)

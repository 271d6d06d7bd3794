"""Runs the test suites of other projects, from their sdists, against our parts that stand in for theirs.

A suite gets an environment of its own under `target/peer-suites`, made with pip by the first run. What can't be had (no network,
no compiler for a dependency) makes the test skip with the reason.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CACHE = REPOSITORY / "target" / "peer-suites"
PIP_SECONDS = 600
RUN_SECONDS = 900


class Unavailable(Exception):
    """The suite, or something that it needs, can't be had here."""


@dataclass(frozen=True)
class Suite:
    """A project's tests.

    Attributes:
        name: the project.
        version: its version.
        sha256: of its sdist.
        needs: what its tests need besides the project itself.
    """

    name: str
    version: str
    sha256: str
    needs: tuple[str, ...]

    def folder(self) -> Path:
        """The unpacked sdist, fetched if no run has done so before."""
        kept = CACHE / f"{self.name}-{self.version}"
        if not kept.is_dir():
            CACHE.mkdir(parents=True, exist_ok=True)
            archive = self._download()
            with tarfile.open(archive) as opened:
                opened.extractall(CACHE, filter="data")
        return kept

    def python(self) -> Path:
        """An interpreter that has the project and what its tests need."""
        place = CACHE / f"{self.name}-{self.version}-py{sys.version_info.major}.{sys.version_info.minor}"
        python = place / "bin" / "python"
        done = place / "done"
        if not done.exists():
            _run([sys.executable, "-m", "venv", str(place)])
            _run([str(python), "-m", "pip", "install", "--quiet", f"{self.name}=={self.version}", *self.needs])
            done.touch()
        return python

    def _download(self) -> Path:
        requirement = f"{self.name}=={self.version}"
        _run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", requirement,
             "--dest", str(CACHE)]
        )  # fmt: skip
        archive = CACHE / f"{self.name}-{self.version}.tar.gz"
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != self.sha256:
            raise Unavailable(f"the sdist of {requirement} is not the one that this test knows (SHA-256 {digest})")
        return archive


@dataclass(frozen=True)
class Outcome:
    """What became of a run: names of tests, from `tests/` on."""

    passed: frozenset[str]
    failed: frozenset[str]
    output: str


def run(suite: Suite, *arguments: str, variables: dict[str, str] | None = None) -> Outcome:
    """Run tests of a suite with our package in front.

    Args:
        suite: whose tests.
        *arguments: of pytest: files and options.
        variables: more environment variables.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "python"), str(HERE)]),
        **(variables or {}),
    }
    environment.pop("PYTEST_ADDOPTS", None)
    command = [str(suite.python()), "-m", "pytest", "-rA", "--tb=short", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=suite.folder(), env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    lines = re.findall(r"^(PASSED|FAILED|ERROR) (?:tests/)?(\S+::.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    passed = frozenset(name for result, name in lines if result == "PASSED")
    failed = frozenset(name for result, name in lines if result != "PASSED")
    return Outcome(passed, failed, done.stdout + done.stderr)


def listed(file: str) -> dict[str, str]:
    """The tests that are expected to fail, or that we leave out, with the reason for each.

    Args:
        file: the list's name in this folder.
    """
    groups = tomllib.loads((HERE / file).read_text())["expected"]
    return {name: group["reason"] for group in groups for name in group["tests"]}


def unexpected(failed: frozenset[str], expected: dict[str, str]) -> list[str]:
    """The failures that are not on the list; a name without parameters stands for all of them."""
    return sorted(name for name in failed if name not in expected and name.split("[")[0] not in expected)


def outdated(outcome: Outcome, expected: dict[str, str]) -> list[str]:
    """The names on the list that no test of the run failed under."""
    known = {name for test in outcome.failed for name in (test, test.split("[")[0])}
    return sorted(set(expected) - known)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise Unavailable(f"{' '.join(command[:4])} failed: {lines[-1]}")

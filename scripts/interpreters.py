"""Finds the Python interpreters of this machine that threefold can be built for and tested on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 15)
# Looked for by name; of others, only the one that runs this script is taken.
GATED = ((3, 11), (3, 12), (3, 13))

PROBE = """
import json, os, sys
try:
    import ensurepip, venv
    problem = None
except ImportError as error:
    problem = f"it has no {error.name} (on Debian: apt-get install python3-venv)"
print(json.dumps({"version": list(sys.version_info[:3]), "path": os.path.realpath(sys.executable), "problem": problem}))
"""


@dataclass(frozen=True)
class Interpreter:
    """One Python that can make environments."""

    version: tuple[int, int, int]
    path: str

    @property
    def minor(self) -> str:
        """The version as environments are named by it, such as `3.12`."""
        return f"{self.version[0]}.{self.version[1]}"

    def __str__(self) -> str:
        return f"Python {'.'.join(map(str, self.version))} ({self.path})"


class InterpreterError(Exception):
    """Says in a sentence why a command is no Python to build for."""


def probe(command: str) -> Interpreter:
    """Ask an interpreter for its version and its real path.

    Args:
        command: a path, or a name on PATH.

    Raises:
        InterpreterError: where the command does not run, is too old or too new, or cannot make environments.
    """
    try:
        # Without the caller's environment variables a build started inside a virtual environment sees the same Python.
        answer = subprocess.run([command, "-I", "-c", PROBE], capture_output=True, text=True, timeout=60, check=True)
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InterpreterError(f"{command} does not run: {error}") from error
    major, minor, patch = facts["version"]
    if not OLDEST <= (major, minor) <= NEWEST:
        raise InterpreterError(
            f"{command} is Python {major}.{minor}; threefold supports 3.{OLDEST[1]} to 3.{NEWEST[1]}"
        )
    if facts["problem"]:
        raise InterpreterError(f"{command} (Python {major}.{minor}) cannot make environments: {facts['problem']}")
    return Interpreter((major, minor, patch), facts["path"])


def candidates() -> Iterator[str]:
    """Name every command that may be one of the gated Pythons, this one first."""
    yield sys.executable
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for major, minor in GATED:
        for folder in folders:
            yield str(folder / f"python{major}.{minor}")
        for release in sorted(versions.glob(f"{major}.{minor}.*")):
            yield str(release / "bin" / "python3")
    for folder in folders:
        yield str(folder / "python3")


def found() -> list[Interpreter]:
    """Return the newest patch release of each gated Python, oldest first.

    The Python that runs this stands for its own minor version, whatever its patch.

    Raises:
        InterpreterError: where not even the Python that runs this script can be used.
    """
    newest: dict[str, Interpreter] = {}
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    for command in dict.fromkeys(candidates()):
        if not os.access(command, os.X_OK):
            continue
        try:
            interpreter = probe(command)
        except InterpreterError:
            # A version manager's stand-in for a Python that is not selected, or one without venv.
            continue
        known = newest.get(interpreter.minor)
        if known is None or (interpreter.minor != this and interpreter.version > known.version):
            newest[interpreter.minor] = interpreter
    if not newest:
        probe(sys.executable)
        raise InterpreterError("no Python of 3.11 or later with venv was found")
    return sorted(newest.values(), key=lambda interpreter: interpreter.version)


if __name__ == "__main__":
    for each in found():
        print(each)

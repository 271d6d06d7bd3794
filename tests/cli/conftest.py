"""An environment in which threefold is installed, one in which it is only on the path, and the comparison of both runs."""

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import threefold

PACKAGE = Path(threefold.__file__).parent
TREE = PACKAGE.parent
START_UP_FILES = Path(__file__).resolve().parents[2] / "python" / "threefold.data" / "platlib"
# Shorter than that of a test, which can say less.
TIME_LIMIT = 40.0

# Every program says through it, in each process, what its classes are; so both runs can print the same.
PROOF = """\
import os, queue, threading

def prove(label, path=None):
    homes = {type(threading.Lock()).__module__, queue.Queue.__module__}
    count = sum(home.partition(".")[0] == "threefold" for home in homes)
    engine = "engine" if count == len(homes) else "mixed" if count else "standard"
    file = os.open(path or os.environ["PROOF"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{label} {engine}\\n".encode())
    os.close(file)
"""


@dataclass
class Outcome:
    """What a program printed, how it ended, and which engine each of its processes had."""

    stdout: str
    stderr: str
    code: int
    engines: dict[str, str] = field(default_factory=dict)


@dataclass
class Environment:
    """A Python with its own site-packages.

    Args:
        folder: where programs lie and run.
        python: the interpreter's path.
        site_packages: where start-up files lie.
        variables: the processes' environment.
    """

    folder: Path
    python: str
    site_packages: Path
    variables: dict[str, str]

    def write(self, name: str, text: str) -> Path:
        """Write a file of the program, making its folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, arguments: Sequence[str], stdin: str = "", **variables: str) -> Outcome:
        """Run the interpreter and wait for its end, at most `TIME_LIMIT` seconds."""
        proof = self.folder / "proof.txt"
        proof.unlink(missing_ok=True)
        done = subprocess.run(
            [self.python, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**self.variables, "PROOF": str(proof), **variables},
            timeout=TIME_LIMIT,
            check=False,
        )
        lines = proof.read_text().splitlines() if proof.exists() else []
        return Outcome(done.stdout, done.stderr, done.returncode, dict(line.rsplit(" ", 1) for line in lines))

    def threefold(self, *arguments: str, stdin: str = "", **variables: str) -> Outcome:
        """Run the `threefold` command."""
        return self.run(["-m", "threefold", *arguments], stdin, **variables)

    def assert_same(self, *arguments: str, stdin: str = "", engines: set[str], **variables: str) -> Outcome:
        """Run the program plainly and by `threefold run`, and compare all that can be seen of it.

        Args:
            arguments: what comes after `python` and after `threefold run`.
            stdin: what the program reads.
            engines: the labels that the program proves; all of them must be on the engine, and none in plain Python.
            variables: more of the processes' environment.

        Returns:
            The outcome under `threefold run`.
        """
        plain = self.run(arguments, stdin, **variables)
        ours = self.threefold("run", *arguments, stdin=stdin, **variables)
        assert (ours.stdout, ours.stderr, ours.code) == (plain.stdout, plain.stderr, plain.code)
        assert plain.engines == dict.fromkeys(engines, "standard"), plain.stderr
        assert ours.engines == dict.fromkeys(engines, "engine"), ours.stderr
        return ours


def _make(folder: Path, *, is_installed: bool) -> Environment:
    home = folder / "environment"
    venv.create(home, symlinks=True, with_pip=False)
    site_packages = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site_packages / "proof.py").write_text(PROOF)
    tools = _link_tools(folder / "tools")
    if is_installed:
        (site_packages / "threefold.pth").write_text(f"{TREE}\n{tools}\n")
        for file in START_UP_FILES.iterdir():
            (site_packages / file.name).write_text(file.read_text())
        metadata = site_packages / "threefold-0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: threefold\nVersion: 0\n")
        (metadata / "entry_points.txt").write_text("[pytest11]\nthreefold = threefold.pytest_plugin\n")
        # Of a plugin's files pytest rewrites the assertions, with a loader of its own.
        (metadata / "RECORD").write_text("".join(f"threefold/{file.name},,\n" for file in PACKAGE.glob("*.py")))
    else:
        (site_packages / "tools.pth").write_text(f"{tools}\n")
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "THREEFOLD", "COV", "PYTEST"))
    }
    if not is_installed:
        variables["PYTHONPATH"] = str(TREE)
    programs = folder / "programs"
    programs.mkdir()
    return Environment(programs, str(home / "bin" / "python"), site_packages, variables)


def _link_tools(folder: Path) -> Path:
    # The tests' own tools (pytest, coverage) without the start-up files and the threefold that lie beside them.
    folder.mkdir()
    for file in Path(pytest.__file__).resolve().parents[1].iterdir():
        if file.suffix != ".pth" and not file.name.startswith("threefold"):
            (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="session")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return _make(tmp_path_factory.mktemp("installed"), is_installed=True)


@pytest.fixture(scope="session")
def _on_path(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return _make(tmp_path_factory.mktemp("on_path"), is_installed=False)


def _in_folder(environment: Environment, folder: Path) -> Environment:
    return Environment(folder, environment.python, environment.site_packages, environment.variables)


@pytest.fixture
def installed(_installed: Environment, tmp_path: Path) -> Environment:
    """Give a Python whose site-packages has threefold and its start-up files."""
    return _in_folder(_installed, tmp_path)


@pytest.fixture
def on_path(_on_path: Environment, tmp_path: Path) -> Environment:
    """Give a Python that finds threefold by PYTHONPATH only."""
    return _in_folder(_on_path, tmp_path)

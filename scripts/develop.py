"""Makes an environment for each Python, with the tools and the engine built into it; quick when nothing has changed."""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import interpreters
from interpreters import Interpreter

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venvs"
PACKAGE = ROOT / "python" / "threefold"
# What a rebuild depends on, next to the interpreter and the profile. Python files need none: the install is editable.
ENGINE_SOURCES = (
    "Cargo.toml",
    "Cargo.lock",
    "pyproject.toml",
    "binding/**/*",
    "crates/**/*",
    "python/threefold.data/**/*",
)
# For edit cycles: the release's optimisations without the whole-program link, which takes most of the time.
QUICK = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}


class Environment:
    """One virtual environment and what was last put into it."""

    def __init__(self, folder: Path, interpreter: Interpreter) -> None:
        self.folder = folder
        self.interpreter = interpreter
        self.python = folder / "bin" / "python"
        self.record = folder / "threefold-develop.json"

    def recorded(self) -> dict[str, object]:
        """Return the fingerprints of the last successful run, none for a new environment."""
        try:
            record = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return {}
        return dict(record) if self.is_alive(record) else {}

    def is_alive(self, record: dict[str, object]) -> bool:
        """True where the environment was made by the same interpreter and still runs."""
        if record.get("interpreter") != str(self.interpreter):
            return False
        try:
            subprocess.run([self.python, "-I", "-c", "pass"], check=True, capture_output=True)
        except (OSError, subprocess.SubprocessError):
            return False
        return True

    def equip(self, groups: list[str]) -> None:
        """Bring the environment itself and its tools up to date.

        Args:
            groups: the dependency groups of `pyproject.toml` to install.

        Raises:
            subprocess.CalledProcessError: where a step fails; its own output says why.
        """
        record = self.recorded()
        if not record:
            print(f"{self.folder}: new environment of {self.interpreter}", flush=True)
            subprocess.run([self.interpreter.path, "-m", "venv", "--clear", self.folder], check=True)
            record = {"interpreter": str(self.interpreter)}
            self.save(record)
        tools = requirements(groups)
        if not set(tools) <= set(as_texts(record.get("tools"))):
            print(f"{self.folder}: installing {', '.join(tools)}", flush=True)
            self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *tools)
            self.save(record | {"tools": sorted({*tools, *as_texts(record.get("tools"))})})

    def build(self, *, quick: bool) -> None:
        """Bring the engine in the environment up to date.

        Args:
            quick: without the whole-program link.

        Raises:
            subprocess.CalledProcessError: where the build fails; its own output says why.
        """
        record = self.recorded()
        sources = fingerprint(quick=quick)
        if record.get("engine") != [sources, extension_state(self.tag())]:
            print(f"{self.folder}: building the engine{' (quick)' if quick else ''}", flush=True)
            self.compile(quick=quick)
            self.save(record | {"engine": [sources, extension_state(self.tag())]})
        print(f"{self.folder}: ready", flush=True)

    def compile(self, *, quick: bool) -> None:
        """Build the extension and install the package as editable."""
        # A cargo folder for each Python: the binding's build depends on the interpreter, and would start anew each time.
        target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
        kind = "-quick" if quick else ""
        target = target / f"py{self.interpreter.minor}{kind}"
        begin_with_another(target, f"py[0-9].[0-9]*[0-9]{kind}")
        settings = {"CARGO_TARGET_DIR": str(target.absolute()), "VIRTUAL_ENV": str(self.folder)}
        profile = QUICK if quick else {}
        self.run("-m", "maturin", "develop", "--release", "--quiet", settings=settings | profile)

    def run(self, *arguments: str, settings: dict[str, str] | None = None) -> None:
        """Run this environment's Python with some arguments, from the root of the project."""
        subprocess.run([self.python, *arguments], cwd=ROOT, env=os.environ | (settings or {}), check=True)

    def tag(self) -> str:
        """Return the middle of the extension's file name, such as `cpython-312-`."""
        return f"cpython-{self.interpreter.minor.replace('.', '')}"

    def save(self, record: dict[str, object]) -> None:
        """Write down what is installed now."""
        self.record.write_text(json.dumps(record))


def begin_with_another(target: Path, pattern: str) -> None:
    """Fill a new cargo folder from one that was made for another Python: only the binding differs, not what it stands on.

    Args:
        target: the folder, which may exist.
        pattern: the names of the others beside it.
    """
    others = [] if target.exists() else sorted(target.parent.glob(pattern), key=lambda other: other.stat().st_mtime)
    if others:
        making = target.with_name(f"{target.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        # With the times of the files, by which cargo knows what is done.
        shutil.copytree(others[-1], making, symlinks=True)
        making.rename(target)


def as_texts(value: object) -> list[str]:
    """Return a recorded list as strings, an empty one where nothing was recorded."""
    return [str(item) for item in value] if isinstance(value, list) else []


def requirements(groups: list[str]) -> list[str]:
    """Read dependency groups from `pyproject.toml` (pip reads them itself only from 25.1 on).

    Args:
        groups: names of groups.
    """
    with (ROOT / "pyproject.toml").open("rb") as stream:
        declared = tomllib.load(stream)["dependency-groups"]
    return [requirement for group in groups for requirement in declared[group]]


def engine_files() -> Iterator[Path]:
    """Yield each file that the extension is built from."""
    for pattern in ENGINE_SOURCES:
        yield from (path for path in sorted(ROOT.glob(pattern)) if path.is_file())


def fingerprint(*, quick: bool) -> str:
    """Return a hash of everything that the extension is built from.

    Args:
        quick: the profile is part of it.
    """
    digest = hashlib.sha256(b"quick" if quick else b"release")
    for path in engine_files():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def extension_state(tag: str) -> str:
    """Describe the built extension: two environments of one version share the file, and each must notice a build by the other.

    Args:
        tag: the Python it is for.
    """
    files = [(path.name, path.stat()) for path in sorted(PACKAGE.glob(f"_threefold.{tag}-*.so"))]
    return " ".join(f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in files)


def main() -> int:
    """Prepare the environments that the command line names, all gated Pythons by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", nargs="*", help="interpreters to build for (default: each of 3.11, 3.12, 3.13 found)")
    parser.add_argument("--venv", type=Path, help="the environment's folder, for one interpreter (default: .venvs/X.Y)")
    parser.add_argument("--group", action="append", help="a dependency group to install (default: build, test, lint)")
    parser.add_argument("--tools-only", action="store_true", help="install the groups, build no engine")
    parser.add_argument("--quick", action="store_true", help="a faster build of a slower engine, for edit cycles")
    arguments = parser.parse_args()
    try:
        chosen = [interpreters.probe(command) for command in arguments.python] or interpreters.found()
        if arguments.venv and len(chosen) != 1:
            parser.error("--venv needs exactly one interpreter")
        for interpreter in chosen:
            folder = arguments.venv or ENVIRONMENTS / interpreter.minor
            environment = Environment(folder.absolute(), interpreter)
            environment.equip(arguments.group or ["build", "test", "lint"])
            if not arguments.tools_only:
                environment.build(quick=arguments.quick)
    except interpreters.InterpreterError as reason:
        print(f"develop: {reason}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as failure:
        command = " ".join(map(str, failure.cmd))
        print(f"develop: this command failed with exit code {failure.returncode}: {command}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

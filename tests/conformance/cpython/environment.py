"""Makes the virtual environment whose every process, also one started with `-I`, runs the conformance boot first."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
# What activates threefold in every process of an environment.
ACTIVATION = "import cpython.boot; cpython.boot.start()"
# What is asked of an interpreter: the parts that `threefold run` replaces, and which of the types after it are threefold's own.
QUESTION = """
import importlib, json, sys
from threefold._parts import PARTS
def is_ours(subject):
    module, name = subject.split(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        return False
    return getattr(found, "__module__", "").split(".")[0] == "threefold"
print(json.dumps([",".join(PARTS), [subject for subject in sys.argv[1:] if is_ours(subject)]]))
"""


def package_folder() -> Path:
    """Return the folder that holds the package `threefold`: the installed one's, else the repository's."""
    spec = importlib.util.find_spec("threefold")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve().parent
    return REPOSITORY / "python"


def make(folder: Path, package: Path, start: str = "", more: list[Path] | None = None) -> Path:
    """Make the environment and return its interpreter.

    Args:
        folder: an empty folder.
        package: folder that holds `threefold`.
        start: statement that every process of the environment executes first; without it, the standard library is as it is.
        more: folders with packages that its processes can import.
    """
    # Not `venv.create` with pip: nothing is installed, the .pth file below is the whole contents.
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    interpreter = folder / "bin" / "python"
    site = subprocess.run(
        [interpreter, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout.strip()  # fmt: skip
    lines = [str(package), str(HERE.parent), *map(str, more or []), start]
    Path(site, "threefold_conformance.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return interpreter


def abilities(interpreter: Path, subjects: list[str]) -> tuple[str, set[str]]:
    """Return the parts that the package can put into the standard library, and which of some types are its own.

    Args:
        interpreter: the one with the conformance boot.
        subjects: types as `module:name`.

    Raises:
        RuntimeError: the package cannot be imported there; says why.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("THREEFOLD")}
    command = [interpreter, "-I", "-c", QUESTION, *subjects]
    child = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    if child.returncode:
        raise RuntimeError(child.stderr.strip()[-2000:])
    parts, present = json.loads(child.stdout)
    return parts, set(present)


def suite_variables(hits: Path, temporary: Path, parts: str) -> dict[str, str]:
    """Return the environment variables of a suite: those of this process without Python's and threefold's own.

    Args:
        hits: file of the hit counter.
        temporary: folder for temporary files.
        parts: what is to be replaced; without effect where nothing is activated.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "THREEFOLD", "VIRTUAL_ENV"))
    }
    return kept | {"THREEFOLD_RUN": parts, "THREEFOLD_CONFORMANCE_HITS": str(hits), "TMPDIR": str(temporary)}


def fault(interpreter: Path, parts: str) -> str:
    """Return what is wrong with an isolated child process (an error, a type that is not ours); empty if all is well."""
    code = (
        "import threading, queue; print(threading.Lock.__module__.split('.')[0], queue.Queue.__module__.split('.')[0])"
    )
    variables = os.environ | {"THREEFOLD_RUN": parts, "THREEFOLD_VERBOSE": "1"}
    child = subprocess.run([interpreter, "-I", "-c", code], env=variables, capture_output=True, text=True, timeout=60)
    return "" if child.stdout == "threefold threefold\n" else (child.stdout + child.stderr).strip()[-2000:]


def has_suites() -> bool:
    """Tell whether this interpreter comes with CPython's tests; some distributions package them apart."""
    return (
        importlib.util.find_spec("test.lock_tests") is not None
        and importlib.util.find_spec("test.test_queue") is not None
    )


def version() -> str:
    """Return the running version as `expected.toml` writes it, such as "3.13"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"

"""Fetches uvloop's own tests, which are in its sdist alone, and makes them importable for the processes of a run."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from . import environment, loops

VERSION = "0.23.0"
SHA256 = "28d160f51ab4da3b187063652e643dea6831072add4adc1e6d62afbe73b6be27"
CACHE = environment.REPOSITORY / "target" / "conformance"
STAND_IN = environment.HERE.parent / "stand_in"
# Where the stand-in for uvloop finds the modules of uvloop that the tests use.
VARIABLE = "THREEFOLD_CONFORMANCE_UVLOOP"
# What the tests import; without one of them, some would be skipped.
NEEDED = ("aiohttp", "OpenSSL", "psutil")
DOWNLOAD_SECONDS = 300


class Unavailable(Exception):
    """The tests, or something that they need, cannot be had here; says what, and how to get it."""


def folder() -> Path:
    """Return the folder of the tests, fetched with pip if no run has done so before.

    Raises:
        Unavailable: a package that the tests need is missing, or pip could not fetch the sdist.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"uvloop's tests need {', '.join(missing)}, which {sys.executable} lacks: "
            "install the dependency group `conformance` of pyproject.toml"
        )
    kept = CACHE / f"uvloop-{VERSION}"
    if not kept.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="uvloop-", dir=CACHE) as name:
            _unpack(_download(Path(name)), Path(name, "unpacked"))
            try:
                Path(name, "unpacked").rename(kept)
            except OSError:
                # Another run was faster.
                if not kept.is_dir():
                    raise
    return kept


def variables(tests: Path, loop: str) -> dict[str, str]:
    """Return the environment variables with which a process, and its children, find the tests.

    Args:
        tests: what `folder` returned.
        loop: the loop under test as `module:class`; uvloop's own needs no stand-in for uvloop.
    """
    folders = [tests]
    if loop.partition(":")[0] != "uvloop":
        folders.append(STAND_IN)
    return {
        "PYTHONPATH": ":".join(map(str, folders)),
        VARIABLE: str(tests / "helpers"),
        loops.VARIABLE: loop,
    }


def _download(target: Path) -> Path:
    wanted = f"uvloop=={VERSION}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "uvloop", wanted]
    try:
        pip = subprocess.run(
            [*command, "--dest", str(target)], capture_output=True, text=True, timeout=DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"pip did not fetch the sdist of {wanted} within {DOWNLOAD_SECONDS} s") from error
    archive = target / f"uvloop-{VERSION}.tar.gz"
    if pip.returncode or not archive.is_file():
        said = (pip.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unavailable(f"pip could not fetch the sdist of {wanted}, which has the tests: {said}")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise Unavailable(f"the sdist of {wanted} that pip fetched is not the one these figures were made with")
    return archive


def _unpack(archive: Path, target: Path) -> None:
    """Unpack the tests as the package `uvloop_tests`, and the one module of uvloop that they build on; nothing else."""
    with tarfile.open(archive) as sdist:
        sdist.extractall(target, filter="data")
    root = target / f"uvloop-{VERSION}"
    (root / "tests").rename(target / "uvloop_tests")
    (target / "helpers").mkdir()
    (root / "uvloop" / "_testbase.py").rename(target / "helpers" / "_testbase.py")
    shutil.rmtree(root)

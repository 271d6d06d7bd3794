"""Other projects' tests and data, fetched once as source distributions by pip and kept under `target/`."""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "target" / "sdists"
DOWNLOAD_SECONDS = 120


class Unavailable(Exception):
    """A source distribution can't be had, and why."""


def folder(name: str, version: str, sha256: str) -> Path:
    """Return the unpacked source distribution of a package.

    Args:
        name: the package.
        version: its version.
        sha256: the hash of the archive, in hexadecimal.

    Raises:
        Unavailable: pip can't fetch it, or what it fetched is another file.
    """
    unpacked = FOLDER / f"{name}-{version}"
    if not unpacked.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        archive = _download(name, version)
        if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
            raise Unavailable(f"the sdist of {name} {version} that pip fetched is not the one that was read here first")
        with tarfile.open(archive) as sdist:
            sdist.extractall(FOLDER, filter="data")
    return unpacked


def _download(name: str, version: str) -> Path:
    archive = FOLDER / f"{name}-{version}.tar.gz"
    if archive.is_file():
        return archive
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    try:
        pip = subprocess.run(
            [*command, f"{name}=={version}", "--dest", str(FOLDER)],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"pip did not fetch the sdist of {name} {version} within {DOWNLOAD_SECONDS} s") from error
    if pip.returncode or not archive.is_file():
        said = (pip.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unavailable(f"pip could not fetch the sdist of {name} {version}: {said}")
    return archive

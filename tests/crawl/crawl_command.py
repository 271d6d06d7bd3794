"""Runs the command `threefold crawl` as people do, and reads what it left."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PYTHON_PATH = str(Path(__file__).resolve().parents[2] / "python")


class Crawl:
    """One end of `threefold crawl`: its exit code, its report, and the pages in its output.

    Args:
        done: the process that ended.
        folder: where it ran.
    """

    def __init__(self, done: "subprocess.CompletedProcess[str]", folder: Path) -> None:
        self.code = done.returncode
        self.errors = done.stderr
        self.folder = folder
        report = folder / "report.json"
        self.report: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}

    @property
    def pages(self) -> list[dict[str, Any]]:
        """The rows of the output, one a page."""
        return [json.loads(line) for line in (self.folder / "pages.jsonl").read_text().splitlines()]

    def urls(self, status: int = 200) -> list[str]:
        """Return the addresses with a status, as often as they are in the output."""
        return [page["url"] for page in self.pages if page["status"] == status]


def arguments(folder: Path, url: str, *options: str) -> list[str]:
    """Return the command that crawls a site into a folder.

    Args:
        folder: where `state`, `pages.jsonl` and `report.json` go.
        url: where it begins.
        *options: more options.
    """
    command = [sys.executable, "-m", "threefold", "crawl", url, "--quiet", f"--json-report={folder / 'report.json'}"]
    if not any(option.startswith(("--state", "--frontier")) for option in options):
        command.append(f"--state={folder / 'state'}")
    if not any(option.startswith("--output") for option in options):
        command.append(f"--output={folder / 'pages.jsonl'}")
    return [*command, *options]


def environment() -> dict[str, str]:
    """Return the environment of the command: the package of this tree, and no proxy of the machine's."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return kept | {"PYTHONPATH": PYTHON_PATH}


def crawl(folder: Path, url: str, *options: str, limit_s: float = 120) -> Crawl:
    """Run `threefold crawl` to its end.

    Args:
        folder: where `state`, `pages.jsonl` and `report.json` go.
        url: where it begins.
        *options: more options.
        limit_s: how long it may take, in seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        arguments(folder, url, *options), env=environment(), capture_output=True, text=True, timeout=limit_s
    )
    return Crawl(done, folder)

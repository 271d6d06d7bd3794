"""Gives the architecture tests the project's files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

# What is built, installed or measured, not written.
BUILT = {"target", "dist", "node_modules", "results"}


class Project:
    """The project's folder and the files that people write in it."""

    root = Path(__file__).resolve().parents[2]

    def files(self, *suffixes: str, under: str = ".") -> list[Path]:
        """Return the files of some kinds, sorted.

        Args:
            suffixes: endings such as `.rs`.
            under: a folder of the project.
        """
        return sorted(path for path in self.walk(self.root / under) if path.name.endswith(suffixes))

    def walk(self, folder: Path) -> Iterator[Path]:
        """Yield each written file of a folder and of the folders in it."""
        for entry in folder.iterdir():
            is_hidden = entry.name.startswith(".") and entry.name != ".ci"
            if entry.is_dir() and not (is_hidden or entry.name in BUILT or entry.name.startswith("__")):
                yield from self.walk(entry)
            elif entry.is_file():
                yield entry

    def name(self, path: Path) -> str:
        """Return a file's path inside the project, for messages."""
        return str(path.relative_to(self.root))


@pytest.fixture(scope="session")
def project() -> Project:
    """The project's files."""
    return Project()

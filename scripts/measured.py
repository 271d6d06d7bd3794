"""Reads the figures that the benches have kept: one file for each program and Python."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """What the samples of one peer in one case came to."""

    unit: str
    # None where there is no figure; the note says why.
    median: float | None
    least: float
    most: float
    sample_count: int
    note: str

    @property
    def is_absent(self) -> bool:
        """Whether the peer has no such thing at all."""
        return self.note.startswith("not available")

    def is_better_than(self, other: "Figure") -> bool:
        """Tell which of two is the faster, or smaller; any figure is better than none."""
        if self.median is None or other.median is None:
            return self.median is not None
        return self.median > other.median if is_rate(self.unit) else self.median < other.median

    def ratio_to(self, other: "Figure") -> float | None:
        """Return how many times as fast this one is, or None if one of the two has no figure."""
        if not self.median or not other.median:
            return None
        return self.median / other.median if is_rate(self.unit) else other.median / self.median


@dataclass
class Measured:
    """All figures of one Python."""

    version: str
    # The machine, the Python, the packages, the date.
    facts: dict[str, str] = field(default_factory=dict)
    # By program, case and peer, in the order in which they were measured.
    figures: dict[tuple[str, str, str], Figure] = field(default_factory=dict)

    @property
    def is_debian(self) -> bool:
        """Whether Debian built this Python."""
        return "Debian" in self.facts.get("python", "")

    def best(self, program: str, case: str, peers: tuple[str, ...]) -> tuple[str, Figure] | None:
        """Return the best of some peers and its figure, or None if there is none.

        Args:
            program: the module that declares the case.
            case: its name.
            peers: names of columns.
        """
        best: tuple[str, Figure] | None = None
        for peer in peers:
            figure = self.figures.get((program, case, peer))
            if figure and figure.median is not None and (best is None or figure.is_better_than(best[1])):
                best = (peer, figure)
        return best


def is_rate(unit: str) -> bool:
    """Return whether more is better."""
    return unit.endswith("/s")


def read_all(folder: Path) -> dict[str, Measured]:
    """Read a folder of results.

    Args:
        folder: where the benches keep them.

    Returns:
        The figures of each Python, by its version, oldest first.
    """
    found: dict[str, Measured] = {}
    for path in sorted(folder.glob("*.tsv")):
        program, _, version = path.stem.rpartition("-")
        read(path, program, found.setdefault(version, Measured(version)))
    return dict(sorted(found.items(), key=lambda item: version_key(item[0])))


def read(path: Path, program: str, into: Measured) -> None:
    """Add one file to what is known of its Python."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("# "):
            name, _, value = line.removeprefix("# ").partition(": ")
            into.facts[name] = together(name, into.facts[name], value) if name in into.facts else value
    table = [line.split("\t") for line in lines if line and not line.startswith("#")]
    for cells in table[1:]:
        row = dict(zip(table[0], cells, strict=True))
        has_figure = row["median"] != ""
        into.figures[program, row["case"], row["peer"]] = Figure(
            row["unit"],
            float(row["median"]) if has_figure else None,
            float(row["least"]) if has_figure else 0.0,
            float(row["most"]) if has_figure else 0.0,
            int(row["samples"]),
            row["note"],
        )


def together(name: str, earlier: str, later: str) -> str:
    """Return one fact for programs that may have been measured on different days, with other peers installed.

    Args:
        name: of the fact.
        earlier: what is known of it from other files.
        later: what this file says.
    """
    match name:
        case "date":
            return max(earlier, later)
        case "packages":
            versions = dict(
                package.split(" ", 1) for text in (earlier, later) for package in text.split(", ") if package
            )
            return ", ".join(f"{package} {version}" for package, version in versions.items())
        case _:
            return later


def version_key(version: str) -> tuple[int, ...]:
    """Order 3.9 before 3.13, and 3.13 before 3.13t."""
    return (*(int(part) for part in version.rstrip("t").split(".")), int(version.endswith("t")))

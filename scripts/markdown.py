"""Writes figures as cells and rows as a Markdown table."""

from measured import Measured


def number(value: float | None) -> str:
    """Return a figure with three significant digits."""
    rounded = float(f"{value or 0.0:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def label(python: Measured) -> str:
    """Return a column's head."""
    return f"{python.version} (Debian)" if python.is_debian else python.version


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, with an empty line after it."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

"""Items as Parquet, by pyarrow where it is installed."""

from __future__ import annotations

import os

from threefold.crawl._errors import StoreError


def require() -> None:
    """Look whether Parquet can be written.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow.json
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ImportError(
            f"Parquet needs pyarrow: install threefold[parquet], or write .jsonl ({error})", name="pyarrow"
        ) from None


def convert(lines: str, path: str, *, keeps_lines: bool) -> None:
    """Write the items of a file of JSON lines as Parquet; a file that is there is replaced when all is written.

    Args:
        lines: the file of JSON lines.
        path: the Parquet file.
        keeps_lines: whether the lines are needed again when the crawl is resumed.

    Raises:
        StoreError: the items have fields of several types.
    """
    import pyarrow
    import pyarrow.json
    import pyarrow.parquet

    is_empty = not os.path.exists(lines) or os.path.getsize(lines) == 0
    try:
        table = pyarrow.table({}) if is_empty else pyarrow.json.read_json(lines)
    except pyarrow.ArrowInvalid as error:
        raise StoreError(f"the items are no table of Parquet: {error}; they are in {lines!r}") from None
    pyarrow.parquet.write_table(table, path + ".part")
    os.replace(path + ".part", path)
    if not keeps_lines:
        os.unlink(lines)

"""Makes the tables of docs/reference/conformance.md from what `run.py --json` wrote on each Python."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from cpython.suites import START_METHODS

RESULTS = ("passed", "failed", "skipped")
# In the classes of pools the start method is part of the name.
METHOD = re.compile("(?<=Pool)(Forkserver|Fork|Spawn)|^(ForkServer|Fork|Spawn)(?=Cmd)")

# How the suites of event loops begin, and what a row of their table is called.
LOOP_ROWS = {
    "tasks": "CPython's test_asyncio",
    "as-asyncio": "uvloop's suite, as asyncio",
    "as-uvloop": "uvloop's suite, as uvloop",
}

# For each row and Python: how many tests ended how.
Counts = dict[str, dict[str, Counter[str]]]


def row_of(suite: str) -> str:
    """Return the row of a suite; one row serves the three start methods."""
    kind = suite.removeprefix(f"{suite.partition('.')[0]}.")
    return f"multiprocessing, {kind}" if suite.partition(".")[0] in START_METHODS else suite


def class_of(suite: str, identifier: str) -> str:
    """Return the class of a test, without the start method."""
    name = identifier.rpartition(".")[0].rpartition(".")[2]
    return name if suite.partition(".")[0] in START_METHODS else METHOD.sub("", name)


def read(paths: list[str]) -> tuple[Counts, Counts]:
    """Return the counts of the rows and those of the classes, from files of `run.py --json`."""
    rows: Counts = defaultdict(lambda: defaultdict(Counter))
    classes: Counts = defaultdict(lambda: defaultdict(Counter))
    for path in paths:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        for suite, content in found["suites"].items():
            if suite.partition(".")[0] in LOOP_ROWS:
                continue
            for identifier, (result, *_) in content["tests"].items():
                if result in RESULTS:
                    rows[row_of(suite)][found["python"]][result] += 1
                    name = f"{row_of(suite)} | `{class_of(suite, identifier)}`"
                    classes[name][found["python"]][result] += 1
    return rows, classes


def read_loops(paths: list[str]) -> dict[str, dict[str, str]]:
    """Return the cells of the table of event loops: a row for each loop and kind of suite, a column for each Python.

    A test counts if it makes a loop under test; those that hang before they do so, on one loop, are known from the others.
    """
    runs = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    tests: dict[tuple[str, str], set[str]] = defaultdict(set)
    results: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for run in runs:
        for suite, content in run["suites"].items():
            if (kind := suite.partition(".")[0]) in LOOP_ROWS:
                for identifier, (result, _, made) in content["tests"].items():
                    ended = "unfinished" if identifier in content["unfinished"] else result
                    results[run["loop"], kind, run["python"]][identifier] = ended
                    if made:
                        tests[kind, run["python"]].add(identifier)
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for (loop, kind, python), ends in results.items():
        counted = Counter(ends.get(identifier, "unfinished") for identifier in tests[kind, python])
        cells = [counted.total(), *(counted[word] for word in ("passed", "failed", "unfinished", "skipped"))]
        rows[f"`{loop}` | {LOOP_ROWS[kind]}"][python] = " · ".join(map(str, cells))
    return rows


def print_table(title: str, counts: Counts) -> None:
    """Print a table in Markdown: total, passed, failed, skipped for each Python."""
    print_cells(
        title,
        {
            name: {p: " · ".join(map(str, [row[p].total(), *(row[p][r] for r in RESULTS)])) for p in row}
            for name, row in counts.items()
        },
    )


def print_cells(title: str, rows: dict[str, dict[str, str]]) -> None:
    """Print a table in Markdown with a column for each Python."""
    pythons = sorted({python for row in rows.values() for python in row}, key=lambda text: int(text.split(".")[1]))
    print(f"| {title} | {' | '.join(pythons)} |")
    print("|" + "---|" * (title.count("|") + 1 + len(pythons)))
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row.get(python, '') for python in pythons)} |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: tables.py FILE... (what run.py --json wrote)")
    of_rows, of_classes = read(sys.argv[1:])
    if of_rows:
        print("Total · passed · failed · skipped.\n")
        print_table("suite", of_rows)
        print()
        print_table("suite | class", of_classes)
    if of_loops := read_loops(sys.argv[1:]):
        print("\nTests that make a loop · passed · failed · did not come to an end · skipped.\n")
        print_cells("loop | tests", of_loops)

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
            for identifier, (result, _) in content["tests"].items():
                if result in RESULTS:
                    rows[row_of(suite)][found["python"]][result] += 1
                    name = f"{row_of(suite)} | `{class_of(suite, identifier)}`"
                    classes[name][found["python"]][result] += 1
    return rows, classes


def print_table(title: str, counts: Counts) -> None:
    """Print a table in Markdown: total, passed, failed, skipped for each Python."""
    pythons = sorted({python for row in counts.values() for python in row}, key=lambda text: int(text.split(".")[1]))
    print(f"| {title} | {' | '.join(pythons)} |")
    print("|" + "---|" * (title.count("|") + 1 + len(pythons)))
    for name, row in counts.items():
        cells = [
            " · ".join(map(str, [row[p].total(), *(row[p][r] for r in RESULTS)])) if p in row else "" for p in pythons
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: tables.py FILE... (what run.py --json wrote)")
    of_rows, of_classes = read(sys.argv[1:])
    print("Total · passed · failed · skipped.\n")
    print_table("suite", of_rows)
    print()
    print_table("suite | class", of_classes)

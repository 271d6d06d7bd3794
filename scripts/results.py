"""Writes the kept figures of the benches into the README, in both languages, and into the performance page."""

import argparse
import sys
from pathlib import Path

from full_tables import long_tables
from headline_table import short_table
from measured import read_all

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benches" / "results"
BEGIN, END = "<!-- results -->\n", "<!-- /results -->"


def replaced(page: Path, content: str) -> tuple[str, str]:
    """Return a page's text, and the same with other content between the marks.

    Raises:
        ValueError: where the page has no marks.
    """
    old = page.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _old_content, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no `{BEGIN.strip()}` and `{END}` on lines of their own")
    return old, before + begin + content + end + after


def main() -> int:
    """Write the pages; with --check, 1 if they would change; 2 if a page has no place for the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if the pages are out of date")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where the figures are")
    arguments = parser.parse_args()
    measured = read_all(arguments.results)
    contents = {
        ROOT / "README.md": short_table(measured, is_chinese=False),
        ROOT / "README.zh-CN.md": short_table(measured, is_chinese=True),
        ROOT / "docs" / "reference" / "performance.md": long_tables(measured),
    }
    out_of_date = []
    for page, content in contents.items():
        try:
            old, new = replaced(page, content)
        except ValueError as problem:
            print(f"results: {problem}", file=sys.stderr)
            return 2
        if old != new:
            out_of_date.append(page.relative_to(ROOT))
            if not arguments.check:
                page.write_text(new, encoding="utf-8")
    for page in out_of_date:
        print(f"{page}: {'out of date; `make results` writes it' if arguments.check else 'written'}")
    return 1 if arguments.check and out_of_date else 0


if __name__ == "__main__":
    sys.exit(main())

"""Finds the command that is meant and gives it the rest of the arguments."""

from __future__ import annotations

import importlib
import os
import sys

# `typing` and `collections.abc` would cost half of a start of `threefold run`; type checkers take this name as true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

COMMANDS = {
    "run": "run a program as it is, on the Rust engine",
    "status": "say what is replaced, and what is not",
    "crawl": "crawl web sites, politely and resumably",
    "fetch": "print one response, as a crawl gets it",
    "waits": "print who waits for whom in a running process",
}

_EXAMPLES = """\
commands:
{commands}

examples:
  threefold run app.py --port 8000
  threefold run -m pytest
  threefold waits 4242
  threefold crawl https://example.org/ --output pages.jsonl
  threefold run --help
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the `threefold` command.

    Args:
        arguments: the words after `threefold`; None takes those of the process.

    Returns:
        The exit code: 0 done, 1 could not be done, 2 a wrong argument. `threefold run` never returns; its code is
        the program's.

    Raises:
        SystemExit: after help, the version or a wrong argument.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in COMMANDS:
        _explain(words)
    command = importlib.import_module(f"threefold.cli.{words[0]}")
    code: int = command.main(words[1:])
    return code


def _explain(words: list[str]) -> NoReturn:
    from threefold.cli.usage import Parser

    listed = "\n".join(f"  {name:<8} {purpose}" for name, purpose in COMMANDS.items())
    parser = Parser(
        "threefold",
        "Threads, queues and executors on one engine written in Rust, behind the standard library's own API.",
        _EXAMPLES.format(commands=listed),
    )
    parser.usage = "threefold [--help] [--version] COMMAND ..."
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    if not words:
        parser.error(f"a command is missing: {', '.join(COMMANDS)}")
    if not words[0].startswith("-"):
        parser.error(f"there is no command {words[0]!r}{_hint(words[0])}")
    if parser.parse_args(words).version:
        _print_version()
    sys.exit(0)


def _print_version() -> None:
    import threefold

    try:
        print(f"threefold {threefold.__version__}")
    except ImportError as error:
        sys.exit(f"threefold: the engine can't be loaded: {error}")


def _hint(word: str) -> str:
    if os.path.exists(word):
        return f"; to run that program: threefold run {word}"
    import difflib

    close = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(COMMANDS)}"

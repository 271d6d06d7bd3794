"""The argument parser that all commands share: a wrong word costs one sentence and exit code 2."""

import argparse
from typing import NoReturn

from threefold._activate import parse_parts

USAGE_ERROR = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence instead of repeating the usage.

    Args:
        command: the words that start the command, such as `threefold run`.
        description: one sentence on what it is for.
        examples: lines to print at the end of the help, as they are typed.
    """

    def __init__(self, command: str, description: str, examples: str) -> None:
        super().__init__(
            prog=command,
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """End the process with one sentence on stderr.

        Args:
            message: what is wrong.

        Raises:
            SystemExit: always, with code 2.
        """
        self.exit(USAGE_ERROR, f"{self.prog}: {message}{self._hint(message)} (try `{self.prog} --help`)\n")

    def _hint(self, message: str) -> str:
        unknown = message.partition("unrecognized arguments: ")[2].split(None, 1)
        if not unknown:
            return ""
        from difflib import get_close_matches

        close = get_close_matches(unknown[0], self._option_string_actions, n=1)
        return f"; did you mean {close[0]}?" if close else ""


def parts(text: str) -> tuple[str, ...]:
    """Read the value of `--only`.

    Args:
        text: names of parts with commas between them.

    Raises:
        argparse.ArgumentTypeError: a part has another name, or there is none.
    """
    try:
        return parse_parts(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

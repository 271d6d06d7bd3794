"""`threefold waits PID`: prints who waits for whom in a running process, without asking the process."""

import os
import sys

from threefold.cli.usage import Parser

CANNOT_BE_SHOWN = 1

LARGEST_PID = 2**32 - 1

_EXAMPLES = """\
examples:
  threefold waits 4242
  threefold waits 4242 --json | python3 -m json.tool

Each line is one thread or task: what it waits for, who holds that, for how long, and the line of the program.
Processes that were started by it and run on threefold are shown below it. The process is not stopped, and need not be
able to answer. In the terminal of a program under `threefold run`, Ctrl-\\ prints the same.

exit code: 0 shown, 1 cannot be shown, 2 a wrong argument
"""


def main(arguments: list[str]) -> int:
    """Print the waits of a process and of its children.

    Args:
        arguments: the words after `threefold waits`.

    Returns:
        0 when they were shown; 1 when they cannot be, with one sentence on stderr.

    Raises:
        SystemExit: after help or a wrong argument.
    """
    parser = Parser("threefold waits", "Print who waits for whom in a running process.", _EXAMPLES)
    parser.add_argument("pid", metavar="PID", type=_process_id, help="number of the process, as `ps` shows it")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    options = parser.parse_args(arguments)
    try:
        from threefold import _threefold

        report = _threefold.waits_report(options.pid, options.json)
    except ImportError as error:
        return _explain(f"the engine is not built for this Python: {error}")
    except (OSError, ValueError) as error:
        return _explain(str(error))
    try:
        # Names may hold letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        sys.stdout.write(report)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; what is left must not be an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _explain(sentence: str) -> int:
    print(f"threefold waits: {sentence}", file=sys.stderr)
    return CANNOT_BE_SHOWN


def _process_id(word: str) -> int:
    # Digits of other scripts are digits for int(), too, and so is "1_000".
    if not (word.isascii() and word.isdigit()):
        raise ValueError(word)
    number = int(word)
    if not 0 < number <= LARGEST_PID:
        raise ValueError(word)
    return number


_process_id.__name__ = "process number"

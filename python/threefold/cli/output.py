"""Prints a command's answer, whatever reads it."""

import os
import sys


def show(text: str) -> None:
    """Print a text on standard output; a reader that has seen enough and left is no error.

    Args:
        text: without a final newline.
    """
    try:
        # Names may hold letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        print(text, flush=True)
    except BrokenPipeError:
        # What is left must not be an error when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

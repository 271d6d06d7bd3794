"""Splits the words after `threefold run` as Python itself would: own options, Python's options, the program."""

from __future__ import annotations

_PLAIN_LETTERS = "bBdEiIOPqRsSuvx"
_LETTERS_WITH_VALUE = "XW"
_LETTERS_OF_PROGRAMS = "cm"
_OWN_OPTIONS_WITH_VALUE = ("--only",)
_PYTHON_OPTIONS_WITH_VALUE = ("--check-hash-based-pycs",)


class UsageError(Exception):
    """The words can't be meant; its text says why."""


class Program:
    """What to run and how.

    Args:
        options: the words that are threefold's own.
        flags: the words before the program that are Python's.
        target: the program and its arguments, as Python takes them; empty if there is none.
        letters: all one-letter options of Python that are given.
    """

    __slots__ = ("flags", "letters", "options", "target")

    def __init__(self, options: list[str], flags: list[str], target: list[str], letters: set[str]) -> None:
        self.options = options
        self.flags = flags
        self.target = target
        self.letters = letters

    @property
    def script(self) -> str | None:
        """The path of the script, directory or archive, or None for -m, -c and standard input."""
        return self.target[0] if self.target and not self.target[0].startswith("-") else None


def split(words: list[str]) -> Program:
    """Split the words after `threefold run`.

    Args:
        words: they end with the program and its arguments, which are taken as they are.

    Raises:
        UsageError: an option is unknown to Python, or lacks its value.
    """
    program = Program([], [], [], set())
    position, takes_own_options = 0, True
    while position < len(words):
        word = words[position]
        if word == "--" and takes_own_options:
            takes_own_options = False
            position += 1
        elif word == "-" or not word.startswith("-"):
            break
        elif word.startswith("--"):
            position += _take_long_option(program, words, position, takes_own_options)
        elif word == "-h" and takes_own_options:
            program.options.append(word)
            position += 1
        else:
            taken, is_program = _take_letters(program, words, position)
            if is_program:
                break
            position += taken
    program.target = words[position:]
    return program


def _take_long_option(program: Program, words: list[str], position: int, takes_own_options: bool) -> int:
    word = words[position]
    has_value = word in _PYTHON_OPTIONS_WITH_VALUE or word in _OWN_OPTIONS_WITH_VALUE
    taken = words[position : position + 1 + has_value]
    if len(taken) <= has_value:
        raise UsageError(f"{word} needs a value")
    if word in _PYTHON_OPTIONS_WITH_VALUE:
        program.flags.extend(taken)
    elif takes_own_options:
        program.options.extend(taken)
    else:
        raise UsageError(f"Python has no option {word}")
    return len(taken)


def _take_letters(program: Program, words: list[str], position: int) -> tuple[int, bool]:
    word = words[position]
    for index, letter in enumerate(word[1:], 2):
        needs_value = letter in _LETTERS_OF_PROGRAMS or letter in _LETTERS_WITH_VALUE
        if not needs_value and letter not in _PLAIN_LETTERS:
            raise UsageError(f"Python has no option -{letter} that runs a program")
        value_is_next = needs_value and not word[index:]
        if value_is_next and position + 1 == len(words):
            raise UsageError(f"-{letter} needs a value")
        program.letters.add(letter)
        if letter in _LETTERS_OF_PROGRAMS:
            return 0, True
        if needs_value:
            program.flags.extend(words[position : position + 1 + value_is_next])
            return 1 + value_is_next, False
    program.flags.append(word)
    return 1, False

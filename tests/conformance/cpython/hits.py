"""The hit counter: one line in a file each time a test takes one of our types out of a standard module, in any process."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "THREEFOLD_CONFORMANCE_HITS"
# Where the suites keep the type that a test is about.
TYPE_ATTRIBUTES = ("locktype", "condtype", "eventtype", "semtype", "barriertype", "type2test", "executor_type")


def is_ours(value: object) -> bool:
    """Tell whether a class or function is defined by threefold."""
    home = getattr(value, "__module__", None)
    return isinstance(home, str) and home.split(".")[0] == "threefold"


def add(name: str, path: str | None = os.environ.get(VARIABLE)) -> None:
    """Write a hit; the file is opened each time, so that no descriptor stays open that a test could close or count."""
    if path is None:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(descriptor, f"{os.getpid()} {name}\n".encode())
    finally:
        os.close(descriptor)


def add_type_under_test(test: object) -> None:
    """Write a hit if the test is about one of our types."""
    for attribute in TYPE_ATTRIBUTES:
        value = getattr(test, attribute, None)
        if value is not None and is_ours(value):
            add(f"{value.__module__}.{value.__name__}")


class Watched(ModuleType):
    """A module that writes a hit when one of our types, or the Thread whose start is ours, is read from it."""

    def __getattribute__(
        self, name: str, *, plain: Any = ModuleType.__getattribute__, ours: Any = is_ours, note: Any = add
    ) -> Any:
        # The helpers are default arguments, because the interpreter still reads `threading._shutdown` while globals go away.
        value = plain(self, name)
        if ours(value) or (name == "Thread" and ours(value.start)):
            note(f"{plain(self, '__name__')}.{name}")
        return value


def watch(module: ModuleType) -> None:
    """Count what is read from a module from now on."""
    module.__class__ = Watched


def read(path: str) -> tuple[Counter[str], int]:
    """Return the hits by name, and the number of processes that had any."""
    lines = [line.split(" ", 1) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return Counter(name for _, name in lines), len({process for process, _ in lines})

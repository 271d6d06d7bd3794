"""A call in a few words, for error messages."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Callable, Mapping, Sequence

# Type checkers take this name as true; at a start `typing` would cost more than most of the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # A call, as the tuple of function, arguments and keyword arguments, and three that say nothing; or a function, its items,
    # which of them, and whether an item is the tuple of its arguments.
    Task = tuple[Any, Any, tuple[int, int] | None, bool]

# What a message can carry without hiding what it says; characters.
_MOST_OF_ALL = 120
_BINARY = (bytes, bytearray, memoryview)

_short = reprlib.Repr()
_short.maxother = _short.maxstring = _short.maxlong = 40
_short.maxlevel = 3


def call(function: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> str:
    """Return a call as it could be written: "f(5, key='a')"."""
    words = [_argument(argument) for argument in args]
    words += [f"{name}={_argument(argument)}" for name, argument in (kwargs or {}).items()]
    return _cut(f"{_name(function)}({', '.join(words)})")


def chunk(function: Callable[..., Any], items: Sequence[Any], is_star: bool = False) -> str:
    """Return the call of a chunk's only item, or the function and the chunk's first and last item.

    Args:
        function: what is called.
        items: what it is called with, one after another.
        is_star: whether an item is a call's arguments, rather than its only one.
    """
    if len(items) == 1:
        return call(function, items[0] if is_star else (items[0],))
    first, last = _argument(items[0]), _argument(items[-1])
    return _cut(f"{_name(function)} for {len(items)} items, from {first} to {last}")


def task(parts: Task | None) -> str | None:
    """Return a task as the engine keeps it: a call, or a function with items, of which maybe only some are meant."""
    if parts is None:
        return None
    what, items, part, is_star = parts
    try:
        if items is None:
            return call(*what)
        return chunk(what, items if part is None else items[slice(*part)], is_star)
    except Exception:  # noqa: BLE001 - a user's sequence may have changed, and the error that names it must come all the same
        return None


def _name(function: Callable[..., Any]) -> str:
    if isinstance(function, functools.partial):
        return _name(function.func)
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _argument(argument: Any) -> str:
    # The whole of it would be written out first, however large it is.
    if isinstance(argument, _BINARY) and len(argument) > _short.maxother:
        return f"<{type(argument).__name__} of {len(argument)}>"
    try:
        return _short.repr(argument)
    except Exception:  # noqa: BLE001 - whatever the object's own method raises
        return f"<{type(argument).__name__}>"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_OF_ALL else f"{text[: _MOST_OF_ALL - 4]}...)"

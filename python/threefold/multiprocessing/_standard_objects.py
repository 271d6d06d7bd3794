"""Lets objects of the standard library's classes be handed to children after ours took those classes' names."""

import importlib
from multiprocessing import reduction
from types import ModuleType
from typing import Any

_classes: dict[tuple[str, str], Any] = {}


def keep(module: ModuleType, *names: str) -> None:
    """Remember classes of a standard module, whose objects a pickle would look for under their names.

    Args:
        module: one of `multiprocessing`'s modules that has a module of ours.
        names: the classes' names.
    """
    for name in names:
        original = getattr(module, name)
        _classes[module.__name__, name] = original
        reduction.register(original, _reduce)


def _reduce(standard_object: Any) -> tuple[Any, ...]:
    original = type(standard_object)
    return _make, (original.__module__, original.__qualname__), standard_object.__getstate__()


def _make(module: str, name: str) -> Any:
    importlib.import_module(f"threefold.{module}")
    original = _classes[module, name]
    return original.__new__(original)

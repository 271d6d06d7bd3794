"""Finds what in imported modules still means a standard class after it was replaced, and points module names to ours."""

from __future__ import annotations

import sys

# `typing` and `collections.abc` would cost more than all the rest of a start; type checkers take this name as true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    Change = tuple[object, object]


class Reference:
    """A name in a module that was changed from a standard class to ours."""

    __slots__ = ("_module", "name", "original", "replacement")

    def __init__(self, module: ModuleType, name: str, original: object, replacement: object) -> None:
        self._module = module
        self.name = name
        self.original = original
        self.replacement = replacement

    def __str__(self) -> str:
        return f"{self._module.__name__}.{self.name}"

    def restore(self) -> None:
        """Point the name to the standard class again, unless the program has changed it since."""
        namespace = _namespace(self._module)
        if namespace.get(self.name) is self.replacement:
            namespace[self.name] = self.original


def repoint(changes: Sequence[Change]) -> list[Reference]:
    """Point the names of imported modules, the standard library's excepted, to the replacements.

    Args:
        changes: pairs of what is replaced and by what.

    Returns:
        The names that were changed.
    """
    replacements = {
        id(original): (original, replacement) for original, replacement in changes if original is not replacement
    }
    found = []
    for module in _users_modules():
        namespace = _namespace(module)
        for name, value in list(namespace.items()):
            # `_thread.allocate_lock` was `threading.Lock` itself up to Python 3.12; who takes the low one means it.
            if id(value) in replacements and not name.endswith("allocate_lock"):
                original, replacement = replacements[id(value)]
                namespace[name] = replacement
                found.append(Reference(module, name, original, replacement))
    return found


def remaining(originals: Sequence[object]) -> list[str]:
    """Describe what in imported modules, the standard library's excepted, still holds one of the originals.

    Args:
        originals: the standard library's own objects that were replaced.

    Returns:
        One phrase for each default argument, class attribute and base class, in the modules' order.
    """
    wanted = {id(original) for original in originals}
    found: list[str] = []
    for module in _users_modules():
        for name, value in list(_namespace(module).items()):
            if getattr(value, "__module__", None) == module.__name__:
                found.extend(f"{module.__name__}.{name}{place}" for place in _places(value, wanted))
    return found


def _places(value: object, wanted: set[int]) -> Iterator[str]:
    defaults = [*(getattr(value, "__defaults__", None) or ()), *(getattr(value, "__kwdefaults__", None) or {}).values()]
    if any(id(default) in wanted for default in defaults):
        yield "() has one as a default argument"
    if not isinstance(value, type):
        return
    for base in value.__bases__:
        if id(base) in wanted:
            yield f" derives from {base.__module__}.{base.__qualname__}"
    for name, attribute in list(vars(value).items()):
        if id(attribute) in wanted:
            yield f".{name} is one"
        elif not isinstance(attribute, type):
            yield from (f".{name}{place}" for place in _places(attribute, wanted))


def _users_modules() -> list[ModuleType]:
    # The standard library's own are left alone: it binds such names where it means the original.
    return [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name.partition(".")[0] != "threefold"
        and isinstance(module, type(sys))
    ]


def _namespace(module: ModuleType) -> dict[str, object]:
    # Asking a lazily loaded module in the usual way would load it.
    namespace: dict[str, object] = object.__getattribute__(module, "__dict__")
    return namespace

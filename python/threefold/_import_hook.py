"""Runs code of ours around the import of a few named modules, and costs nothing until one of them is imported."""

from __future__ import annotations

import sys

# `typing` and `collections.abc` would cost more than all the rest of a start; type checkers take this name as true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Around = Callable[[str], AbstractContextManager[object]]


class ImportHook:
    """A finder that lets the others find a watched module and wraps the running of its code.

    Args:
        watched: for each module name, what makes of that name the context manager to run the module's code in.
    """

    def __init__(self, watched: Mapping[str, Around]) -> None:
        self._watched = dict(watched)

    def install(self) -> None:
        """Put the hook first on `sys.meta_path`, wherever it may be there."""
        self.remove()
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Take the hook off `sys.meta_path`."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a watched module as the other finders do, and prepare its loader.

        Args:
            name: the module's full name.
            path: the parent package's `__path__`, or None.
            target: the module that is being reloaded, or None.

        Returns:
            The other finders' spec, or None for every name that is not watched.
        """
        around = self._watched.get(name)
        if around is None:
            return None
        for finder in list(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec: ModuleSpec | None = finder.find_spec(name, path, target)
            if spec is not None:
                _wrap_loader(spec.loader, name, around)
                return spec
        return None


def _wrap_loader(loader: object, name: str, around: Around) -> None:
    # The loader object stays the one that Python made (tracebacks, `inspect` and `pkgutil` ask it for the source):
    # only this one instance's `exec_module` is covered, and uncovered as soon as it is called for our module.
    original = getattr(loader, "exec_module", None)

    def exec_module(module: ModuleType) -> None:
        if module.__name__ != name:
            # A zip importer is one object for many modules.
            original(module)  # type: ignore[misc]
            return
        del loader.exec_module  # type: ignore[attr-defined]
        with around(name):
            original(module)  # type: ignore[misc]

    if original is not None:
        try:
            loader.exec_module = exec_module  # type: ignore[attr-defined]
        except (AttributeError, TypeError):
            # A frozen module's loader is a class that all share: it stays as it is.
            return

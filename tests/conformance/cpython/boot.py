"""What every process of a conformance run does first: activate threefold as users do, watch what tests read from it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from . import hits

WATCHED = (
    "threading",
    "queue",
    "multiprocessing.queues",
    "multiprocessing.synchronize",
    "multiprocessing.connection",
    "multiprocessing.pool",
    "concurrent.futures.process",
)


class Watcher:
    """Finds a module as the other finders do, threefold's own hook among them, and watches it once it is filled."""

    def __init__(self) -> None:
        self._searching: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the other finders' spec with a loader that also watches, or None for a module that is not watched."""
        # Other hooks ask all finders in their turn, this one too.
        if name not in WATCHED or name in self._searching:
            return None
        self._searching.add(name)
        try:
            found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
            spec = next((spec for spec in found if spec is not None), None)
        finally:
            self._searching.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _watching(spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


def start() -> None:
    """Do what threefold's own `.pth` file does, then begin to watch."""
    try:
        from threefold import _boot
    except ImportError:
        # In a subinterpreter, which the engine does not serve; in a main one the run's first check notices it.
        return
    _boot.start()
    sys.meta_path.insert(0, Watcher())
    for name in WATCHED:
        if name in sys.modules:
            hits.watch(sys.modules[name])


def _watching(fill: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def exec_module(module: ModuleType) -> None:
        fill(module)
        if module.__name__ == "queue":
            _unite_exceptions(module)
        hits.watch(module)

    return exec_module


def _unite_exceptions(fresh: ModuleType) -> None:
    # A second copy of the module has made exception classes of its own, which nothing but that copy's own queues could raise.
    import threefold.queue

    for name in ("Empty", "Full", "ShutDown"):
        if hasattr(fresh, name):
            setattr(fresh, name, getattr(threefold.queue, name))

"""What `threefold run`, `install()` and the pytest plugin put into the standard modules, in place, and take out again."""

from __future__ import annotations

import importlib
import sys

from threefold import _boot
from threefold._import_hook import ImportHook
from threefold._parts import HOMES, NEEDS_ORIGINAL, PARTS
from threefold._references import Reference, repoint

# `typing` and `collections.abc` would cost more than all the rest of a start; type checkers take this name as true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

_active_parts: tuple[str, ...] = ()
_hook: ImportHook | None = None
_ready: set[str] = set()
_originals: dict[tuple[str, str], object] = {}
_references: list[Reference] = []
# Put back what our modules have changed within the standard ones.
_undoings: list[Callable[[], None]] = []
_postponements = 0
_put_off: set[str] = set()


def install(*, only: str | Iterable[str] | None = None) -> None:
    """Put threefold's classes into the standard modules of this process.

    What is imported later gets them too, and so do the names that imported modules took by
    `from threading import Lock`, except inside the standard library. Objects that exist stay what they are:
    old and new ones work together. Calling it again changes nothing, or changes the parts if they differ.
    With `THREEFOLD_DISABLE=1` in the environment it does nothing.

    Args:
        only: the parts to replace, as names or one string with commas: threading, queue,
            futures, multiprocessing, asyncio.
            None replaces all of them.

    Raises:
        ValueError: a part has another name, or there is none.
        ImportError: the engine is not built for this Python.

    Examples:
        >>> import queue, threefold
        >>> threefold.install()
        >>> queue.Queue.__module__.partition(".")[0]
        'threefold'
        >>> threefold.uninstall()
        >>> queue.Queue.__module__
        'queue'
    """
    global _active_parts, _hook
    parts = parse_parts(only)
    if _boot.is_disabled():
        _boot.explain(f"not activated: {_boot.DISABLE_VARIABLE} is set")
        return
    if parts == _active_parts:
        return
    # Where this Python has no engine it shows here, and not at some later import.
    importlib.import_module("threefold._threefold")
    uninstall()
    _active_parts = parts
    _hook = ImportHook(_watched(parts))
    _hook.install()
    for standard in _homes(parts):
        _ready.update(name for name in (standard, HOMES[standard].ours) if name in sys.modules)
        if standard in _ready:
            _replace_when_ready(standard)


def uninstall() -> None:
    """Put the standard library's own classes back; objects made in the meantime stay what they are."""
    global _active_parts, _hook
    if _hook is not None:
        _hook.remove()
        _hook = None
    _active_parts = ()
    for (standard, name), original in _originals.items():
        if standard in sys.modules:
            _assign(sys.modules[standard], name, original)
    for reference in _references:
        reference.restore()
    for undo in _undoings:
        undo()
    for collection in (_ready, _originals, _references, _undoings):
        collection.clear()


def watch_imports_first() -> None:
    """Put what watches the imports before what another tool has put before it in the meantime."""
    if _hook is not None:
        _hook.install()


def is_active() -> bool:
    """Say whether the standard modules of this process have threefold's classes."""
    return bool(_active_parts)


def active_parts() -> tuple[str, ...]:
    """Return the names of the parts that are replaced in this process."""
    return _active_parts


def originals() -> dict[tuple[str, str], object]:
    """Return the standard library's own objects that have been replaced so far, by module and name."""
    return dict(_originals)


def repointed_references() -> list[str]:
    """Return the names in imported modules that changed besides the standard modules' own, as `module.name`."""
    return [str(reference) for reference in _references]


def parse_parts(only: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the parts that `only` names, in their fixed order.

    Args:
        only: names, or one string with commas, or None for all.

    Raises:
        ValueError: a part has another name, or there is none.
    """
    if only is None:
        return PARTS
    wanted = {name.strip() for name in (only.split(",") if isinstance(only, str) else only)} - {""}
    unknown = sorted(wanted - set(PARTS))
    if unknown:
        raise ValueError(f"no part is called {', '.join(map(repr, unknown))}; the parts are {', '.join(PARTS)}")
    if not wanted:
        raise ValueError(f"no part is named; the parts are {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in wanted)


def _homes(parts: tuple[str, ...]) -> list[str]:
    return [standard for standard, home in HOMES.items() if home.part in parts]


def _watched(parts: tuple[str, ...]) -> dict[str, type[_Replacing]]:
    watched = dict.fromkeys(name for name, (home, _) in NEEDS_ORIGINAL.items() if HOMES[home].part in parts)
    # Ours imports the standard one: whichever of the two begins first, the last to finish does the work.
    watched |= dict.fromkeys(name for standard in _homes(parts) for name in (standard, HOMES[standard].ours))
    return dict.fromkeys(watched, _Replacing)


class _Replacing:
    """Gives a module the originals that it needs while it is run, and replaces when both of a pair have been."""

    def __init__(self, module_name: str) -> None:
        self._module_name = module_name
        self._lent: _Lent | None = None

    def __enter__(self) -> None:
        _ready.discard(self._module_name)
        if self._module_name in NEEDS_ORIGINAL:
            self._lent = _Lent(*NEEDS_ORIGINAL[self._module_name])

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        if self._lent is not None:
            self._lent.give_back()
        if error_type is not None:
            return
        _ready.add(self._module_name)
        for standard in _homes(_active_parts):
            if self._module_name in (standard, HOMES[standard].ours):
                _replace_if_possible(standard)


class _Lent:
    """A class of the standard library that is back in its place for a short time."""

    # A thread that makes an object meanwhile gets a standard one, which works as well.
    def __init__(self, standard: str, name: str) -> None:
        self._home, self._name = importlib.import_module(standard), name
        self._replacement = getattr(self._home, name)
        setattr(self._home, name, _originals.get((standard, name), self._replacement))

    def give_back(self) -> None:
        setattr(self._home, self._name, self._replacement)


class Postponed:
    """Until it is left, nothing of ours is brought in for the standard modules that are imported meanwhile."""

    def __enter__(self) -> None:
        global _postponements
        _postponements += 1

    def __exit__(self, *_: object) -> None:
        global _postponements
        _postponements -= 1
        while _put_off and not _postponements:
            _replace_if_possible(_put_off.pop())


def _replace_if_possible(standard: str) -> None:
    try:
        _replace_when_ready(standard)
    except Exception as error:  # noqa: BLE001 - the program must get its standard module in any case
        _boot.complain(f"{standard} stays the standard one: {type(error).__name__}: {error}")


def _replace_when_ready(standard: str) -> None:
    ours = HOMES[standard].ours
    if _postponements:
        _put_off.add(standard)
        return
    if ours not in sys.modules:
        _settle_lazy_names(standard)
        importlib.import_module(ours)
        # The hook has not seen it where pytest, which rewrites the modules of its plugins, has loaded it.
        _ready.add(ours)
    if ours in _ready and standard in _ready:
        _replace(standard, sys.modules[standard], sys.modules[ours])


def _settle_lazy_names(standard: str) -> None:
    # From Python 3.15 on `concurrent.futures` imports its executors lazily: while such a name is being made into a
    # class, importing ours would ask for it again, and Python calls that a cycle.
    package = sys.modules.get(standard.rpartition(".")[0])
    for name in HOMES[standard].names:
        if package is not None and name in vars(package) and package.__name__ == "concurrent.futures":
            setattr(package, name, getattr(sys.modules[standard], name))


def _replace(home: str, standard: ModuleType, ours: ModuleType) -> None:
    # All are read before any is changed, so that an incomplete module changes nothing.
    pairs = {name: (getattr(standard, name), getattr(ours, name)) for name in HOMES[home].names}
    for name, (original, replacement) in pairs.items():
        if original is not replacement:
            _originals.setdefault((home, name), original)
            _assign(standard, name, replacement)
    change_in_place = getattr(ours, "_change_in_place", None)
    if change_in_place is not None:
        undo = change_in_place(standard)
        if undo is not None:
            _undoings.append(undo)
    _references.extend(repoint(list(pairs.values())))


def _assign(standard: ModuleType, name: str, value: object) -> None:
    before = getattr(standard, name)
    setattr(standard, name, value)
    # `concurrent.futures` keeps a copy of the name once somebody has asked for it.
    package = sys.modules.get(standard.__name__.rpartition(".")[0])
    if package is not None and vars(package).get(name) is before:
        setattr(package, name, value)

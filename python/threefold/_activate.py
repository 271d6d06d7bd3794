"""What `threefold run`, `install()` and the pytest plugin put into the standard modules, in place, and take out again."""

from __future__ import annotations

import importlib
import sys

from threefold import _boot
from threefold._import_hook import ImportHook
from threefold._references import Reference, repoint

# `typing` and `collections.abc` would cost more than all the rest of a start; type checkers take this name as true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

HOMES = {"threading": "threading", "queue": "queue", "futures": "concurrent.futures.thread"}
"""The standard module that each part replaces attributes of; ours is called `threefold.` and the part's name."""

REPLACED = {
    "threading": ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier"),
    "queue": ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    "futures": ("ThreadPoolExecutor",),
}
"""The attributes that change, by part. `threading.Thread` stays the class it is; its `start` and `join` change."""

PARTS = tuple(HOMES)

# These derive classes of their own from a standard class and use its private attributes, so they need the original.
_NEEDS_ORIGINAL = {
    "multiprocessing.synchronize": ("threading", "Barrier"),
    "concurrent.futures.interpreter": ("futures", "ThreadPoolExecutor"),
}

_active_parts: tuple[str, ...] = ()
_hook: ImportHook | None = None
_ready: set[str] = set()
_originals: dict[tuple[str, str], object] = {}
_references: list[Reference] = []
_patched_thread_classes: list[type] = []


def install(*, only: str | Iterable[str] | None = None) -> None:
    """Put threefold's classes into the standard modules of this process.

    What is imported later gets them too, and so do the names that imported modules took by
    `from threading import Lock`, except inside the standard library. Objects that exist stay what they are:
    old and new ones work together. Calling it again changes nothing, or changes the parts if they differ.
    With `THREEFOLD_DISABLE=1` in the environment it does nothing.

    Args:
        only: the parts to replace, as names or one string with commas: threading, queue, futures.
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
    for part in parts:
        _ready.update(name for name in (HOMES[part], f"threefold.{part}") if name in sys.modules)
        if HOMES[part] in _ready:
            _replace_when_ready(part)


def uninstall() -> None:
    """Put the standard library's own classes back; objects made in the meantime stay what they are."""
    global _active_parts, _hook
    if _hook is not None:
        _hook.remove()
        _hook = None
    _active_parts = ()
    for (part, name), original in _originals.items():
        if HOMES[part] in sys.modules:
            _assign(sys.modules[HOMES[part]], name, original)
    for reference in _references:
        reference.restore()
    for thread_class in _patched_thread_classes:
        sys.modules["threefold.threading"]._unpatch_thread(thread_class)
    for collection in (_ready, _originals, _references, _patched_thread_classes):
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
    """Return the standard library's own objects that have been replaced so far, by part and name."""
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


def _watched(parts: tuple[str, ...]) -> dict[str, type[_Replacing] | type[_WithOriginal]]:
    watched: dict[str, type[_Replacing] | type[_WithOriginal]] = {}
    for part in parts:
        # Ours imports the standard one: whichever of the two begins first, the last to finish does the work.
        watched[HOMES[part]] = watched[f"threefold.{part}"] = _Replacing
    watched.update({name: _WithOriginal for name, (part, _) in _NEEDS_ORIGINAL.items() if part in parts})
    return watched


class _Replacing:
    """Replaces a part after one of its two modules was run."""

    def __init__(self, module_name: str) -> None:
        self._module_name = module_name

    def __enter__(self) -> None:
        _ready.discard(self._module_name)

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        if error_type is not None:
            return
        _ready.add(self._module_name)
        for part in _active_parts:
            if self._module_name in (HOMES[part], f"threefold.{part}"):
                try:
                    _replace_when_ready(part)
                except Exception as error:  # noqa: BLE001 - the program must get its standard module in any case
                    _boot.complain(f"{HOMES[part]} stays the standard one: {type(error).__name__}: {error}")


class _WithOriginal:
    """Gives one of the standard library's modules the original of a class while it is run."""

    def __init__(self, module_name: str) -> None:
        part, self._name = _NEEDS_ORIGINAL[module_name]
        self._home = importlib.import_module(HOMES[part])
        self._replacement = getattr(self._home, self._name)
        self._original = _originals.get((part, self._name), self._replacement)

    # A thread that makes an object in this short time gets a standard one, which works as well.
    def __enter__(self) -> None:
        setattr(self._home, self._name, self._original)

    def __exit__(self, *_: object) -> None:
        setattr(self._home, self._name, self._replacement)


def _replace_when_ready(part: str) -> None:
    ours = f"threefold.{part}"
    if ours not in sys.modules:
        _settle_lazy_names(part)
        importlib.import_module(ours)
        # The hook has not seen it where pytest, which rewrites the modules of its plugins, has loaded it.
        _ready.add(ours)
    if ours in _ready and HOMES[part] in _ready:
        _replace(part, sys.modules[HOMES[part]], sys.modules[ours])


def _settle_lazy_names(part: str) -> None:
    # From Python 3.15 on `concurrent.futures` imports its executors lazily: while such a name is being made into a
    # class, importing ours would ask for it again, and Python calls that a cycle.
    standard = sys.modules[HOMES[part]]
    package = sys.modules.get(standard.__name__.rpartition(".")[0])
    for name in REPLACED[part]:
        if package is not None and name in vars(package):
            setattr(package, name, getattr(standard, name))


def _replace(part: str, standard: ModuleType, ours: ModuleType) -> None:
    # All are read before any is changed, so that an incomplete module changes nothing.
    pairs = {name: (getattr(standard, name), getattr(ours, name)) for name in REPLACED[part]}
    for name, (original, replacement) in pairs.items():
        if original is not replacement:
            _originals.setdefault((part, name), original)
            _assign(standard, name, replacement)
    if part == "threading" and standard.Thread not in _patched_thread_classes:
        ours._patch_thread(standard.Thread)
        _patched_thread_classes.append(standard.Thread)
    _references.extend(repoint(list(pairs.values())))


def _assign(standard: ModuleType, name: str, value: object) -> None:
    before = getattr(standard, name)
    setattr(standard, name, value)
    # `concurrent.futures` keeps a copy of the name once somebody has asked for it.
    package = sys.modules.get(standard.__name__.rpartition(".")[0])
    if package is not None and vars(package).get(name) is before:
        setattr(package, name, value)

"""`threefold status`: says what `threefold run` replaces here, by what start-up file, and what it leaves alone."""

from __future__ import annotations

import importlib
import json
import sys

import threefold
from threefold import _activate, _boot, _references
from threefold._parts import HOMES
from threefold.cli.output import show
from threefold.cli.start_up import START_UP_FOLDER, start_up_file
from threefold.cli.usage import Parser

_EXAMPLES = """\
examples:
  threefold status
  threefold run -m threefold status           the same, in a process that threefold run has started
  threefold status --references requests      what a library keeps of the standard library's classes

exit code: 0 shown, 1 the engine is not built for this Python or a module can't be imported, 2 a wrong argument
"""

_NOT_REPLACED = {
    "threading.Thread": "the class stays; its start and join are ours",
    "threading.local, Timer, excepthook": "the standard library's",
    "multiprocessing.Process": "the standard library's, with all that starts processes",
    "multiprocessing.Value, Array": "the standard library's, with a lock of ours",
    "multiprocessing.Manager": "the standard library's",
    "asyncio.Task, Future, Lock, Queue": "the standard library's; the event loop is ours",
    "objects made before": "stay what they are, and work together with ours",
}


def main(arguments: list[str]) -> int:
    """Print what is replaced and what is not.

    Args:
        arguments: the words after `threefold status`.

    Returns:
        0, or 1 when there is no engine or a module can't be imported.

    Raises:
        SystemExit: after help or a wrong argument.
    """
    parser = Parser("threefold status", "Say what threefold replaces here, and what it does not.", _EXAMPLES)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--references",
        nargs="*",
        metavar="MODULE",
        help="import these modules on the standard library, then replace, and list which of their names changed "
        "and what still holds a standard class",
    )
    options = parser.parse_args(arguments)
    facts = _facts()
    if options.references is not None and facts["engine"] is not None:
        try:
            facts["references"] = _references_of(options.references)
        except Exception as error:  # noqa: BLE001 - a user's module may raise anything at import
            print(f"threefold status: can't import: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
    show(json.dumps(facts, indent=2) if options.json else _text(facts))
    return 0 if facts["engine"] is not None else 1


def _facts() -> dict[str, object]:
    engine, version = None, None
    try:
        engine = importlib.import_module("threefold._threefold").__file__
        version = threefold.__version__
    except ImportError as error:
        print(f"threefold status: the engine can't be loaded: {error}", file=sys.stderr)
    return {
        "version": version,
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": sys.executable,
        "engine": engine,
        "start_up_file": start_up_file(),
        "fallback_folder": START_UP_FOLDER,
        "disabled": _boot.is_disabled(),
        "active": list(_activate.active_parts()),
        "replaced": _replaced() if engine is not None else {},
        "not_replaced": _NOT_REPLACED,
    }


def _replaced() -> dict[str, str]:
    found = {}
    for standard, home in HOMES.items():
        ours = importlib.import_module(home.ours)
        for name in home.names:
            found[f"{standard}.{name}"] = _full_name(getattr(ours, name))
    return found


def _full_name(value: object) -> str:
    return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', value)}"


def _references_of(modules: list[str]) -> dict[str, list[str]]:
    was_active = _activate.active_parts()
    _activate.uninstall()
    try:
        for name in modules:
            importlib.import_module(name)
        _activate.install()
        return {
            "changed": sorted(_activate.repointed_references()),
            "kept": _references.remaining(list(_activate.originals().values())),
        }
    finally:
        _activate.uninstall()
        if was_active:
            _activate.install(only=was_active)


def _text(facts: dict[str, object]) -> str:
    active = ", ".join(facts["active"]) if facts["active"] else "nothing"  # type: ignore[arg-type]
    start_up = facts["start_up_file"] or f"PYTHONPATH={facts['fallback_folder']} (not under -E and -I)"
    lines = [
        f"threefold {facts['version'] or 'without an engine'}, Python {facts['python']} ({facts['executable']})",
        f"engine              {facts['engine'] or 'not built for this Python'}",
        f"start-up            {start_up}",
        f"replaced right now  {active}{' (THREEFOLD_DISABLE is set)' if facts['disabled'] else ''}",
        "",
        "replaced by threefold run, threefold.install() and pytest -p threefold:",
        *_columns(facts["replaced"]),
        "",
        "not replaced:",
        *_columns(facts["not_replaced"]),
    ]
    references = facts.get("references")
    if isinstance(references, dict):
        lines += ["", "names of other modules that change with them:", *_listed(references["changed"])]
        lines += ["", "what keeps the standard library's class:", *_listed(references["kept"])]
    return "\n".join(lines)


def _columns(pairs: object) -> list[str]:
    assert isinstance(pairs, dict)
    width = max(map(len, pairs), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in pairs.items()]


def _listed(phrases: list[str]) -> list[str]:
    return [f"  {phrase}" for phrase in phrases] or ["  none"]

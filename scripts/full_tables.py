"""The tables of the performance page: every figure of every peer on every Python."""

from death_tables import death_tables
from markdown import label, number, table
from measured import Figure, Measured

SECTIONS = {
    "queues": "Queues between threads",
    "locks": "Locks and their relatives",
    "threads": "Threads and thread pools",
    "tasks": "Tasks, and threads with tasks",
    "loops": "Event loops",
    "loop_tasks": "Tasks on event loops",
    "networks": "Echo servers on event loops",
    "crawls": "Crawlers",
    "waiters": "Crowds of waiters",
    "process_queues": "Queues between processes",
    "process_locks": "Locks and their relatives between processes",
    "process_pools": "Process pools",
    "memory": "Memory",
}


def long_tables(measured: dict[str, Measured]) -> str:
    """Return the performance page's tables: every figure of every Python."""
    parts = [circumstances(measured)] if measured else []
    for program, title in SECTIONS.items():
        keys = dict.fromkeys(key for python in measured.values() for key in python.figures if key[0] == program)
        cases = list(dict.fromkeys(case for _program, case, _peer in keys))
        rows = []
        for case in cases:
            peers = [peer for _program, name, peer in keys if name == case]
            for peer in peers:
                figures = [python.figures.get((program, case, peer)) for python in measured.values()]
                unit = next(figure.unit for figure in figures if figure)
                title_cell = f"{case} [{unit}]" if peer == peers[0] else ""
                if any(figure and not figure.is_absent for figure in figures):
                    rows.append([title_cell, peer, *map(spread, figures)])
        if rows:
            parts.append(f"## {title}\n\n{table(['case', 'peer', *map(label, measured.values())], rows)}")
    return "\n".join([*parts, *death_tables(measured)])


def circumstances(measured: dict[str, Measured]) -> str:
    """Say what the figures were taken on."""
    rows = [
        [label(python), *(python.facts.get(name, "") for name in ("python", "machine", "packages", "date"))]
        for python in measured.values()
    ]
    return table(["column", "Python", "machine", "packages", "date"], rows)


def spread(figure: Figure | None) -> str:
    """Return a cell: the median, and the least and most of the samples."""
    if figure is None or figure.is_absent:
        return "-"
    note = figure.note.replace("|", "\\|")
    if figure.median is None:
        return note
    after = f"; then {note}" if note else ""
    return f"{number(figure.median)} ({number(figure.least)} to {number(figure.most)}){after}"

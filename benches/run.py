"""Runs the benches and keeps their figures: `python benches/run.py`, or with `--quick` just to see that they work."""

import argparse
import importlib
import os
import re
import sys
import time
from pathlib import Path

import harness
import result_file
import sampling

PROGRAMS = (
    "queues",
    "locks",
    "threads",
    "tasks",
    "waiters",
    "memory",
    "process_queues",
    "process_locks",
    "process_pools",
    "pool_deaths",
    "loops",
    "loop_tasks",
    "networks",
    "crawls",
)


def declared(program: str) -> list[harness.Case]:
    """Import a program and return its cases."""
    harness.CASES.clear()
    sys.modules.pop(program, None)
    importlib.import_module(program)
    return list(harness.CASES.values())


def prepare(program: str) -> None:
    """Let a program make what its samples need, such as a client in another language; each says what it is."""
    getattr(sys.modules[program], "prepare", lambda: None)()


def chosen(program: str, only: list[str] | None) -> list[harness.Case]:
    """Return a program's cases that the command line asks for.

    Args:
        program: the module that declares them.
        only: programs, and parts of names of cases; None means all.
    """
    cases = declared(program)
    if not only or program in only:
        return cases
    words = [word for word in only if word not in PROGRAMS]
    return [case for case in cases if any(word in case.name for word in words)]


def command_line() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help="print the programs, their cases and peers")
    parser.add_argument(
        "--only",
        action="append",
        metavar="WORDS",
        help="a program, or the cases whose names contain this; may be repeated",
    )
    parser.add_argument("--peers", metavar="A,B", help="only these columns; prints, keeps nothing")
    parser.add_argument(
        "--rounds", type=int, default=harness.ROUND_COUNT, help="samples of each (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=result_file.FOLDER, help="where to keep the figures")
    parser.add_argument("--quick", action="store_true", help="one round of little work; prints, keeps nothing")
    return parser


def measure(program: str, cases: list[harness.Case], options: argparse.Namespace) -> bool:
    """Measure a program's cases, print each when it is done, and keep the figures.

    Returns:
        Whether every peer that is there answered.
    """
    is_kept = not (options.quick or options.peers)
    # A name may have a comma in it, with a space behind.
    only = re.split(r",(?! )", options.peers) if options.peers else None
    is_well = True
    if cases:
        prepare(program)
    for case in cases:
        peers = [peer for peer in case.peers if not only or peer in only]
        rows = sampling.measure(program, case, 1 if options.quick else options.rounds, peers)
        for row in rows:
            print("\t".join(row.texts()), flush=True)
        is_well = is_well and all(row.has_answer or row.note.startswith("not available") for row in rows)
        # At once: an interrupted run keeps what it has.
        if is_kept:
            result_file.keep(program, rows, options.output)
    return is_well


def main() -> int:
    """Measure what the command line asks for; 1 if a peer failed, 2 if nothing has that name."""
    options = command_line().parse_args()
    if options.sample:
        program, name, peer = options.sample
        declared(program)
        sampling.answer(name, peer)
    if options.rounds < 1:
        print("--rounds must be at least 1", file=sys.stderr)
        return 2
    plan = [(program, chosen(program, options.only)) for program in PROGRAMS]
    if not any(cases for _program, cases in plan):
        print(f"no program or case has {' or '.join(options.only)} in its name; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        for program, cases in plan:
            for case in cases:
                unit = case.unit if isinstance(case.unit, str) else ", ".join(dict.fromkeys(case.unit.values()))
                print(f"{program}\t{case.name}\t{unit}\t{', '.join(case.peers)}")
        return 0
    # Packages that were installed come compiled; a source tree is compiled by its first sample, not by each.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if options.quick:
        os.environ["THREEFOLD_BENCH_QUICK"] = "1"
        sampling.IS_QUICK = True
    begin = time.monotonic()
    for name, value in result_file.circumstances().items():
        print(f"# {name}: {value}")
    print("\t".join(result_file.COLUMNS[:-1]), flush=True)
    results = [measure(program, cases, options) for program, cases in plan]
    print(f"# {time.monotonic() - begin:.0f} s", flush=True)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

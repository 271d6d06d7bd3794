"""Makes what a run needs before its first suite: the environments, and the certainty that they test what they should."""

from __future__ import annotations

import argparse
import os
import subprocess
import sysconfig
from dataclasses import replace
from pathlib import Path

from . import environment, loops, suites, uvloop_source
from .suite_process import Order


class NotReady(Exception):
    """The run cannot begin; says why."""


def prepare(chosen: argparse.Namespace, folder: Path) -> tuple[Order, set[str]]:
    """Make the environments of a run.

    Args:
        chosen: the command line.
        folder: an empty folder for them.

    Returns:
        How the suites are to be run, and which types under test, as `module:name`, are threefold's own.

    Raises:
        NotReady: the processes of the run would not be on threefold, or not on the loop under test.
        uvloop_source.Unavailable: the tests of uvloop cannot be had.
    """
    package = chosen.package.resolve()
    start = "" if chosen.standard_library else environment.ACTIVATION
    order = Order(
        environment.make(folder / "chosen", package, start), "", chosen.test_seconds, chosen.only, loop=chosen.loop
    )
    present: set[str] = set()
    if not chosen.standard_library and not all(suite.loop_for for suite in chosen.suites):
        present = _activate(chosen, order)
    if any(suite.group == suites.UVLOOP for suite in chosen.suites):
        order.uvloop = uvloop_source.folder()
    if any(suite.loop_for for suite in chosen.suites):
        # Loops that people install, and what uvloop's tests need, are beside the interpreter that runs this.
        installed = Path(sysconfig.get_path("platlib"))
        order.loop_interpreter = environment.make(folder / "loops", package, more=[installed])
        _try_loop(order)
    return order, present


def standard(order: Order, folder: Path, package: Path) -> Order:
    """Return an order for the same with nothing replaced.

    Args:
        order: of the run.
        folder: an empty folder for the environment.
        package: folder that holds `threefold`.
    """
    return replace(order, interpreter=environment.make(folder, package), loop=loops.STANDARD)


def _activate(chosen: argparse.Namespace, order: Order) -> set[str]:
    """Find out which parts the package replaces, for the order, and which types under test are its own."""
    subjects = [suite.subject for suite in chosen.suites if suite.subject]
    try:
        order.parts, present = environment.abilities(order.interpreter, subjects)
        fault = environment.fault(order.interpreter, order.parts)
    except RuntimeError as error:
        present, fault = set(), str(error)
    if fault:
        raise NotReady(f"a child of this run does not start on threefold: {fault}")
    return present


def _try_loop(order: Order) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "THREEFOLD"))}
    command = [order.loop_interpreter, "-m", "cpython.loops", order.loop]
    child = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
        raise NotReady(f"the loop under test, {order.loop}, cannot be made: {reason}")

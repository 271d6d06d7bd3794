"""Runs several suites at a time, each watched by a process of its own, which adopts and ends what that suite leaves over."""

from __future__ import annotations

import multiprocessing
from collections.abc import Generator
from multiprocessing.connection import Connection, wait

from . import suite_process
from .suite_process import Order, Outcome
from .suites import Suite

# Not the platform's default: a watcher needs nothing but what this process has already.
FORK = multiprocessing.get_context("fork")


def run_all(suites: list[Suite], order: Order, jobs: int) -> Generator[Outcome, None, None]:
    """Run suites and yield their outcomes in the order of the list, each as soon as all before it are done.

    Args:
        suites: which.
        order: with what, and how much of them.
        jobs: how many at a time.

    Raises:
        RuntimeError: the process that watched a suite has ended without an outcome.
    """
    waiting = list(suites)
    watchers: dict[Connection, tuple[Suite, multiprocessing.process.BaseProcess]] = {}
    outcomes: dict[str, Outcome] = {}
    try:
        for suite in suites:
            while suite.name not in outcomes:
                while waiting and len(watchers) < jobs:
                    connection, watcher = _start(waiting[0], order)
                    watchers[connection] = (waiting.pop(0), watcher)
                for connection in wait(list(watchers)):
                    done, watcher = watchers.pop(connection)  # type: ignore[index]
                    outcomes[done.name] = _outcome(connection, done)  # type: ignore[arg-type]
                    watcher.join()
            yield outcomes[suite.name]
    finally:
        for _, watcher in watchers.values():
            watcher.terminate()
            watcher.join()


def _start(suite: Suite, order: Order) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    receiver, sender = FORK.Pipe(duplex=False)
    watcher = FORK.Process(target=_watch, args=(sender, suite, order), name=suite.name)
    watcher.start()
    sender.close()
    return receiver, watcher


def _watch(sender: Connection, suite: Suite, order: Order) -> None:
    sender.send(suite_process.run(suite, order))


def _outcome(connection: Connection, suite: Suite) -> Outcome:
    try:
        outcome: Outcome = connection.recv()
    except EOFError as error:
        raise RuntimeError(f"the process that watched {suite.name} ended without an outcome") from error
    connection.close()
    return outcome

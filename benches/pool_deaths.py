"""One job of eight does what no job should: who hears of it, how soon, and what becomes of the others and of the pool."""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pool_work
from harness import Outcome, case, home
from pool_ends import POOLS, StandardPool, open_pool

PEERS = {name: peer for name, peer in POOLS.items() if home(peer) != "threefold"}
# Not among the fast ones, but made to outlive its workers.
PEERS |= {"deadpool": "deadpool:Deadpool"} | POOLS
GUILTY = pool_work.GUILTY
JOBS = range(8)
# What nobody has heard of after this long is said to hang.
LIMIT_S = 5.0
USABLE_LIMIT_S = 3.0


class Missing:
    """Stands for what has not come in time."""


def within(limit_s: float, call: Callable[[], Any]) -> Any:
    """Return what a call returns or raises, or `Missing`."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        # Whatever it is, it is what the caller of the pool would see.
        except BaseException as error:  # noqa: BLE001
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    return found[0] if found else Missing


def one_by_one(pool: StandardPool, deed: str) -> tuple[str, float]:
    """Submit each job; return what became of them, and when the caller heard of the guilty one."""
    submitted = [pool.submit(pool_work.job, number, deed) for number in JOBS]
    deadline = time.monotonic() + LIMIT_S
    fates: dict[int, Any] = {}
    heard = 0.0
    for number in sorted(JOBS, key=lambda number: number != GUILTY):
        left_s = max(deadline - time.monotonic(), 0.05)
        fates[number] = within(left_s, functools.partial(pool.result, submitted[number]))
        heard = heard or time.monotonic()
    return description(fates), heard


def description(fates: dict[int, Any]) -> str:
    """Say in a few words what became of the jobs."""
    missing = [number for number, fate in fates.items() if fate is Missing]
    failed = [number for number, fate in fates.items() if isinstance(fate, BaseException)]
    right = [number for number, fate in fates.items() if fate == number]
    if missing:
        return "HANG: " + ("the guilty job" if missing == [GUILTY] else f"{len(missing)} of {len(JOBS)} jobs")
    if set(failed) | set(right) | {GUILTY} != set(JOBS):
        return "wrong results"
    if failed == [GUILTY]:
        return f"only the guilty job fails ({type(fates[GUILTY]).__name__})"
    return f"{len(failed)} of {len(JOBS)} jobs fail" if failed else "no job fails"


def all_at_once(pool: StandardPool, deed: str) -> tuple[str, float]:
    """Do the same with a pool whose jobs succeed or fail together."""
    fate = within(LIMIT_S, lambda: pool.map(functools.partial(pool_work.job, deed=deed), list(JOBS), 1))
    heard = time.monotonic()
    if fate is Missing:
        return "HANG: the whole call", heard
    return f"the whole call fails ({type(fate).__name__})" if isinstance(fate, BaseException) else "no job fails", heard


def afterwards(pool: StandardPool) -> str:
    """Say what has become of the pool, if it does not work any more."""
    found = within(USABLE_LIMIT_S, lambda: pool.call(pool_work.same, 1))
    if found is Missing:
        return ", the pool hangs"
    return "" if found == 1 else ", the pool is broken" if isinstance(found, BaseException) else ", then a wrong result"


def after(deed: str) -> Callable[[str], Outcome]:
    """Return a case's function: what becomes of the jobs, and the milliseconds until the caller hears of the guilty one."""

    def measure(peer: str) -> Outcome:
        executions = pool_work.Executions()
        pool = open_pool(peer)
        pool.map(pool_work.same, [1, 2], 1)
        words, heard = (all_at_once if home(peer) == "joblib" else one_by_one)(pool, deed)
        if executions.count() > 2 + len(JOBS):
            words += ", some run twice"
        has_end = not words.startswith("HANG")
        return Outcome(words + afterwards(pool), (heard - executions.deed_s()) * 1e3 if has_end else None)

    return measure


for deed in pool_work.DEEDS:
    case(deed, "ms", PEERS)(after(deed))

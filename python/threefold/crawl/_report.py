"""What a crawl tells of itself, while it runs and when it is over."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

# Of the errors of a program's function so many are kept with their tracebacks; all are counted.
KEPT_ERRORS = 100


@dataclass(frozen=True)
class ParseError:
    """A page whose `parse` raised.

    Args:
        url: the page's address.
        error: the exception, in one line.
        traceback: where it came from; empty for a process that died.
    """

    url: str
    error: str
    traceback: str


@dataclass
class SlowParse:
    """A call of `parse` that took longer than ten seconds.

    Args:
        url: the page's address.
        function: the function's name.
        file: the file of the line that it was at.
        line: the line's number.
        seconds: how long it had been running when that was seen.
    """

    url: str
    function: str
    file: str
    line: int
    seconds: float


@dataclass(frozen=True)
class Progress:
    """The state of a running crawl.

    Args:
        elapsed: seconds since the start.
        pages: pages with an answer, by this process.
        bytes: bytes of their bodies, decompressed.
        in_flight: requests that are under way.
        queued: addresses that are known and not fetched yet.
        done: addresses that were answered and recorded.
        failed: addresses that could not be had.
        refused: addresses that were refused by a rule.
        items: items made.
        errors: failures by kind.
        refusals: refusals by reason.
        statuses: answers by status.
        slowest_host: the host in use with the highest latency, and the latency in seconds; None where none is.
    """

    elapsed: float
    pages: int
    bytes: int
    in_flight: int
    queued: int
    done: int
    failed: int
    refused: int
    items: int
    errors: dict[str, int]
    refusals: dict[str, int]
    statuses: dict[int, int]
    slowest_host: tuple[str, float] | None


@dataclass(frozen=True)
class Report(Progress):
    """The end of a crawl: its last state, and why it ended.

    Args:
        ending: "finished", "pages", "time", "bytes" (a limit), "stopped", "failed" or "no_seed" (none could be fetched).
        error: what failed, where something did.
        collected: the items that `parse` made, where the crawl has no output and no state.
        parse_errors: the first pages whose `parse` raised.
        parse_error_count: how many pages that were.
        slow_parses: calls of `parse` that took longer than ten seconds.
    """

    ending: str = "finished"
    error: str | None = None
    collected: list[dict[str, Any]] = field(default_factory=list)
    parse_errors: list[ParseError] = field(default_factory=list)
    parse_error_count: int = 0
    slow_parses: list[SlowParse] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether it ended as it was meant to: nothing is left, or a limit was reached."""
        return self.ending in ("finished", "pages", "time", "bytes")

    def to_dict(self) -> dict[str, Any]:
        """All of it as a dictionary that JSON can take; the collected items are left out."""
        described = asdict(self)
        del described["collected"]
        return described


def progress_of(text: str) -> Progress:
    """Read what the engine says while it runs.

    Args:
        text: a JSON object.
    """
    return Progress(**_progress(json.loads(text)))


def report_of(text: str, **found: Any) -> Report:
    """Read what the engine says at the end.

    Args:
        text: a JSON object.
        **found: what the program's side has found.
    """
    read = json.loads(text)
    return Report(ending=read["ending"], error=read["error"], **_progress(read["progress"]), **found)


def _progress(read: dict[str, Any]) -> dict[str, Any]:
    counts, slowest = read["counts"], read["slowest_host"]
    return {
        "elapsed": _seconds(read["elapsed"]),
        "pages": read["pages"],
        "bytes": read["bytes"],
        "in_flight": read["in_flight"],
        "queued": counts["queued"],
        "done": counts["done"],
        "failed": counts["failed"],
        "refused": counts["refused"],
        "items": read["items"],
        "errors": read["errors"],
        "refusals": read["refusals"],
        "statuses": {int(status): count for status, count in read["statuses"].items()},
        "slowest_host": None if slowest is None else (slowest[0], _seconds(slowest[1])),
    }


def _seconds(duration: dict[str, int]) -> float:
    return duration["secs"] + duration["nanos"] / 1e9

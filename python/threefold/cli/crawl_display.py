"""What `threefold crawl` shows: a line while it runs, and a table at its end."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from threefold.crawl import Progress, Report

# A terminal's line changes five times a second; a file gets a line every ten seconds.
TERMINAL_PERIOD_S = 0.2
FILE_PERIOD_S = 10.0

_ENDINGS = {
    "finished": "finished: every address that belongs to it was visited",
    "pages": "stopped: --pages was reached",
    "time": "stopped: --time was reached",
    "bytes": "stopped: --bytes was reached",
    "stopped": "stopped: it was interrupted",
    "failed": "failed",
    "no_seed": "no seed could be fetched",
}


def progress_line(progress: Progress, pages_per_second: float) -> str:
    """The crawl in one line.

    Args:
        progress: its state.
        pages_per_second: how fast it has been lately.
    """
    parts = [
        f"{progress.pages:,} pages",
        f"{pages_per_second:,.0f}/s",
        f"{progress.queued:,} queued",
        f"{progress.in_flight} in flight",
    ]
    if progress.items:
        parts.append(f"{progress.items:,} items")
    if progress.errors:
        kinds = sorted(progress.errors.items(), key=lambda pair: -pair[1])
        parts.append("errors: " + ", ".join(f"{kind} {count:,}" for kind, count in kinds[:3]))
    if progress.slowest_host is not None:
        host, latency = progress.slowest_host
        parts.append(f"slowest: {host} {latency * 1000:,.0f} ms")
    return " · ".join(parts)


class Line:
    """The progress line: one that changes on a terminal, plain ones elsewhere.

    Args:
        stream: where it is shown.
        is_quiet: whether nothing is shown.
    """

    def __init__(self, stream: TextIO, is_quiet: bool) -> None:
        self._stream = stream
        self._is_quiet = is_quiet
        self._is_terminal = stream.isatty()
        self._is_open = False
        self._before = (0.0, 0)
        self.period = TERMINAL_PERIOD_S if self._is_terminal else FILE_PERIOD_S

    def show(self, progress: Progress) -> None:
        """Show the state."""
        if self._is_quiet:
            return
        elapsed, pages = self._before
        since = progress.elapsed - elapsed
        rate = (progress.pages - pages) / since if since > 0 else 0.0
        if since >= 1.0 or not pages:
            self._before = (progress.elapsed, progress.pages)
        line = progress_line(progress, rate)
        if self._is_terminal:
            width = shutil.get_terminal_size().columns
            self._write(f"\r\x1b[K{line[: width - 1]}")
            self._is_open = True
        else:
            self._write(line + "\n")

    def say(self, sentence: str) -> None:
        """Show a sentence beside the line."""
        if not self._is_quiet:
            self.close()
            self._write(sentence + "\n")

    def close(self) -> None:
        """Take the line away."""
        if self._is_open:
            self._write("\r\x1b[K")
            self._is_open = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Who no longer looks is told nothing.
            self._is_quiet = True
        except UnicodeEncodeError:
            self._stream.write(text.encode("ascii", "replace").decode())


def table(report: Report) -> str:
    """The report for people.

    Args:
        report: the crawl's end.
    """
    rate = report.pages / report.elapsed if report.elapsed > 0 else 0.0
    rows: list[tuple[str, str]] = [
        ("ended", _ENDINGS[report.ending] + (f": {report.error}" if report.error else "")),
        ("pages", f"{report.pages:,} in {report.elapsed:,.1f} s ({rate:,.0f}/s), {_size(report.bytes)}"),
        (
            "addresses",
            f"{report.done:,} done, {report.failed:,} failed, {report.refused:,} refused, {report.queued:,} left",
        ),
    ]
    if report.items:
        rows.append(("items", f"{report.items:,}"))
    statuses = {str(status): count for status, count in report.statuses.items()}
    for name, counts in [("statuses", statuses), ("errors", report.errors), ("refusals", report.refusals)]:
        if counts:
            rows.append((name, ", ".join(f"{key} {count:,}" for key, count in sorted(counts.items()))))
    return "\n".join(f"{name:<10} {value}" for name, value in rows)


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    raise AssertionError(count)


def complain(sentence: str, command: str = "threefold crawl") -> None:
    """Say on standard error what is wrong.

    Args:
        sentence: what is wrong.
        command: the words that start the command.
    """
    print(f"{command}: {sentence}", file=sys.stderr)

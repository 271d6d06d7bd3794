"""`threefold crawl`: crawls web sites from the command line; also says why an address would be fetched, or not."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from threefold.cli import crawl_arguments as arguments
from threefold.cli.crawl_display import Line, complain, table
from threefold.cli.output import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from threefold._threefold import CrawlEngine
    from threefold.cli.usage import Parser

# How often Ctrl-C may come before the process ends without waiting for anything.
_LAST_WARNING = 3

# How often the crawl's end is looked for; seconds.
_TICK_S = 0.2

_CODES = {
    "finished": arguments.EXIT_FINISHED,
    "no_seed": arguments.EXIT_NO_SEED,
    "bytes": arguments.EXIT_BYTES,
    "time": arguments.EXIT_TIME,
    "pages": arguments.EXIT_PAGES,
    "stopped": arguments.EXIT_INTERRUPTED,
    "failed": arguments.EXIT_STORE,
}


def main(words: list[str]) -> int:
    """Crawl, or explain.

    Args:
        words: the words after `threefold crawl`.

    Returns:
        The exit code; see `--help`.

    Raises:
        SystemExit: after help or a wrong argument.
    """
    parser = arguments.parser()
    parsed = parser.parse_intermixed_args(words)
    if not parsed.seeds:
        if parsed.explain is None:
            parser.error("where to begin is missing: a URL")
        parsed.seeds = [parsed.explain]
    try:
        return _main(parser, parsed)
    except KeyboardInterrupt:
        return arguments.EXIT_INTERRUPTED


def _main(parser: Parser, parsed: Namespace) -> int:
    try:
        from threefold.crawl import StateError, StoreError
        from threefold.crawl._options import check
    except ImportError as error:
        complain(f"the engine is not built for this Python: {error}")
        return 1
    try:
        options = arguments.options_of(parsed)
        if parsed.explain is not None:
            return _explain(parsed.seeds, options, parsed.explain)
        checked = check(parsed.seeds, options, "threefold crawl")
        return _Command(parsed, checked).run()
    except (TypeError, ValueError, ImportError) as error:
        parser.error(str(error))
    except StateError as error:
        # The engine does not know what its options are called here.
        sentence = str(error).replace("resume it,", "resume it (--resume),")
        complain(sentence.replace("another folder", "another folder (--state)"))
        return arguments.EXIT_STATE
    except StoreError as error:
        complain(_with_advice(str(error), parsed))
        return arguments.EXIT_STORE


def _with_advice(sentence: str, parsed: Namespace) -> str:
    # Of its own state the engine has said so itself.
    if parsed.frontier == "memory" or "can be resumed" in sentence:
        return sentence
    return f"{sentence}; what was recorded is kept: go on with --resume"


def _explain(seeds: list[str], options: dict[str, Any], address: str) -> int:
    from threefold._threefold import _explain as explain
    from threefold.crawl._options import check

    state = options.get("state")
    if state is not None and not os.path.isdir(state):
        options["state"] = None
        options["frontier"] = None
    options |= {"resume": options["state"] is not None, "durable": False, "revisit": False, "output": None}
    checked = check(seeds, options, "threefold crawl")
    said = json.loads(explain(checked.engine, address))
    lines = [f"{'yes' if said['fetched'] else 'no'}: {said['url']}"]
    if said["canonical"] != said["url"]:
        lines.append(f"  known as {said['canonical']}")
    lines += [f"  {reason}" for reason in said["reasons"]]
    show("\n".join(lines))
    return 0


class _Command:
    """One run of the command.

    Args:
        parsed: its words.
        checked: the crawl's options.
    """

    def __init__(self, parsed: Namespace, checked: Any) -> None:
        self._parsed = parsed
        self._checked = checked
        self._line = Line(sys.stderr, parsed.quiet)
        self._engine: CrawlEngine | None = None
        self._interrupt_count = 0

    def run(self) -> int:
        from threefold.crawl import StoreError, _live

        state = self._checked.engine["state"]
        is_new = state is not None and not os.path.exists(state)
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._engine = engine = _live.start(self._checked, takes_pages=False, answers=False)
            if is_new:
                self._line.say(f"the state is in {state}{os.sep}")
            self._watch(engine)
            report = _live.finish(engine, self._checked)
        except StoreError as error:
            if error.report is None:
                raise
            complain(_with_advice(str(error.report.error), self._parsed))
            report = error.report
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._line.close()
        self._report(report)
        return _CODES[report.ending]

    def _watch(self, engine: CrawlEngine) -> None:
        from threefold.crawl._report import progress_of

        shown = time.monotonic()
        while engine.wait(_TICK_S) is None:
            if time.monotonic() - shown >= self._line.period:
                shown = time.monotonic()
                self._line.show(progress_of(engine.progress()))

    def _interrupt(self, _number: int, _frame: object) -> None:
        if self._engine is None:
            # Nothing has begun that must be finished.
            raise KeyboardInterrupt
        self._interrupt_count += 1
        if self._interrupt_count >= _LAST_WARNING:
            os._exit(arguments.EXIT_INTERRUPTED)
        if self._interrupt_count == 1:
            self._engine.stop()
            self._line.say("finishing what is in flight; Ctrl-C once more stops at once")
        else:
            self._engine.abort()

    def _report(self, report: Any) -> None:
        path = self._parsed.json_report
        described = json.dumps(report.to_dict(), indent=2)
        if path == "-":
            show(described)
        elif path is not None:
            try:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(described + "\n")
            except OSError as error:
                complain(f"the report can't be written to {path!r}: {error.strerror}")
        if not self._parsed.quiet and path != "-":
            if self._checked.engine["output"] == "-":
                self._line.say(table(report))
            else:
                show(table(report))
        if (
            report.ending in ("stopped", "pages", "time", "bytes", "failed")
            and self._checked.engine["state"] is not None
        ):
            self._line.say(f"to go on: threefold crawl {' '.join(self._again())}")

    def _again(self) -> list[str]:
        import shlex

        words = [*self._parsed.seeds]
        if self._parsed.state is not None:
            words += ["--state", self._parsed.state]
        return [*map(shlex.quote, words), "--resume", "(with the same options)"]

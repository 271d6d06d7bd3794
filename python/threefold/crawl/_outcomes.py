"""What `parse` makes of a page: items and requests, or an error."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from threefold._threefold import CrawlEngine, Page, Request
from threefold.crawl._report import KEPT_ERRORS, ParseError, SlowParse

Outcome = tuple[list[str], list[Request], str | None]
"""Items as JSON, requests, and the error in one line."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Maker:
    """Takes what `parse` makes of one page, piece by piece."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.requests: list[Request] = []

    def add(self, made: object) -> None:
        """Take an item, a request, or None.

        Args:
            made: what `parse` returned or yielded.

        Raises:
            TypeError: it is something else.
            ValueError: the item can't be written as JSON.
        """
        if type(made) is Request:
            self.requests.append(made)
        elif isinstance(made, dict):
            text = _encode(made)
            if not text.isascii():
                # A surrogate alone can be in a str, and in no file.
                text.encode()
            self.items.append(text)
        elif made is not None:
            advice = ": wrap an address in Request(...)" if isinstance(made, str) else ""
            raise TypeError(
                f"parse makes dictionaries and Requests, and this is a {type(made).__name__!r}{advice}",
            )

    def add_all(self, result: Any) -> None:
        """Take all that `parse` returned: one thing, or several.

        Args:
            result: an item, a request, None, or an iterable of these, a generator too.

        Raises:
            Exception: what a generator raises.
        """
        if result is None:
            return
        if isinstance(result, (dict, Request, str, bytes)) or not isinstance(result, Iterable):
            self.add(result)
            return
        requests = self.requests
        for made in result:
            # Nearly all that is made in a large crawl, many to a page.
            if type(made) is Request:
                requests.append(made)
            else:
                self.add(made)

    def outcome(self, error: BaseException | None = None) -> Outcome | None:
        """What the engine is told: None where there is nothing to tell."""
        if error is None and not self.items and not self.requests:
            return None
        return self.items, self.requests, None if error is None else one_line(error)


def one_line(error: BaseException) -> str:
    """An exception as its traceback's last line says it."""
    return " ".join("".join(traceback.format_exception_only(error)).split())


class Pace:
    """How many pages are taken at once: many while calls are short, one while they are long.

    So nobody sits on pages that others could parse.

    Args:
        most: how many at most: as many as cost less than a wake.
    """

    # What a batch may take; seconds.
    PERIOD_S = 0.02

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 1

    def learn(self, seconds: float, page_count: int) -> None:
        """Take a batch's time into account.

        Args:
            seconds: how long it took.
            page_count: how many pages it had.
        """
        self.count = max(1, min(self._most, int(self.PERIOD_S * page_count / max(seconds, 1e-6))))


class Ledger:
    """Where everything that `parse` makes arrives: it tells the engine, and keeps what the report needs.

    Args:
        collects: whether items are kept for the report.
    """

    def __init__(self, collects: bool) -> None:
        self.engine: CrawlEngine | None = None
        self.collects = collects
        self._lock = threading.Lock()
        self.collected: list[str] = []
        self.errors: list[ParseError] = []
        self.error_count = 0
        self.slow: list[SlowParse] = []

    def answer(self, pages: list[Page], outcomes: list[Outcome | None]) -> None:
        """Tell the engine what was made of pages.

        Args:
            pages: the pages.
            outcomes: what was made of each.
        """
        assert self.engine is not None
        if not any(outcomes):
            self.engine.done(pages)
            return
        for index, sentence in self.engine.answer(pages, outcomes):
            self.note_error(ParseError(pages[index].url, sentence, ""))
        if self.collects:
            with self._lock:
                for outcome in outcomes:
                    if outcome is not None:
                        self.collected += outcome[0]

    def note(self, page: Page, error: BaseException) -> None:
        """Keep the error of a page, with its traceback."""
        self.note_error(ParseError(page.url, one_line(error), "".join(traceback.format_exception(error))))

    def note_error(self, error: ParseError) -> None:
        """Keep the error of a page."""
        with self._lock:
            self.error_count += 1
            if len(self.errors) < KEPT_ERRORS:
                self.errors.append(error)

    def note_slow(self, slow: SlowParse) -> None:
        """Keep a call that takes long."""
        with self._lock:
            if len(self.slow) < KEPT_ERRORS:
                self.slow.append(slow)

    def found(self) -> dict[str, Any]:
        """What the report has from here."""
        with self._lock:
            return {
                "collected": [json.loads(item) for item in self.collected],
                "parse_errors": list(self.errors),
                "parse_error_count": self.error_count,
                "slow_parses": list(self.slow),
            }


def sweep(
    pages: list[Page],
    parse: Callable[[Page], Any],
    fail: Callable[[Page, BaseException], None],
    before: Callable[[Page], None],
) -> list[Outcome | None]:
    """Have `parse` called with each page, whatever it raises.

    Args:
        pages: the pages.
        parse: the program's function.
        fail: called with a page and what was raised for it.
        before: called with each page before it is parsed.
    """
    outcomes: list[Outcome | None] = []
    for page in pages:
        before(page)
        maker = Maker()
        try:
            result = parse(page)
            if result is not None:
                maker.add_all(result)
        except Exception as error:  # noqa: BLE001 - a page's error is the page's
            fail(page, error)
            outcomes.append(maker.outcome(error))
        else:
            outcomes.append(maker.outcome())
    return outcomes


def match(pages: list[Page], results: Any, function: str) -> list[Outcome | None]:
    """What a function of many pages made of each.

    Args:
        pages: the pages that it was given.
        results: what it returned.
        function: its name, for messages.

    Raises:
        TypeError: it returned no list, or something that can't be made of a page.
        ValueError: it returned more or fewer results than there were pages.
    """
    if results is None:
        return [None] * len(pages)
    if not isinstance(results, (list, tuple)):
        raise TypeError(f"{function} must return a list with a result for each page, not {type(results).__name__!r}")
    if len(results) != len(pages):
        raise ValueError(f"{function} returned {len(results)} results for {len(pages)} pages")
    outcomes = []
    for result in results:
        maker = Maker()
        maker.add_all(result)
        outcomes.append(maker.outcome())
    return outcomes

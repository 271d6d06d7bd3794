"""`parse` as a plain function: in one thread, and in a few more while calls of it block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from threefold._threefold import CrawlEngine, Page
from threefold.crawl import _watch
from threefold.crawl._outcomes import Ledger, Outcome, Pace, match, one_line, sweep

# Pages that a thread takes at once, at most.
TAKEN = 32

# How often somebody looks what the threads are at, and how long a call may block before another thread helps; seconds.
TICK_S = 0.05

# How long threads in a call that never ends are waited for at the end; seconds.
END_PATIENCE_S = 1.0


class Threads:
    """Parses pages in threads.

    Args:
        parse: the program's function of one page, or of many.
        takes_many: whether it is of many.
        taken: how many pages it gets at once, where it is of many.
        limit: how many threads there may be.
        ledger: what learns of the outcomes.
    """

    def __init__(
        self, parse: Callable[[Any], Any], *, takes_many: bool, taken: int, limit: int, ledger: Ledger
    ) -> None:
        self._parse = parse
        self._takes_many = takes_many
        self._taken = taken
        self._limit = limit
        self._ledger = ledger
        self._slots: list[_watch.Slot] = []
        self._threads: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._crash: BaseException | None = None

    def start(self, engine: CrawlEngine) -> None:
        """Begin to take pages."""
        self._engine = engine
        self._add_thread()
        watcher = threading.Thread(target=self._watch, name="crawl-watch", daemon=True)
        watcher.start()

    def join(self) -> None:
        """Wait until no thread has pages any more.

        Raises:
            BaseException: what ended a thread that was not the page's.
        """
        self._is_over.set()
        end = time.monotonic() + END_PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self._crash is not None:
            raise self._crash

    def _add_thread(self) -> None:
        slot = _watch.Slot()
        name = f"crawl-parse-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._run, args=(slot,), name=name, daemon=True)
        self._slots.append(slot)
        self._threads.append(thread)
        thread.start()

    def _run(self, slot: _watch.Slot) -> None:
        slot.thread = threading.get_ident()
        pace = Pace(TAKEN)
        try:
            while self._some(slot, pace):
                pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that joins
            self._crash = error
            self._engine.abort()

    def _some(self, slot: _watch.Slot, pace: Pace) -> bool:
        """Parse a few pages; False when there are no more. A call of its own, so that a thread that waits holds none."""
        pages = self._engine.take(self._taken if self._takes_many else pace.count)
        if pages is None:
            return False
        begun = time.monotonic()
        outcomes = self._many(pages, slot) if self._takes_many else self._each(pages, slot)
        slot.end()
        self._ledger.answer(pages, outcomes)
        pace.learn(time.monotonic() - begun, len(pages))
        return True

    def _each(self, pages: list[Page], slot: _watch.Slot) -> list[Outcome | None]:
        return sweep(pages, self._parse, self._ledger.note, slot.begin)

    def _many(self, pages: list[Page], slot: _watch.Slot) -> list[Outcome | None]:
        slot.begin(pages[0])
        try:
            return match(pages, self._parse(pages), _watch.name_of(self._parse))
        except Exception as error:  # noqa: BLE001 - the pages' error is the pages'
            for page in pages:
                self._ledger.note(page, error)
            return [([], [], one_line(error)) for _page in pages]

    def _watch(self) -> None:
        while not self._is_over.wait(TICK_S):
            now = time.monotonic()
            _watch.look(self._slots, self._parse, now, self._ledger.note_slow)
            is_blocked = all(slot.busy_for(now) > TICK_S for slot in self._slots)
            if is_blocked and len(self._threads) < self._limit and self._has_pages():
                self._add_thread()

    def _has_pages(self) -> bool:
        return self._engine.load()[0] > 0

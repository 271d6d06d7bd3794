"""`parse` in a pool of processes: pages go there in small chunks, and what was made of them comes back."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from threefold._threefold import CrawlEngine, Page
from threefold.crawl import _watch
from threefold.crawl._outcomes import Ledger, Outcome, match, one_line, sweep
from threefold.crawl._report import ParseError, SlowParse
from threefold.multiprocessing import Pool

# Pages that go to a process at once.
TAKEN = 8

# Chunks per process that may be on the way.
AHEAD = 2

TICK_S = 0.5


class Processes:
    """Parses pages in processes.

    Args:
        parse: the program's function of one page, or of many; it is pickled.
        takes_many: whether it is of many.
        taken: how many pages it gets at once, where it is of many.
        workers: how many processes.
        ledger: what learns of the outcomes.
    """

    def __init__(
        self, parse: Callable[[Any], Any], *, takes_many: bool, taken: int, workers: int, ledger: Ledger
    ) -> None:
        self._taken = taken if takes_many else TAKEN
        self._ledger = ledger
        self._room = threading.Semaphore(workers * AHEAD)
        self._workers = workers
        self._crash: BaseException | None = None
        # Before the crawl: its threads need not be there when processes are forked.
        self._pool = Pool(workers, _install, (parse, takes_many))

    def start(self, engine: CrawlEngine) -> None:
        """Begin to take pages."""
        self._engine = engine
        self._thread = threading.Thread(target=self._feed, name="crawl-parse", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """End the processes.

        Raises:
            BaseException: what ended the thread that was not a page's.
        """
        self._pool.terminate()
        self._pool.join()
        if self._crash is not None:
            raise self._crash

    def _feed(self) -> None:
        try:
            while (pages := self._engine.take(self._taken)) is not None:
                self._room.acquire()
                self._send(pages)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that joins
            self._crash = error
            self._engine.abort()

    def _send(self, pages: list[Page], *, frees_room: bool = True) -> None:
        def finish(results: tuple[list[Outcome | None], list[ParseError], list[SlowParse]]) -> None:
            outcomes, errors, slow = results
            for error in errors:
                self._ledger.note_error(error)
            for one in slow:
                self._ledger.note_slow(one)
            self._end(pages, outcomes, frees_room)

        def fail(error: BaseException) -> None:
            if len(pages) > 1:
                # One of them has ended the process; alone, each answers for itself.
                for index, page in enumerate(pages):
                    self._send([page], frees_room=frees_room and index == 0)
                return
            self._ledger.note(pages[0], error)
            self._end(pages, [([], [], one_line(error))], frees_room)

        self._pool.apply_async(_parse_chunk, (pages,), callback=finish, error_callback=fail)

    def _end(self, pages: list[Page], outcomes: list[Outcome | None], frees_room: bool) -> None:
        self._ledger.answer(pages, outcomes)
        if frees_room:
            self._room.release()


class _Worker:
    """What a process of the pool knows."""

    parse: Callable[[Any], Any]
    takes_many: bool
    slot: _watch.Slot
    slow: list[SlowParse]


def _install(parse: Callable[[Any], Any], takes_many: bool) -> None:
    _Worker.parse = staticmethod(parse)
    _Worker.takes_many = takes_many
    _Worker.slot = _watch.Slot()
    _Worker.slow = []
    threading.Thread(target=_look_after, name="crawl-watch", daemon=True).start()


def _look_after() -> None:
    pause = threading.Event()
    while not pause.wait(TICK_S):
        _watch.look([_Worker.slot], _Worker.parse, time.monotonic(), _Worker.slow.append)


def _parse_chunk(pages: list[Page]) -> tuple[list[Outcome | None], list[ParseError], list[SlowParse]]:
    """Parse pages in a process of the pool."""
    errors: list[ParseError] = []

    def fail(page: Page, error: BaseException) -> None:
        errors.append(ParseError(page.url, one_line(error), "".join(traceback.format_exception(error))))

    outcomes: list[Outcome | None]
    if _Worker.takes_many:
        _Worker.slot.begin(pages[0])
        try:
            outcomes = match(pages, _Worker.parse(pages), _watch.name_of(_Worker.parse))
        except Exception as error:  # noqa: BLE001 - the pages' error is the pages'
            for page in pages:
                fail(page, error)
            outcomes = [([], [], one_line(error)) for _page in pages]
    else:
        outcomes = sweep(pages, _Worker.parse, fail, _Worker.slot.begin)
    _Worker.slot.end()
    slow, _Worker.slow[:] = list(_Worker.slow), []
    return outcomes, errors, slow

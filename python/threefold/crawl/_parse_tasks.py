"""`parse` as a coroutine function: in tasks of an event loop of ours, on a thread of its own."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from threefold._threefold import CrawlEngine, Page, Request
from threefold.crawl import _watch
from threefold.crawl._outcomes import Ledger, Maker, Outcome, Pace

# Pages that a task takes at once, at most.
TAKEN = 16

# How often somebody looks what the tasks are at; seconds.
TICK_S = 0.5

END_PATIENCE_S = 1.0


class Tasks:
    """Parses pages in tasks: each takes pages and awaits `parse` for one after the other, so a page costs no task of its own.

    Args:
        parse: the program's coroutine function, or asynchronous generator function.
        limit: how many tasks there are.
        ledger: what learns of the outcomes.
    """

    def __init__(self, parse: Callable[[Page], Any], *, limit: int, ledger: Ledger) -> None:
        self._parse = parse
        self._limit = limit
        self._ledger = ledger
        self._slots: list[_watch.Slot] = []
        self._is_over = threading.Event()
        self._crash: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._all: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    def start(self, engine: CrawlEngine) -> None:
        """Begin to take pages."""
        self._engine = engine
        self._thread = threading.Thread(target=self._run, name="crawl-parse", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="crawl-watch", daemon=True).start()

    def join(self) -> None:
        """Wait until no task has pages any more; tasks that are left after a moment are cancelled.

        Raises:
            BaseException: what ended the loop that was not a page's.
        """
        if self._thread is None:
            return
        self._thread.join(END_PATIENCE_S)
        if self._thread.is_alive() and self._loop is not None and self._all is not None:
            try:
                self._loop.call_soon_threadsafe(self._all.cancel)
            except RuntimeError:
                # It was closed in between.
                pass
            self._thread.join(END_PATIENCE_S)
        self._is_over.set()
        if self._crash is not None:
            raise self._crash

    def _run(self) -> None:
        try:
            # Here, so that the first pages are fetched in the meantime.
            from threefold.asyncio import EventLoop

            with asyncio.Runner(loop_factory=EventLoop) as runner:
                self._loop = runner.get_loop()
                runner.run(self._main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that joins
            self._crash = error
            self._engine.abort()

    async def _main(self) -> None:
        self._all = asyncio.current_task()
        self._turn = asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            for _number in range(self._limit):
                group.create_task(self._work())

    async def _work(self) -> None:
        slot = _watch.Slot()
        self._slots.append(slot)
        takes_generator = inspect.isasyncgenfunction(inspect.unwrap(self._parse))
        pace = Pace(TAKEN)
        while await self._some(slot, pace, takes_generator):
            # Where pages come faster than they are parsed, no wait in there lets the others run.
            await asyncio.sleep(0)

    async def _some(self, slot: _watch.Slot, pace: Pace, takes_generator: bool) -> bool:
        """Parse a few pages; False when there are no more. A call of its own, so that a task that waits holds none."""
        pages = await self._take(pace.count)
        if pages is None:
            return False
        begun = time.monotonic()
        outcomes: list[Outcome | None] = []
        for page in pages:
            maker = Maker()
            try:
                await self._one(page, slot, maker, takes_generator)
            except Exception as error:  # noqa: BLE001 - a page's error is the page's
                self._ledger.note(page, error)
                outcomes.append(maker.outcome(error))
            else:
                outcomes.append(maker.outcome())
        slot.end()
        self._ledger.answer(pages, outcomes)
        pace.learn(time.monotonic() - begun, len(pages))
        return True

    async def _take(self, count: int) -> list[Page] | None:
        # One task waits at a time: a ring for pages would wake them all, and all but one for nothing.
        async with self._turn:
            return await self._engine.take_async(count)

    async def _one(self, page: Page, slot: _watch.Slot, maker: Maker, takes_generator: bool) -> None:
        running = self._parse(page)
        slot.frame = lambda: _frame_of(running)
        slot.begin(page)
        if takes_generator:
            requests = maker.requests
            async for made in running:
                # Nearly all that is made in a large crawl, many to a page.
                if type(made) is Request:
                    requests.append(made)
                else:
                    maker.add(made)
        else:
            result = await running
            if result is not None:
                maker.add_all(result)

    def _watch(self) -> None:
        while not self._is_over.wait(TICK_S):
            _watch.look(self._slots, self._parse, time.monotonic(), self._ledger.note_slow)


def _frame_of(running: Any) -> FrameType | None:
    """The frame of the program's coroutine, whether it runs or waits."""
    frame = getattr(running, "cr_frame", None) or getattr(running, "ag_frame", None)
    return frame if isinstance(frame, FrameType) else None

"""A new event loop of each peer, a coroutine run on it, and a case of it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from harness import UnavailableError, case, expect, load, require_own

LOOPS = {
    "asyncio": "asyncio:new_event_loop",
    "uvloop": "uvloop:new_event_loop",
    "rloop": "rloop:new_event_loop",
    "talyn": "talyn:Loop",
    "threefold": "threefold.asyncio:new_event_loop",
}

Loop = asyncio.AbstractEventLoop
Main = Callable[[Loop], Coroutine[Any, Any, Any]]
Measured = Callable[[Loop], Coroutine[Any, Any, float]]


def loop_factory(peer: str) -> Callable[[], Loop]:
    """Return what makes a new loop.

    Args:
        peer: its address; "module:attribute+aiofastnet" puts that package's transports on the loop.

    Raises:
        UnavailableError: if the peer is not there.
    """
    address, _, transports = peer.partition("+")
    try:
        factory = load(address)
        patch = load(f"{transports}:patch_loop") if transports else None
    except (ModuleNotFoundError, AttributeError) as reason:
        # Told as a row of its own: a table of loops must say who is missing.
        raise UnavailableError(str(reason).replace("No module named", "there is no module")) from None
    require_own(address, factory)
    return (lambda: patch(factory())) if patch else factory


def run_on(peer: str, main: Main) -> Any:
    """Run a coroutine function, which is given the loop, on a loop of a peer."""

    async def with_loop() -> Any:
        return await main(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=loop_factory(peer)) as runner:
        return runner.run(with_loop())


def on_loops(name: str, unit: str) -> Callable[[Measured], Measured]:
    """Declare the decorated coroutine function, which is given the running loop, as a case for every loop."""

    def declare(measured: Measured) -> Measured:
        case(name, unit, LOOPS)(lambda peer: float(run_on(peer, measured)))
        return measured

    return declare


class Countdown:
    """A callback that counts how often it is called, and ends a future at the last."""

    def __init__(self, loop: Loop, count: int) -> None:
        self.left = count
        self.future: asyncio.Future[float] = loop.create_future()

    def call(self, *_arguments: object) -> None:
        """Count one; the time of the last is the future's result."""
        self.left -= 1
        if not self.left:
            self.future.set_result(time.perf_counter())

    async def ended(self, begin: float) -> float:
        """Wait for the last call and return the seconds since `begin`."""
        end = await self.future
        # What is called once more than asked for would come now.
        await asyncio.sleep(0)
        expect(self.left, 0, "calls left")
        return end - begin

"""Event loops by themselves: callbacks, timers, wake-ups from threads, starting."""

import asyncio
import statistics
import threading
import time

from harness import case, expect, times
from loop_ends import LOOPS, Countdown, Loop, loop_factory, on_loops
from resident import resident_bytes

ARGUMENTS: dict[str, tuple[object, ...]] = {"": (), ", 1 argument": (1,), ", 3 arguments": (1, 2, 3)}
SHORT_SLEEP_S = 0.0003


for suffix, arguments in ARGUMENTS.items():

    @on_loops(f"call_soon, each from the one before{suffix}", "callbacks/s")
    async def chain(loop: Loop, arguments: tuple[object, ...] = arguments) -> float:
        count = left = times(200_000)
        future: asyncio.Future[None] = loop.create_future()

        def call(*_arguments: object) -> None:
            nonlocal left
            left -= 1
            if left:
                loop.call_soon(call, *arguments)
            else:
                future.set_result(None)

        begin = time.perf_counter()
        loop.call_soon(call, *arguments)
        await future
        elapsed = time.perf_counter() - begin
        expect(left, 0, "calls left")
        return count / elapsed

    @on_loops(f"call_soon, 200,000 at once{suffix}", "callbacks/s")
    async def burst(loop: Loop, arguments: tuple[object, ...] = arguments) -> float:
        count = times(200_000)
        countdown = Countdown(loop, count)
        call = countdown.call
        begin = time.perf_counter()
        for _ in range(count):
            loop.call_soon(call, *arguments)
        return count / await countdown.ended(begin)


@on_loops("call_later, 100,000 within 10 ms, until all have fired", "timers/s")
async def timers_fire(loop: Loop) -> float:
    count = times(100_000)
    countdown = Countdown(loop, count)
    begin = time.perf_counter()
    for number in range(count):
        loop.call_later(number % 1000 * 1e-5, countdown.call)
    return count / await countdown.ended(begin)


@on_loops("call_later, then cancel it", "timers/s")
async def timers_are_cancelled(loop: Loop) -> float:
    count = times(100_000)
    fired: list[int] = []
    begin = time.perf_counter()
    for number in range(count):
        loop.call_later(10, fired.append, number).cancel()
    elapsed = time.perf_counter() - begin
    expect(fired, [], "timers that fired")
    return count / elapsed


@on_loops("a cancelled timer of an hour", "bytes")
async def memory_of_cancelled_timers(loop: Loop) -> float:
    def make(count: int) -> None:
        for _ in range(count):
            loop.call_later(3600, int).cancel()

    count = times(400_000)
    make(1_000)
    await asyncio.sleep(0)
    before = resident_bytes()
    for _ in range(100):
        make(count // 100)
        await asyncio.sleep(0)
    return max(0, resident_bytes() - before) / count


@on_loops("sleep(0.0003) is off by", "us")
async def short_sleeps(_loop: Loop) -> float:
    off = []
    for _ in range(times(500)):
        begin = time.perf_counter()
        await asyncio.sleep(SHORT_SLEEP_S)
        off.append(abs(time.perf_counter() - begin - SHORT_SLEEP_S))
    return statistics.median(off) * 1e6


@on_loops("call_soon_threadsafe, 100,000 from a thread", "calls/s")
async def from_a_thread(loop: Loop) -> float:
    count = times(100_000)
    countdown = Countdown(loop, count)

    def work() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(countdown.call)

    thread = threading.Thread(target=work)
    begin = time.perf_counter()
    thread.start()
    elapsed = await countdown.ended(begin)
    thread.join()
    return count / elapsed


@on_loops("call_soon_threadsafe, the thread waits for each", "us")
async def to_and_fro_a_thread(loop: Loop) -> float:
    count = times(2_000)
    called = threading.Semaphore(0)
    countdown = Countdown(loop, count)

    def answer() -> None:
        countdown.call()
        called.release()

    def work() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(answer)
            called.acquire()

    thread = threading.Thread(target=work)
    begin = time.perf_counter()
    thread.start()
    elapsed = await countdown.ended(begin)
    thread.join()
    return elapsed / count * 1e6


@case("a loop: new, run nothing, close", "us", LOOPS)
def start(peer: str) -> float:
    factory = loop_factory(peer)
    count = times(200)
    ran = 0

    async def nothing() -> None:
        nonlocal ran
        ran += 1

    factory().close()
    begin = time.perf_counter()
    for _ in range(count):
        loop = factory()
        loop.run_until_complete(nothing())
        loop.close()
    elapsed = time.perf_counter() - begin
    expect(ran, count, "coroutines that ran")
    return elapsed / count * 1e6

"""What tasks cost on event loops, and what they wait for besides the network: executors, subprocesses."""

import asyncio
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from harness import expect, times
from loop_ends import Loop, on_loops

CAT_BYTES = 1 << 20


@on_loops("gather 100,000 sleep(0)", "tasks/s")
async def gather(_loop: Loop) -> float:
    count = times(100_000)

    async def same(number: int) -> int:
        return await asyncio.sleep(0, number)

    begin = time.perf_counter()
    results = await asyncio.gather(*[same(number) for number in range(count)])
    elapsed = time.perf_counter() - begin
    expect(results, list(range(count)), "the results")
    return count / elapsed


@on_loops("10,000 tasks that sleep 10 ms five times", "ms")
async def sleeping_tasks(_loop: Loop) -> float:
    count = times(10_000)
    woken = 0

    async def work() -> None:
        nonlocal woken
        for _ in range(5):
            await asyncio.sleep(0.01)
            woken += 1

    begin = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(count)])
    elapsed = time.perf_counter() - begin
    expect(woken, 5 * count, "sleeps")
    return elapsed * 1e3


@on_loops("create_task, then await it", "tasks/s")
async def create_and_await(loop: Loop) -> float:
    count = times(50_000)

    async def one() -> int:
        return 1

    total = 0
    begin = time.perf_counter()
    for _ in range(count):
        total += await loop.create_task(one())
    elapsed = time.perf_counter() - begin
    expect(total, count, "results")
    return count / elapsed


@on_loops("sleep(0) in 2 tasks in turn", "switches/s")
async def switches(_loop: Loop) -> float:
    count = times(100_000)
    passed = [0, 0]

    async def work(place: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)
            passed[place] += 1

    begin = time.perf_counter()
    await asyncio.gather(work(0), work(1))
    elapsed = time.perf_counter() - begin
    expect(passed, [count, count], "switches")
    return 2 * count / elapsed


@on_loops("run_in_executor, one at a time", "calls/s")
async def executor_one_at_a_time(loop: Loop) -> float:
    count = times(2_000)
    results = []
    with ThreadPoolExecutor(2) as executor:
        await loop.run_in_executor(executor, abs, 0)
        begin = time.perf_counter()
        for number in range(count):
            results.append(await loop.run_in_executor(executor, abs, number))  # noqa: PERF401 - has a frame of its own
        elapsed = time.perf_counter() - begin
    expect(results, list(range(count)), "the results")
    return count / elapsed


@on_loops("run_in_executor, 5,000 gathered", "calls/s")
async def executor_gathered(loop: Loop) -> float:
    count = times(5_000)
    with ThreadPoolExecutor(2) as executor:
        await loop.run_in_executor(executor, abs, 0)
        begin = time.perf_counter()
        results = await asyncio.gather(*[loop.run_in_executor(executor, abs, number) for number in range(count)])
        elapsed = time.perf_counter() - begin
    expect(results, list(range(count)), "the results")
    return count / elapsed


@on_loops("subprocess: start /bin/true and wait, one at a time", "processes/s")
async def spawn(_loop: Loop) -> float:
    count = times(100)
    codes = []
    begin = time.perf_counter()
    for _ in range(count):
        process = await asyncio.create_subprocess_exec("/bin/true")
        codes.append(await process.wait())
    elapsed = time.perf_counter() - begin
    expect(codes, [0] * count, "exit codes")
    return count / elapsed


@on_loops("subprocess: 1 MiB through cat", "MiB/s")
async def through_cat(_loop: Loop) -> float:
    count = times(20)
    sent = bytes(range(256)) * (CAT_BYTES // 256)
    received = []
    begin = time.perf_counter()
    for _ in range(count):
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        received.append((await process.communicate(sent))[0])
    elapsed = time.perf_counter() - begin
    expect(all(each == sent for each in received), True, "all came back as they were sent")
    return count * CAT_BYTES / (1 << 20) / elapsed

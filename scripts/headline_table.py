"""The table of the README: how many times as fast threefold is, row by row, in both languages."""

from typing import NamedTuple

import death_tables as deaths
from markdown import label, number, table
from measured import Measured

# The README's columns, those that there are; the last one is shown in absolute figures too.
VERSIONS = ("3.11", "3.13", "3.14")


class Line(NamedTuple):
    """A row of the README's table."""

    english: str
    chinese: str
    program: str
    case: str
    # The best of these is what threefold is compared with.
    yardsticks: tuple[str, ...] = ("threading",)
    ours: str = "threefold"


QUEUE, ASYNCIO_QUEUE, EXECUTOR = ("queue.Queue",), ("asyncio.Queue",), ("concurrent.futures",)
BRIDGES = ("call_soon_threadsafe", "janus", "culsans")
ALONE = "acquire + release, uncontended"
POOL = "thread pool of 2"
OTHER_LOOPS = ("asyncio", "uvloop", "rloop", "talyn")
ASYNC_CRAWLERS = ("aiohttp + selectolax", "primp + lxml", "pyreqwest + lxml")
CRAWL = "crawl, 5,000 pages of 20 KiB: rate"
MP_QUEUE, MP_POOL = ("multiprocessing.Queue",), ("multiprocessing.Pool",)

LINES = (
    Line("`Queue` put + get", "`Queue` put + get", "queues", "put + get, one thread", QUEUE),
    Line("`Queue` 1 producer, 1 consumer", "`Queue` 1 个生产者、1 个消费者", "queues", "1 producer, 1 consumer", QUEUE),
    Line(
        "`Queue` 4 producers, 4 consumers",
        "`Queue` 4 个生产者、4 个消费者",
        "queues",
        "4 producers, 4 consumers",
        QUEUE,
    ),
    Line("`Queue(1)` hand-over", "`Queue(1)` 逐个交接", "queues", "1 producer, 1 consumer, maxsize=1", QUEUE),
    Line("round trip over two `Queue`s", "经两个 `Queue` 往返一次", "queues", "round trip, 2 threads, 2 queues", QUEUE),
    Line(
        "`SimpleQueue` put + get (C there)",
        "`SimpleQueue` put + get（标准库用 C 实现）",
        "queues",
        "put + get, one thread",
        ("queue.SimpleQueue",),
        "threefold.SimpleQueue",
    ),
    Line("`Semaphore` acquire + release", "`Semaphore` acquire + release", "locks", f"Semaphore: {ALONE}"),
    Line("`Condition` in turn", "`Condition` 轮流通知", "locks", "Condition: notify and wait in turn"),
    Line("`Event` in turn", "`Event` 轮流设置", "locks", "Event: set and wait in turn"),
    Line("`Barrier` of two threads", "两个线程的 `Barrier`", "locks", "Barrier: 2 threads cross"),
    Line("`Lock` (C there)", "`Lock`（标准库用 C 实现）", "locks", f"Lock: {ALONE}"),
    Line("`RLock` (C there)", "`RLock`（标准库用 C 实现）", "locks", f"RLock: {ALONE}"),
    Line("`Thread` start + join", "`Thread` start + join", "threads", "Thread: start + join"),
    Line(
        "`ThreadPoolExecutor` submit all",
        "`ThreadPoolExecutor` 一次全部提交",
        "threads",
        f"{POOL}: submit all, then the results",
        EXECUTOR,
    ),
    Line(
        "`ThreadPoolExecutor` one at a time",
        "`ThreadPoolExecutor` 逐个提交",
        "threads",
        f"{POOL}: one at a time",
        EXECUTOR,
    ),
    Line(
        "thread to task, against the best of janus, culsans and `call_soon_threadsafe`",
        "线程到任务，对比 janus、culsans、`call_soon_threadsafe` 中最快者",
        "tasks",
        "thread to task, stream",
        BRIDGES,
    ),
    Line(
        "task to task, against `asyncio.Queue`",
        "任务到任务，对比 `asyncio.Queue`",
        "tasks",
        "task to task",
        ASYNCIO_QUEUE,
    ),
    Line(
        "`call_soon`, against the best of asyncio, uvloop, rloop and talyn",
        "`call_soon`，对比 asyncio、uvloop、rloop、talyn 中最快者",
        "loops",
        "call_soon, 200,000 at once",
        OTHER_LOOPS,
    ),
    Line(
        "TCP echo server, 1 KiB over 10 connections, against the best of them",
        "TCP 回显服务器，10 个连接各 1 KiB，对比其中最快者",
        "networks",
        "TCP, Protocol, 1 KiB x 10: rate",
        OTHER_LOOPS,
    ),
    Line(
        "the same with streams",
        "同上，用 streams",
        "networks",
        "TCP, streams, 1 KiB x 10: rate",
        OTHER_LOOPS,
    ),
    Line(
        "`Queue` of processes, 1 producer, 1 consumer",
        "进程间 `Queue` 1 个生产者、1 个消费者",
        "process_queues",
        "ints, 1 producer, 1 consumer",
        MP_QUEUE,
    ),
    Line(
        "`Queue` of processes, 4 producers, 4 consumers",
        "进程间 `Queue` 4 个生产者、4 个消费者",
        "process_queues",
        "ints, 4 producers, 4 consumers",
        MP_QUEUE,
    ),
    Line(
        "`Queue` of processes, arrays of 8 MB",
        "进程间 `Queue` 传递 8 MB 数组",
        "process_queues",
        "numpy array, 8 MB",
        MP_QUEUE,
    ),
    Line(
        "round trip between processes, against `Pipe`",
        "进程间往返一次，对比 `Pipe`",
        "process_queues",
        "round trip, 2 processes, 2 queues",
        ("multiprocessing.Pipe",),
    ),
    Line(
        "`Lock` of two processes",
        "两个进程争用的 `Lock`",
        "process_locks",
        "Lock: 2 processes contending",
        ("multiprocessing",),
    ),
    Line("`Pool.map`, chunksize=1", "`Pool.map`，chunksize=1", "process_pools", "map, chunksize=1", MP_POOL),
    Line("`Pool.map`, in chunks", "`Pool.map`，分块", "process_pools", "map 100,000, in chunks", MP_POOL),
    Line(
        "`Pool.map` over arrays of 8 MB, there and back",
        "`Pool.map` 往返传递 8 MB 数组",
        "process_pools",
        "map over arrays of 8 MB, there and back",
        MP_POOL,
    ),
    Line(
        "`ProcessPoolExecutor` submit each",
        "`ProcessPoolExecutor` 逐个提交",
        "process_pools",
        "submit each, then the results",
        ("ProcessPoolExecutor",),
        "threefold.ProcessPoolExecutor",
    ),
    Line("crawl of 5,000 pages, against Scrapy", "爬取 5,000 个页面，对比 Scrapy", "crawls", CRAWL, ("Scrapy",)),
    Line(
        "the same, against the best crawler of aiohttp, primp and pyreqwest",
        "同上，对比用 aiohttp、primp、pyreqwest 写成的最快者",
        "crawls",
        CRAWL,
        ASYNC_CRAWLERS,
    ),
)


def short_table(measured: dict[str, Measured], is_chinese: bool) -> str:
    """Return the README's table: how many times as fast threefold is, and what that is in absolute figures.

    Args:
        measured: all figures, by version.
        is_chinese: which language to write.
    """
    pythons = [measured[version] for version in VERSIONS if version in measured]
    if not pythons:
        return ""
    newest = pythons[-1]
    counts = sorted(
        {
            figure.sample_count
            for (program, _case, _peer), figure in newest.figures.items()
            if figure.median is not None and program != deaths.PROGRAM
        }
    )
    rounds = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]}-{counts[-1]}"
    page = "docs/reference/performance.md"
    if is_chinese:
        head = ["速度是标准库的几倍", *map(label, pythons), f"{newest.version}：标准库 → threefold"]
        foot = (
            f"每格是 {rounds} 次采样的中位数之比，各方轮流测量（{newest.facts['machine']}）。[全部数据与测法]({page})"
        )
    else:
        head = ["times as fast as the standard library", *map(label, pythons), f"{newest.version}: stdlib → threefold"]
        foot = (
            f"Ratios of medians of {rounds} samples, taken in turn ({newest.facts['machine']}). "
            f"[All figures, and how they were measured]({page})"
        )
    rows = [
        [line.chinese if is_chinese else line.english, *(ratio(python, line) for python in pythons), pair(newest, line)]
        for line in LINES
    ]
    # What has not been measured yet is no row.
    rows = [row for row in rows if set(row[1:]) != {"-"}]
    return f"{table(head, rows)}\n{foot}\n{deaths.short_table(newest, is_chinese)}"


def ratio(python: Measured, line: Line) -> str:
    """Return a cell: how many times as fast threefold is on one Python."""
    theirs = python.best(line.program, line.case, line.yardsticks)
    ours = python.best(line.program, line.case, (line.ours,))
    found = ours[1].ratio_to(theirs[1]) if ours and theirs else None
    if found is None:
        return "-"
    return f"{found:.0f} x" if found >= 10 else f"{found:.1f} x" if found >= 0.995 else f"{found:.2f} x"


def pair(python: Measured, line: Line) -> str:
    """Return a cell: both figures with their unit."""
    theirs = python.best(line.program, line.case, line.yardsticks)
    ours = python.best(line.program, line.case, (line.ours,))
    if not (ours and theirs):
        return "-"
    name = f"{theirs[0]}: " if len(line.yardsticks) > 1 else ""
    return f"{name}{number(theirs[1].median)} → {number(ours[1].median)} {ours[1].unit}"

"""The tables of what becomes of a pool in which a job does what no job should: in words, in both languages."""

import re

from markdown import label, number, table
from measured import Figure, Measured

PROGRAM = "pool_deaths"
TITLE = "When a job takes its worker with it"
# The README's columns.
SHOWN = ("multiprocessing.Pool", "ProcessPoolExecutor", "threefold")
# What the benches say, as a Chinese reader would.
CHINESE = (
    (r"exception cannot be unpickled", "异常无法反序列化"),
    (r"result cannot be unpickled", "结果无法反序列化"),
    (r"result cannot be pickled", "结果无法序列化"),
    (r"only the guilty job fails \((\w+)\)", r"只有出错的任务失败（\1）"),
    (r"HANG: the guilty job", "挂死：出错的任务永无结果"),
    (r"HANG: (\d+) of (\d+) jobs", r"挂死：\2 个任务中 \1 个永无结果"),
    (r"(\d+) of (\d+) jobs fail", r"\2 个任务中 \1 个失败"),
    (r"no job fails", "没有任务失败"),
    (r"wrong results", "结果错误"),
    (r", some run twice", "，有的执行了两次"),
    (r", the pool hangs", "，进程池挂死"),
    (r", the pool is broken", "，进程池报废"),
    (r", then a wrong result", "，此后结果错误"),
    (r"; ", "；"),
    (r", (?=[\d.]+ ms$)", "，"),
)


def death_tables(measured: dict[str, Measured]) -> list[str]:
    """Return the performance page's tables, one for each Python; none where nothing was measured."""
    parts = []
    for python in measured.values():
        deeds, peers = names(python)
        rows = []
        for peer in peers:
            cells = [outcome(python.figures.get((PROGRAM, deed, peer))) for deed in deeds]
            if set(cells) != {"-"}:
                rows.append([peer, *cells])
        if rows:
            parts.append(f"### {label(python)}\n\n{table(['peer', *deeds], rows)}")
    return [f"## {TITLE}\n", *parts] if parts else []


def names(python: Measured) -> tuple[list[str], list[str]]:
    """Return the deeds and the peers, in the order in which they were measured."""
    keys = [key for key in python.figures if key[0] == PROGRAM]
    return list(dict.fromkeys(deed for _, deed, _ in keys)), list(dict.fromkeys(peer for _, _, peer in keys))


def outcome(figure: Figure | None) -> str:
    """Return a cell: what happened, and how soon the caller heard of the guilty job."""
    if figure is None or figure.is_absent:
        return "-"
    words = figure.note.replace("|", "\\|")
    return words if figure.median is None else f"{words}, {number(figure.median)} ms"


def short_table(python: Measured, is_chinese: bool) -> str:
    """Return the README's table; nothing until it has a column of ours.

    Args:
        python: the figures of one Python.
        is_chinese: which language to write.
    """
    rows = []
    for deed in names(python)[0]:
        cells = [outcome(python.figures.get((PROGRAM, deed, peer))) for peer in SHOWN]
        if cells[-1] != "-":
            rows.append([chinese(cell) if is_chinese else cell for cell in (deed, *cells)])
    if not rows:
        return ""
    head = "8 个任务中的一个做了这件事" if is_chinese else "one job of eight does this"
    return f"\n{table([head, *SHOWN], rows)}"


def chinese(words: str) -> str:
    """Return what the benches say, in Chinese."""
    for pattern, replacement in CHINESE:
        words = re.sub(pattern, replacement, words)
    return words

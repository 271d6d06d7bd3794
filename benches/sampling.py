"""Takes samples: each in a fresh process, the peers in turn, so that whatever else the machine does meets them all."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import CASES, IS_QUICK, TIME_LIMIT_S, Case, Figures, Outcome, UnavailableError

RUN = Path(__file__).resolve().parent / "run.py"
ANSWER = "@@answer "
# Where loky and joblib put things that a process of theirs takes away later; it ends with the sample.
LEFT_IN = Path("/dev/shm")
# A peer whose samples have taken this long together gets no further rounds.
BUDGET_S = 60.0
# How long a sample waits for other programs to leave the processors alone, and all samples together.
QUIET_LIMIT_S = 3.0
QUIET_TOTAL_S = 120.0


@dataclass
class Column:
    """What the samples of one peer came to."""

    peer: str
    figures: list[dict[str, float]] = field(default_factory=list)
    # What happened, where that is asked for; mostly the same each time.
    words: list[str] = field(default_factory=list)
    note: str = ""
    spent_s: float = 0.0
    has_end: bool = True

    @property
    def is_open(self) -> bool:
        """Whether another round is worth its time."""
        return not self.note and self.has_end and self.spent_s < BUDGET_S


@dataclass(frozen=True)
class Row:
    """The median of one figure."""

    case: str
    peer: str
    unit: str
    figures: list[float]
    note: str
    has_answer: bool

    def texts(self) -> list[str]:
        """Return the cells of a table: case, peer, unit, median, least, most, samples, note."""
        if not self.figures:
            return [self.case, self.peer, self.unit, "", "", "", "0", self.note]
        summary = (statistics.median(self.figures), min(self.figures), max(self.figures))
        return [self.case, self.peer, self.unit, *map(digits, summary), str(len(self.figures)), self.note]


def digits(figure: float) -> str:
    """Return a figure with four significant digits."""
    rounded = float(f"{figure:.4g}")
    return f"{rounded:.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def answer(name: str, peer: str) -> None:
    """In the process of a sample: measure, print the answer, and leave without what the peer does at exit."""
    case = CASES[name]
    try:
        reply = reply_of(case.measure(case.peers[peer]))
    except (ModuleNotFoundError, UnavailableError) as reason:
        reply = {"note": f"not available: {reason}"}
    print(ANSWER + json.dumps(reply), flush=True)
    sys.stderr.flush()
    os._exit(0)


def reply_of(found: Figures | Outcome) -> dict[str, object]:
    """Return what a sample tells about what it found."""
    if isinstance(found, Outcome):
        has_end = found.figure is not None
        return {"figures": {"": found.figure} if has_end else {}, "words": found.words, "has_end": has_end}
    return {"figures": found if isinstance(found, dict) else {"": found}}


def measure(program: str, case: Case, round_count: int, peers: list[str]) -> list[Row]:
    """Measure a case for some peers in turn.

    Args:
        program: the module that declares the case.
        case: what to measure.
        round_count: samples of each peer.
        peers: the columns' names.
    """
    columns = [Column(peer) for peer in peers]
    for _ in range(round_count):
        for column in columns:
            if column.is_open:
                wait_for_quiet()
                begin = time.monotonic()
                sample(program, case.name, column)
                column.spent_s += time.monotonic() - begin
    # A package that is not installed is no column.
    shown = [column for column in columns if "No module named" not in column.note]
    parts = dict.fromkeys(part for column in shown for figures in column.figures for part in figures)
    # If all are without a figure, the one row is that of the first.
    parts = parts or dict.fromkeys([""] if isinstance(case.unit, str) else [next(iter(case.unit))])
    return [row(case, column, part) for part in parts for column in shown]


def row(case: Case, column: Column, part: str) -> Row:
    """Return one line of the table."""
    figures = [figures[part] for figures in column.figures if part in figures]
    note = "; ".join([*dict.fromkeys(column.words), *([column.note] if column.note else [])])
    name = f"{case.name}: {part}" if part else case.name
    return Row(name, column.peer, case.unit_of(part), figures, note, bool(figures or column.words))


def sample(program: str, name: str, column: Column) -> None:
    """Take one sample in a process of its own, which may crash or hang."""
    command = [sys.executable, str(RUN), "--sample", program, name, column.peer]
    # Files, not pipes: what outlives the sample would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
        )
        try:
            code: int | None = process.wait(TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end_session(process)
        output.seek(0)
        errors.seek(0)
        replies = [line.removeprefix(ANSWER) for line in output if line.startswith(ANSWER)]
        last_words = (errors.read().strip().splitlines() or [""])[-1][:160]
    if code == 0 and replies:
        reply = json.loads(replies[-1])
        column.figures += [reply["figures"]] if "figures" in reply else []
        column.words += [reply["words"]] if "words" in reply else []
        column.has_end = reply.get("has_end", True)
        column.note = reply.get("note", "")
    elif code is None:
        column.note = f"not done after {TIME_LIMIT_S:g} s"
    else:
        column.note = f"exit code {code}: {last_words}"


def end_session(process: "subprocess.Popen[bytes]") -> None:
    """End a sample and whatever it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for left in LEFT_IN.glob("*"):
        if re.match(rf"(sem\.loky-|joblib_memmapping_folder_){process.pid}[-_]", left.name):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


waited_s = 0.0


def wait_for_quiet() -> None:
    """Wait while something else keeps more than half a processor busy, for a limited time."""
    global waited_s
    begin = time.monotonic()
    while not IS_QUICK and waited_s < QUIET_TOTAL_S and time.monotonic() - begin < QUIET_LIMIT_S:
        before = busy_ticks()
        time.sleep(0.1)
        if busy_ticks() - before <= 0.05 * os.sysconf("SC_CLK_TCK") + 1:
            return
        waited_s += 0.1


def busy_ticks() -> int:
    """Return the clock ticks that the processors have worked since the machine's start."""
    # The columns are user, nice, system, idle, iowait, irq, ...
    ticks = [int(count) for count in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(ticks) - ticks[3] - ticks[4]

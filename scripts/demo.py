"""Runs the seven textbook examples on the engine, then measures it beside the standard library."""

import ast
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIME_LIMIT = 60.0  # seconds for one example
COMPARISON_TIME_LIMIT = 180.0  # seconds; it takes about 10

# What an example uses that the engine does not carry yet.
NOTES = {
    "03_two_processes.py": "processes and their queue: the standard library's; the threads inside: threefold's",
    "04_pool_of_four.py": "the process pool: the standard library's; the threads inside: threefold's",
    "05_two_tasks.py": "the event loop: the standard library's",
}


class DemoError(Exception):
    """A part of the demo did not do what it should; the text says which and how."""


def threefold(*arguments: str) -> list[str]:
    """The command line that runs `threefold` with this Python, installed as a script or not."""
    return [sys.executable, "-m", "threefold", *arguments]


def run(command: list[str], time_limit: float) -> str:
    """Runs a command to its end, or stops it and says what it was waiting for.

    Args:
        command: program and arguments.
        time_limit: seconds.

    Returns:
        What it wrote to stdout.

    Raises:
        DemoError: it took longer than `time_limit`, or its exit code is not 0.
    """
    # A session of its own, so that its children can be stopped with it.
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=time_limit)
        except subprocess.TimeoutExpired:
            waits = who_waits(process.pid)
            os.killpg(process.pid, signal.SIGKILL)
            raise DemoError(f"not done after {time_limit:g} s, stopped; it was waiting:\n{waits}") from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise DemoError(f"exit code {process.returncode}\n{output}{errors}")
    return output


def who_waits(process_id: int) -> str:
    """What `threefold waits` shows of a process, or why it can't."""
    shown = subprocess.run(threefold("waits", str(process_id)), capture_output=True, text=True, timeout=20, check=False)
    return shown.stdout + shown.stderr


def check_engine() -> None:
    """Makes sure that `threefold run` gives a program the engine, before anything is claimed about it."""
    probe = "import threading, queue; print(threading.Lock.__module__, queue.Queue.__module__)"
    modules = run(threefold("run", "-c", probe), TIME_LIMIT).split()
    if not all(module.startswith("threefold") for module in modules):
        raise DemoError(f"`threefold run` did not put its locks and queues in place: they come from {modules}")


def show(number: int, count: int, example: Path) -> None:
    """Runs one example on the engine and prints its title and what it printed."""
    title = (ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or "").splitlines()[0]
    print(f"{number}/{count}  {title}\n     threefold run {example.relative_to(ROOT)}", flush=True)
    begin = time.monotonic()
    try:
        output = run(threefold("run", str(example)), TIME_LIMIT)
    except DemoError as error:
        raise DemoError(f"{example.relative_to(ROOT)}: {error}") from None
    print(textwrap.indent(output, "     | "), end="")
    note = NOTES.get(example.name)
    print(f"     done in {time.monotonic() - begin:.1f} s" + (f"   ({note})" if note else "") + "\n", flush=True)


def main() -> int:
    """Shows everything; 0 when all of it worked."""
    examples = sorted((ROOT / "examples").glob("[0-9]*.py"))
    print(
        f"threefold: {len(examples)} programs written for plain Python, unchanged, on the engine "
        f"(Python {sys.version.split()[0]})\n",
        flush=True,
    )
    try:
        check_engine()
        for number, example in enumerate(examples, start=1):
            show(number, len(examples), example)
        print("Now side by side, on this machine; about 10 seconds ...\n", flush=True)
        print(run([sys.executable, str(ROOT / "scripts" / "side_by_side.py")], COMPARISON_TIME_LIMIT), end="")
    except DemoError as error:
        print(f"demo failed: {error}", file=sys.stderr)
        if "No module named 'requests'" in str(error):
            print("the crawler needs `requests`: pip install requests", file=sys.stderr)
        return 1
    print("\nNext: docs/tutorial, `threefold run your_program.py`, and examples/stuck.py with `threefold waits`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A program that its pool's processes cannot read again, because it is no file: an error says so, and nothing hangs."""

import subprocess
import sys

import pytest

PROGRAM = """
from threefold import multiprocessing
from threefold.futures import ProcessPoolExecutor

def double(number):
    return 2 * number

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    {use}
"""
USES = {
    "Pool": "with context.Pool(2) as pool: print(pool.map(double, range(4)))",
    "ProcessPoolExecutor": "print(list(ProcessPoolExecutor(2, mp_context=context).map(double, range(4))))",
}


def run(method: str, use: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(method=method, use=USES[use])
    return subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_program_from_standard_input_is_told_why_its_processes_do_not_start(method: str, use: str) -> None:
    outcome = run(method, use)
    assert outcome.returncode == 1
    assert "there is no file '<stdin>' to read: put the program into a file" in outcome.stderr


@pytest.mark.parametrize("use", USES)
def test_a_program_from_standard_input_may_fork(use: str) -> None:
    outcome = run("fork", use)
    assert (outcome.returncode, outcome.stdout) == (0, "[0, 2, 4, 6]\n"), outcome.stderr

"""A process that forks while it has an event loop: the child may run loops, and the parent's is not disturbed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).with_name("loop_fork_programs.py")
DONE = "(b'x', 3, 0, True)"

SAYS = {
    "a_child_runs_a_loop_of_its_own_while_the_parents_is_idle": [DONE, DONE],
    "a_child_runs_a_loop_of_its_own_while_the_parents_runs": [DONE, DONE],
    "a_child_has_no_running_loop": ["RuntimeError: no running event loop", "None", "True"],
    "an_inherited_loop_that_was_idle_works_in_the_child": ["b'x'", DONE],
    "an_inherited_loop_that_ran_is_still_said_to_run": [
        "True",
        "RuntimeError: Cannot close a running event loop",
        DONE,
    ],
    "a_child_that_ends_its_inherited_loop_does_not_disturb_the_parent": ["None", "[b'heard']"],
    "what_a_child_watches_is_no_news_to_the_parent": ["watches", DONE],
    "a_pool_of_processes_forked_from_within_a_task_works": [DONE, "0", DONE],
}

# What the standard library's own loop does not manage: its child takes away what the parent watches.
ONLY_OURS = {"a_child_that_ends_its_inherited_loop_does_not_disturb_the_parent"}


def run(loop, program):
    done = subprocess.run(
        [sys.executable, str(PROGRAMS), loop, program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_table_has_all_programs():
    defined = re.findall(r"^def (an?_\w+|what_\w+)\(\)", PROGRAMS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(defined) == sorted(SAYS)


@pytest.mark.parametrize("program", SAYS)
def test_a_fork_leaves_both_processes_with_loops_that_work(program):
    ours = run("threefold.asyncio:EventLoop", program)
    for line, said in zip(SAYS[program], ours, strict=True):
        assert said == line
    if program not in ONLY_OURS:
        assert run("asyncio:SelectorEventLoop", program) == ours

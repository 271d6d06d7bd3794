"""`threefold waits` and SIGQUIT show who waits for whom, also in processes that are stuck, forked or gone."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from threefold import _threefold

# Lets a program say that everything waits that should: it reads its own table until that is so.
WAITING = """\
import json, os
from threefold import _threefold

def count(word=""):
    try:
        waits = json.loads(_threefold.waits_report(os.getpid(), True))["processes"][0]["waiting"]
    except ValueError:
        return 0
    return sum(word in waiting["reason"] for waiting in waits)

def say_when(expected, word=""):
    while count(word) < expected:
        pass
    print("ready", flush=True)
"""

TWO_LOCKS = """\
import threading
from waiting import say_when

first, second = threading.{kind}(), threading.{kind}()
both_hold_one = threading.Barrier(2)

def take(mine, other):
    with mine:
        both_hold_one.wait()
        other.acquire({arguments})

threading.Thread(target=take, args=(first, second), name="worker-1", daemon=True).start()
threading.Thread(target=take, args=(second, first), name="worker-2", daemon=True).start()
say_when(2, "Lock.acquire")
input()
"""

GIL_HELD = """\
import re, threading
from waiting import say_when

lock = threading.Lock()
lock.acquire()
threading.Thread(target=lock.acquire, name="worker-1", daemon=True).start()
say_when(1)
re.match("(a+)+b", "a" * 200)
"""

TASKS = """\
import asyncio, queue
from waiting import count

async def main():
    items = queue.Queue()
    tasks = [asyncio.create_task(items.get_async(), name=f"fetch-{number}") for number in (7, 8)]
    while count() < 2:
        await asyncio.sleep(0)
    print("ready", flush=True)
    input()
    for task in tasks:
        task.cancel()

asyncio.run(main())
"""

FORK = """\
import os, threading
from waiting import say_when

lock = threading.Lock()
lock.acquire()
threading.Thread(target=lock.acquire, name="in the parent", daemon=True).start()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    threading.Thread(target=threading.Event().wait, name="in the child", daemon=True).start()
    say_when(1)
    os.read(reader, 1)
    os._exit(0)
input()
os.write(writer, b"x")
print(os.waitpid(child, 0)[1])
"""

ONE_WAIT = """\
import threading
from waiting import say_when

flag = threading.Event()
threading.Thread(target=flag.wait, name="worker-1").start()
say_when(1)
input()
flag.set()
print("went on")
"""

IDLE = "print('ready', flush=True)\ninput()\nprint('went on')\n"


WAIT_ONCE = """\
import threading
threading.Lock().acquire()
lock = threading.Lock()
lock.acquire()
print("waited" if not lock.acquire(timeout=0.001) else "did not wait", flush=True)
input()
"""


class Program:
    """A program under `threefold run` that has said "ready".

    Args:
        environment: where it runs.
        text: the program.
        variables: more of its environment.
    """

    def __init__(self, environment, text, **variables):
        environment.write("waiting.py", WAITING)
        environment.write("app.py", text)
        self.process = subprocess.Popen(
            [environment.python, "-m", "threefold", "run", "app.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=environment.folder,
            env={**environment.variables, **variables},
        )
        self.pid = self.process.pid
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()[1]

    def finish(self):
        """Let it go on, and return what it printed since, its errors and its exit code."""
        output, errors = self.process.communicate("\n")
        return output, errors, self.process.returncode


@contextmanager
def started(environment, text, **variables):
    program = Program(environment, text, **variables)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


def line_of(text, source):
    return 1 + source.splitlines().index(next(line for line in source.splitlines() if text in line))


@pytest.mark.parametrize(("kind", "verdict"), [("Lock", "possible deadlock"), ("RLock", "deadlock")])
def test_a_circle_of_locks_is_named_with_holders_and_lines(installed, kind, verdict):
    source = TWO_LOCKS.format(kind=kind, arguments="")
    with started(installed, source) as program:
        outcome = installed.threefold("waits", str(program.pid))
        assert (outcome.stderr, outcome.code) == ("", 0)
        head, *lines, told = outcome.stdout.splitlines()
    assert re.fullmatch(rf"process {program.pid}  .*app\.py +2 waiting", head)
    line = rf"  thread (\S+) \(\d+\)  {kind}\.acquire  held by thread (\S+) \(\d+\)  for \d+\.\d s  \S+/app\.py:(\d+)"
    number = str(line_of("other.acquire", source))
    found = sorted(re.fullmatch(line, each).groups() for each in lines)
    assert found == [("worker-1", "worker-2", number), ("worker-2", "worker-1", number)]
    what = "an RLock" if kind == "RLock" else "a Lock"
    circle = "{0} waits for {2} held by {1}, which waits for {2} held by {0}"
    ways = [circle.format("worker-1", "worker-2", what), circle.format("worker-2", "worker-1", what)]
    assert told in [f"{verdict}: {way}" for way in ways]


def test_a_wait_with_a_timeout_is_no_deadlock(installed):
    with started(installed, TWO_LOCKS.format(kind="RLock", arguments="timeout=1000")) as program:
        report = json.loads(installed.threefold("waits", "--json", str(program.pid)).stdout)
        assert [waiting["has_timeout"] for waiting in report["processes"][0]["waiting"]] == [True, True]
        assert report["verdicts"] == []
        assert "(has a timeout)" in installed.threefold("waits", str(program.pid)).stdout


def test_json_has_all_that_the_text_has(installed):
    source = TWO_LOCKS.format(kind="RLock", arguments="")
    with started(installed, source) as program:
        report = json.loads(installed.threefold("waits", str(program.pid), "--json").stdout)
    (process,) = report["processes"]
    assert (process["pid"], process["parent"]) == (program.pid, os.getpid())
    assert (process["not_shown"], process["unreadable"]) == (0, 0)
    assert process["command"].endswith("app.py")
    for waiting in process["waiting"]:
        assert waiting["waiter"]["kind"] == "thread"
        assert {waiting["waiter"]["name"], waiting["holder"]["name"]} == {"worker-1", "worker-2"}
        assert waiting["waiter"]["thread_id"] > program.pid
        assert waiting["reason"] == "RLock.acquire"
        assert waiting["seconds"] >= 0
        assert waiting["site"].endswith(f"app.py:{line_of('other.acquire', source)}")
    (verdict,) = report["verdicts"]
    assert (verdict["verdict"], verdict["pid"], len(verdict["cycle"])) == ("deadlock", program.pid, 2)


def test_a_process_that_is_stuck_with_the_interpreter_held_is_shown(installed):
    with started(installed, GIL_HELD) as program:
        outcome = installed.threefold("waits", str(program.pid))
        assert f"Lock.acquire  held by thread MainThread ({program.pid})" in outcome.stdout
        program.process.send_signal(signal.SIGQUIT)
        assert program.process.stderr.readline().startswith(f"process {program.pid} ")
        assert "thread worker-1 (" in program.process.stderr.readline()


def test_a_process_that_is_stopped_is_shown(installed):
    with started(installed, ONE_WAIT) as program:
        program.process.send_signal(signal.SIGSTOP)
        assert "Event.wait" in installed.threefold("waits", str(program.pid)).stdout


def test_tasks_are_shown_by_their_names_and_their_thread(installed):
    with started(installed, TASKS) as program:
        outcome = installed.threefold("waits", str(program.pid))
        for number in (7, 8):
            assert f"  task   fetch-{number} (thread MainThread)  Queue.get (empty)" in outcome.stdout
        assert program.finish()[1:] == ("", 0)


def test_forked_children_are_shown_below_their_parent(installed):
    with started(installed, FORK) as program:
        report = json.loads(installed.threefold("waits", "--json", str(program.pid)).stdout)
        parent, child = report["processes"]
        assert parent["pid"] == child["parent"] == program.pid
        assert parent["waiting"][0]["waiter"]["name"] == "in the parent"
        assert [waiting["waiter"]["name"] for waiting in child["waiting"]] == ["in the child"]
        output, _errors, code = program.finish()
        assert (output, code) == ("0\n", 0)


def test_sigquit_prints_the_waits_and_the_program_goes_on(installed):
    with started(installed, ONE_WAIT) as program:
        for _ in range(2):
            program.process.send_signal(signal.SIGQUIT)
            assert program.process.stderr.readline().endswith("app.py  1 waiting\n")
            assert "thread worker-1 (" in program.process.stderr.readline()
        output, errors, code = program.finish()
        assert (output, errors, code) == ("went on\n", "", 0)


def test_sigquit_before_any_wait_says_so_and_the_program_goes_on(installed):
    with started(installed, IDLE) as program:
        program.process.send_signal(signal.SIGQUIT)
        assert program.process.stderr.readline().startswith("threefold: nothing to show from here yet")
        assert program.finish() == ("went on\n", "", 0)


def test_a_program_that_has_waited_may_fork_without_a_warning(installed):
    installed.write("waiting.py", WAITING)
    installed.write(
        "app.py",
        "import os, threading\n"
        "from waiting import count\n"
        "def wait_once():\n"
        "    flag = threading.Event()\n"
        "    thread = threading.Thread(target=flag.wait)\n"
        "    thread.start()\n"
        "    while count() < 1: pass\n"
        "    flag.set()\n"
        "    thread.join()\n"
        "wait_once()\n"
        # A joined thread is counted by the kernel for a moment longer, here and in plain Python.
        "def is_alone(): return len(os.listdir('/proc/self/task')) <= 2\n"
        "for _ in range(20):\n"
        "    while not is_alone(): pass\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "wait_once()\n",
    )
    outcome = installed.run(["-W", "always", "-m", "threefold", "run", "app.py"])
    assert (outcome.stderr, outcome.code) == ("", 0)
    outcome = installed.threefold("run", "-W", "always", "app.py")
    assert (outcome.stderr, outcome.code) == ("", 0)


def table_of(folder, pid):
    return folder / "threefold" / f"{pid}.waits"


@pytest.fixture
def tables(tmp_path):
    """Give a private folder for tables."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    return folder


def test_the_table_is_removed_at_exit_and_a_killed_process_s_by_the_next_one(installed, tables):
    with started(installed, ONE_WAIT, XDG_RUNTIME_DIR=str(tables)) as program:
        table = table_of(tables, program.pid)
        assert table.stat().st_mode & 0o777 == 0o600
        assert program.finish()[2] == 0
        assert not table.exists()
    with started(installed, ONE_WAIT, XDG_RUNTIME_DIR=str(tables)) as program:
        pass
    assert table_of(tables, program.pid).exists()
    outcome = installed.threefold("waits", str(program.pid), XDG_RUNTIME_DIR=str(tables))
    assert (outcome.stdout, outcome.code) == ("", 1)
    assert outcome.stderr == f"threefold waits: no process {program.pid}\n"
    with started(installed, ONE_WAIT, XDG_RUNTIME_DIR=str(tables)) as other:
        assert sorted(tables.glob("threefold/*")) == [table_of(tables, other.pid)]


def test_a_folder_that_others_can_write_to_is_not_used(installed, tables):
    (tables / "threefold").mkdir()
    (tables / "threefold").chmod(0o777)
    with started(installed, IDLE + WAIT_ONCE, XDG_RUNTIME_DIR=str(tables)) as program:
        program.process.stdin.write("\n")
        program.process.stdin.flush()
        assert program.process.stdout.readline() == "went on\n"
        assert program.process.stdout.readline() == "waited\n"
        program.process.send_signal(signal.SIGQUIT)
        told = program.process.stderr.readline()
        assert told.endswith(f"{tables}/threefold is not a directory that only this user can write to\n")
        assert program.finish() == ("", "", 0)


def test_a_process_that_became_another_program_has_no_table(installed):
    text = "import os, sys\n" + ONE_WAIT.replace(
        "flag.set()", "os.execv(sys.executable, [sys.executable, '-S', '-c', 'print(1, flush=True); input()'])"
    )
    with started(installed, text) as program:
        program.process.stdin.write("\n")
        program.process.stdin.flush()
        assert program.process.stdout.readline() == "1\n"
        outcome = installed.threefold("waits", str(program.pid))
        assert outcome.stderr.startswith(f"threefold waits: process {program.pid} has no wait table: ")


def test_a_process_without_threefold_is_told_from_one_that_is_not_there(installed):
    with started(installed, IDLE) as program:
        outcome = installed.threefold("waits", str(program.pid))
        sentence = "has no wait table: it is not run by threefold, or nothing in it has waited yet"
        assert (outcome.stdout, outcome.code) == ("", 1)
        assert outcome.stderr == f"threefold waits: process {program.pid} {sentence}\n"
    outcome = installed.threefold("waits", "4194304")
    assert (outcome.stdout, outcome.stderr, outcome.code) == ("", "threefold waits: no process 4194304\n", 1)
    with pytest.raises(ProcessLookupError, match="no process 4194304"):
        _threefold.waits_report(4194304, False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may see every process")
def test_another_user_s_process_is_not_ours_to_see(installed):
    outcome = installed.threefold("waits", "1")
    assert outcome.stderr == "threefold waits: process 1 belongs to user 0; only that user and root can see its waits\n"


def test_a_broken_table_costs_one_sentence(installed, tables):
    with started(installed, ONE_WAIT, XDG_RUNTIME_DIR=str(tables)) as program:
        whole = table_of(tables, program.pid).read_bytes()
    word = (2).to_bytes(8, sys.byteorder)
    broken = {
        "is not a threefold wait table": b"#!/bin/sh\necho not a table\n",
        "is cut short at byte 0": b"",
        "is cut short at byte 70000": whole[:70000],
        "was written by version 2 of the format; this threefold reads version 1": whole[:8] + word + whole[16:],
        "is damaged: it says that 72057594037927936 wait rows are used": whole[:64] + b"\0" * 7 + b"\x01" + whole[72:],
    }
    with started(installed, IDLE, XDG_RUNTIME_DIR=str(tables)) as program:
        table = table_of(tables, program.pid)
        for sentence, content in broken.items():
            table.write_bytes(content)
            outcome = installed.threefold("waits", str(program.pid), XDG_RUNTIME_DIR=str(tables))
            assert outcome.stderr.startswith(f"threefold waits: {table} {sentence}")
            assert (outcome.stdout, outcome.stderr.count("\n"), outcome.code) == ("", 1, 1)
        table.write_bytes(whole)
        outcome = installed.threefold("waits", str(program.pid), XDG_RUNTIME_DIR=str(tables))
        assert "has no wait table" in outcome.stderr


@pytest.mark.parametrize("word", ["app", "-5", "0", "4_2", "٤٢", "99999999999", ""])
def test_a_wrong_number_costs_one_sentence(installed, word):
    outcome = installed.threefold("waits", word)
    assert (outcome.stdout, outcome.code, outcome.stderr.count("\n")) == ("", 2, 1)
    assert outcome.stderr.startswith("threefold waits: ")


def test_a_missing_number_and_an_unknown_option_are_wrong(installed):
    assert installed.threefold("waits").stderr.startswith("threefold waits: the following arguments are required: PID")
    assert installed.threefold("waits", "1", "--frames").code == 2


def test_help_has_examples_and_exit_codes(installed):
    outcome = installed.threefold("waits", "--help")
    assert (outcome.stderr, outcome.code) == ("", 0)
    assert "threefold waits 4242\n" in outcome.stdout
    assert "exit code: 0 shown, 1 cannot be shown, 2 a wrong argument" in outcome.stdout

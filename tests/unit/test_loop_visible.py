"""A callback that keeps an event loop from all others is named while it does; a loop that is at work or asleep is not."""

import os
import re
import subprocess
import sys

import pytest

# What blocks ends when the test has read the warning, and closes standard input.
HEAD = """\
import asyncio, os, re, select, threading, time
import threefold.asyncio

def run(main, **how):
    threefold.asyncio.run(main(), **how)

"""

PATIENT = """\
def work():
    os.read(0, 1)

async def main():
    asyncio.get_running_loop().call_soon(work)
    await asyncio.sleep(0.01)

run(main)
"""

BUSY = """\
def work():
    while not select.select([0], [], [], 0)[0]:
        pass

class Protocol(asyncio.Protocol):
    def data_received(self, data):
        work()
        done.set_result(None)

async def main():
    global done
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    transport, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
    transport.write(b"x")
    await done
    transport.close()
    server.close()

run(main)
"""

NATIVE = """\
async def main():
    asyncio.get_running_loop().call_soon(os.read, 0, 1)
    await asyncio.sleep(0.01)

run(main)
"""

IN_A_THREAD = """\
async def main():
    os.read(0, 1)

thread = threading.Thread(target=run, args=(main,), name="second")
thread.start()
thread.join()
"""

# Each attempt takes twice as long as the one before, in one call that keeps the interpreter.
HELD = """\
async def attempt(length):
    begin = time.monotonic()
    re.match("(a+)+b", "a" * length)
    return time.monotonic() - begin

async def main():
    length = 14
    while await asyncio.create_task(attempt(length), name="parse") < 0.8:
        length += 1
    await asyncio.sleep(0.3)

run(main)
"""

HELD_WITHOUT_A_FRAME = """\
async def main():
    loop, match, length, taken = asyncio.get_running_loop(), re.compile("(a+)+b").match, 14, 0.0
    while taken < 0.8:
        length += 1
        begin = time.monotonic()
        loop.call_soon(match, "a" * length)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        taken = time.monotonic() - begin
    await asyncio.sleep(0.3)

run(main)
"""

NOT_BLOCKED = """\
def inner():
    # Another loop within a callback, as some notebooks do it.
    asyncio._set_running_loop(None)
    loop = threefold.asyncio.new_event_loop()
    for _ in range(100):
        loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    asyncio._set_running_loop(outer)

def short():
    if time.monotonic() < end:
        outer.call_soon(short)

async def main():
    global outer, end
    outer = asyncio.get_running_loop()
    await asyncio.sleep(1.3)
    end = time.monotonic() + 1.3
    short()
    await asyncio.sleep(1.4)
    # Not in a task: from Python 3.14 on a thread is in one task at a time, whatever the loop.
    outer.call_soon(inner)
    await asyncio.sleep(0.01)

run(main)
"""

FORK = """\
async def nothing():
    await asyncio.sleep(0)

async def main():
    await asyncio.sleep(0.3)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            asyncio._set_running_loop(None)
            threefold.asyncio.run(asyncio.sleep(0.3))
            os._exit(7)
        assert os.waitpid(child, 0)[1] == 7 << 8
    # From Python 3.13 on its thread comes back in a turn of the loop.
    await asyncio.sleep(0)
    os.read(0, 1)

run(main)
"""


def started(text, *, variables=None, options=()):
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("THREEFOLD", "PYTHONASYNCIO"))
    }
    return subprocess.Popen(
        [sys.executable, *options, "-c", HEAD + text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, **(variables or {"THREEFOLD_BLOCKED": "0.3"})},
    )


def line_of(source, text):
    lines = (HEAD + text).splitlines()
    return 1 + next(number for number, line in enumerate(lines) if source in line)


@pytest.mark.parametrize(
    ("text", "thread", "who", "source"),
    [
        (PATIENT, "MainThread", "callback work (<string>:{work})", "os.read(0, 1) in work"),
        (BUSY, "MainThread", "callback Protocol.data_received", "in work"),
        (NATIVE, "MainThread", "callback read", ""),
        (IN_A_THREAD, "second", "task Task-1 (main)", "os.read(0, 1) in main"),
    ],
    ids=["that waits", "that is busy", "without a line of Python", "in another thread"],
)
def test_a_callback_is_named_while_it_blocks_its_loop(text, thread, who, source):
    with started(text) as program:
        told = program.stderr.readline()
        output, errors = program.communicate("")
    head = f"threefold: event loop of thread {thread} blocked for "
    assert told.startswith(head)
    if "{work}" in who:
        who = who.format(work=line_of("def work", text))
    match = re.fullmatch(r"(\d+\.\d) s by (.*?)(?:, at <string>:(\d+) in (\S+))?\n", told[len(head) :])
    seconds, by, line, function = match.groups()
    assert float(seconds) >= 0.3
    assert by == who
    if source:
        statement, _, inside = source.rpartition("in ")
        assert function == inside
        if statement:
            assert int(line) == line_of(statement.strip(), text)
    assert (output, errors, program.returncode) == ("", "", 0)


def test_a_call_that_holds_the_interpreter_is_named_when_it_lets_go():
    with started(HELD) as program:
        output, errors = program.communicate("")
    *_, told = errors.splitlines()
    assert re.fullmatch(
        r"threefold: event loop of thread MainThread blocked for \d+\.\d s by task parse \(attempt\), "
        rf"at <string>:{line_of('re.match', HELD)} in attempt",
        told,
    )
    assert (output, program.returncode) == ("", 0)


def test_a_call_that_nobody_could_look_at_is_told_all_the_same():
    with started(HELD_WITHOUT_A_FRAME) as program:
        output, errors = program.communicate("")
    assert errors.splitlines()
    for told in errors.splitlines():
        assert re.match(r"threefold: event loop of thread MainThread (was )?blocked for \d+\.\d s by ", told)
    assert (output, program.returncode) == ("", 0)


def test_loops_that_sleep_or_run_short_callbacks_or_another_loop_are_not_blocked():
    with started(NOT_BLOCKED, variables={"THREEFOLD_BLOCKED": "0.9"}) as program:
        assert program.communicate("") == ("", "")
        assert program.returncode == 0


@pytest.mark.parametrize("variables", [{"THREEFOLD_BLOCKED": "0"}, {"OTHER": "1"}], ids=["turned off", "not asked for"])
def test_nothing_is_said_where_nobody_asked_for_it(variables):
    text = PATIENT.replace("os.read(0, 1)", "time.sleep(1.5)")
    with started(text, variables=variables) as program:
        assert program.communicate("") == ("", "")


def test_debug_mode_names_the_callback_while_it_blocks_and_after_it():
    with started(PATIENT, variables={"PYTHONASYNCIODEBUG": "1"}) as program:
        assert " by callback work " in program.stderr.readline()
        _, errors = program.communicate("")
    line = line_of("def work", PATIENT)
    assert re.search(rf"Executing <Handle work\(\) at <string>:{line} created at \S+:\d+> took \d\.\d+ seconds", errors)


def test_a_number_that_is_none_is_said_and_the_limit_stays():
    with started("", variables={"THREEFOLD_BLOCKED": "soon"}) as program:
        assert program.communicate("")[1] == "threefold: THREEFOLD_BLOCKED is not a number of seconds: 'soon'\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_loop_may_fork_and_its_child_is_looked_after_too():
    with started(FORK, options=("-W", "error::DeprecationWarning")) as program:
        told = program.stderr.readline()
        output, errors = program.communicate("")
    assert " by task Task-1 (main), at <string>:" in told
    assert (output, errors, program.returncode) == ("", "", 0)


def test_a_warning_that_nobody_reads_does_not_keep_the_process() -> None:
    program = """
import asyncio, os, time, threefold.asyncio

async def main():
    time.sleep(1)

reading, writing = os.pipe()
os.set_blocking(writing, False)
try:
    while True:
        os.write(writing, bytes(4096))
except BlockingIOError:
    os.set_blocking(writing, True)
os.dup2(writing, 2)
threefold.asyncio.run(main())
print("done")
"""
    settings = os.environ | {"THREEFOLD_BLOCKED": "0.2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=settings, stdout=subprocess.PIPE, text=True, timeout=30, check=True
    )
    assert done.stdout == "done\n"

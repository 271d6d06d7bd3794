"""`threefold waits` and SIGQUIT show what the tasks of an event loop await, and which callback blocks the loop."""

import json
import re
import signal

import pytest

from .test_waits import line_of, started

# A loop can be asked once it has run for a moment.
HEAD = """\
import asyncio, os, queue, socket, sys, threading
from threefold import _threefold

async def until_input():
    event = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, event.set)
    while True:
        try:
            if '"loops":[{' in _threefold.waits_report(os.getpid(), True).replace(" ", ""):
                break
        except ValueError:
            pass
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await event.wait()

"""

TASKS = (
    HEAD
    + """\
async def sleeps():
    await asyncio.sleep(500)

async def awaits(task):
    await task

async def reads(reader):
    await reader.readline()

async def receives(reader):
    await reader.read(100)

async def receives_by_itself(sock):
    await asyncio.get_running_loop().sock_recv(sock, 100)

async def waits_for_a_future():
    await asyncio.get_running_loop().create_future()

async def waits_for_a_thread(done):
    await asyncio.get_running_loop().run_in_executor(None, done.wait)

async def waits_for_a_child():
    child = await asyncio.create_subprocess_exec("sleep", "500")
    started.set()
    try:
        await child.wait()
    finally:
        child.kill()
        await child.wait()

async def locks(lock):
    async with lock:
        await asyncio.sleep(500)

async def takes(items):
    await items.get_async()

async def main():
    global started
    started = asyncio.Event()
    connections = []
    async def serve(reader, writer):
        connections.append(writer)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    one, other = socket.socketpair()
    one.setblocking(False)
    done, lock = threading.Event(), asyncio.Lock()
    def start(name, coroutine):
        return asyncio.create_task(coroutine, name=name)
    sleeper = start("sleeper", sleeps())
    tasks = [
        sleeper,
        start("awaiter", awaits(sleeper)),
        start("gatherer", awaits(asyncio.gather(sleeper, start("second", sleeps())))),
        start("line reader", reads(ends[0][0])),
        start("reader", receives(ends[1][0])),
        start("receiver", receives_by_itself(one)),
        start("future", waits_for_a_future()),
        start("executor", waits_for_a_thread(done)),
        start("parent", waits_for_a_child()),
        start("has lock", locks(lock)),
        start("wants lock", locks(lock)),
        start("taker", takes(queue.Queue())),
    ]
    await started.wait()
    await until_input()
    done.set()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

asyncio.run(main())
"""
)

RING = (
    HEAD
    + """\
async def first():
    await asyncio.sleep(0)
    await tasks[1]

async def second():
    await tasks[0]

async def main():
    global tasks
    tasks = [asyncio.create_task(first(), name="one"), asyncio.create_task(second(), name="two")]
    await until_input()

asyncio.run(main())
"""
)

LOCKS = (
    HEAD
    + """\
async def take(mine, other, event):
    await mine.acquire_async()
    event.set()
    await asyncio.gather(*[each.wait() for each in events])
    await other.acquire_async()

async def main():
    global events
    events = [asyncio.Event(), asyncio.Event()]
    a, b = threading.Lock(), threading.Lock()
    tasks = [
        asyncio.create_task(take(a, b, events[0]), name="one"),
        asyncio.create_task(take(b, a, events[1]), name="two"),
    ]
    await until_input()

asyncio.run(main())
"""
)

BLOCKED = """\
import asyncio, os

def work():
    os.read(0, 1)

async def fetch():
    work()

async def main():
    print("ready", flush=True)
    await asyncio.create_task(fetch(), name="fetch-7")

asyncio.run(main())
"""


def waiting_by_name(report):
    return {waiting["waiter"]["name"]: waiting for waiting in report["processes"][0]["waiting"]}


def test_each_task_is_shown_with_what_it_awaits_and_its_line(installed):
    with started(installed, TASKS) as program:
        waiting = waiting_by_name(report := json.loads(installed.threefold("waits", "--json", str(program.pid)).stdout))
        (state,) = report["processes"][0]["loops"]
        assert program.finish()[1:] == ("", 0)
    patterns = {
        "sleeper": (r"sleep \(\d+\.\d s left\)", "asyncio.sleep(500)"),
        "awaiter": ("await", "await task"),
        "gatherer": (r"gather \(2 pending: (sleeper, second|second, sleeper)\)", "await task"),
        "line reader": (r"StreamReader\.readline \(peer 127\.0\.0\.1:\d+\)", "reader.readline()"),
        "reader": (r"StreamReader\.read \(peer 127\.0\.0\.1:\d+\)", "reader.read(100)"),
        "receiver": ("sock_recv", "sock_recv(sock"),
        "future": ("Future", "create_future()"),
        "executor": ("result of an executor or another thread", "run_in_executor"),
        "parent": (r"Process\.wait \(process \d+\)", "child.wait()"),
        "wants lock": (r"Lock\.acquire", "async with lock"),
        "taker": (r"Queue\.get \(empty\)", "items.get_async()"),
    }
    for name, (pattern, source) in patterns.items():
        assert re.fullmatch(pattern, waiting[name]["reason"]), waiting[name]
        assert waiting[name]["site"].endswith(f"app.py:{line_of(source, TASKS)}"), waiting[name]
        assert (waiting[name]["waiter"]["kind"], waiting[name]["waiter"]["thread"]) == ("task", "MainThread")
    assert waiting["awaiter"]["holder"]["name"] == "sleeper"
    assert waiting["taker"]["seconds"] >= 0
    assert waiting["sleeper"]["seconds"] is None
    assert (state["thread"]["name"], state["sleeps"]) == ("MainThread", True)
    # The main task, and the child's.
    assert state["tasks"] >= len(patterns) + 2
    assert state["timers"] >= 3


def test_tasks_that_await_each_other_are_a_deadlock(installed):
    with started(installed, RING) as program:
        *_, loop, told = installed.threefold("waits", str(program.pid)).stdout.splitlines()
    circle = "{0} waits for the end of {1}, which waits for the end of {0}"
    assert told in [f"deadlock: {circle.format(*names)}" for names in (("one", "two"), ("two", "one"))]
    assert re.match(rf"  loop   of thread MainThread \({program.pid}\) sleeps: tasks 3, ready callbacks 0,", loop)


def test_tasks_that_wait_for_each_others_locks_are_named_with_the_holders(installed):
    with started(installed, LOCKS) as program:
        report = installed.threefold("waits", str(program.pid)).stdout
    assert re.search(r"task   one \(thread MainThread\) +Lock\.acquire +held by task two \(thread MainThread\)", report)
    assert "possible deadlock: " in report


def test_sigquit_shows_tasks_too(installed):
    with started(installed, RING) as program:
        program.process.send_signal(signal.SIGQUIT)
        lines = [program.process.stderr.readline() for _ in range(6)]
    assert lines[0].startswith(f"process {program.pid} ")
    assert sum(line.startswith("  task   ") for line in lines) == 3
    assert lines[-1].startswith("deadlock: ")


@pytest.mark.parametrize("limit", ["0.2", None])
def test_a_task_that_blocks_its_loop_is_named_on_stderr_and_among_the_waits(installed, limit):
    variables = {"THREEFOLD_BLOCKED": limit} if limit else {}
    with started(installed, BLOCKED, **variables) as program:
        line = program.process.stderr.readline()
        pattern = (
            r"threefold: event loop of thread MainThread blocked for \d+\.\d s by task fetch-7 \(fetch\), "
            rf"at \S+app\.py:{line_of('os.read', BLOCKED)} in work\n"
        )
        assert re.fullmatch(pattern, line), line
        waiting = waiting_by_name(json.loads(installed.threefold("waits", "--json", str(program.pid)).stdout))
        assert waiting["fetch-7"]["reason"] == "blocks its event loop"
        assert waiting["fetch-7"]["site"].endswith(f"app.py:{line_of('os.read', BLOCKED)}")
        assert program.finish() == ("", "", 0)


def test_a_process_that_is_stopped_does_not_answer_and_that_is_said(installed):
    with started(installed, RING) as program:
        assert "  loop   of thread MainThread" in installed.threefold("waits", str(program.pid)).stdout
        program.process.send_signal(signal.SIGSTOP)
        assert "its event loops did not answer" in installed.threefold("waits", str(program.pid)).stdout

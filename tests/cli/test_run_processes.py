"""Under `threefold run` and after `install()`, `multiprocessing` itself hands out our queues, locks and connections."""

import pytest

METHODS = ("fork", "spawn", "forkserver")

PROGRAM = """\
import concurrent.futures, multiprocessing, multiprocessing.connection, multiprocessing.pool, sys

def home(value):
    return type(value).__module__.replace("threefold.", "ours:")

def child(queue, joinable, connection, lock, condition, event, value):
    with lock, condition, value.get_lock():
        value.value += 1
        condition.notify_all()
    event.set()
    connection.send([home(thing) for thing in (queue, joinable, connection, lock, condition, event, value.get_lock())])
    queue.put(multiprocessing.Queue is not None and home(multiprocessing.Queue()))
    joinable.get()
    joinable.task_done()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue, joinable, (here, there) = context.Queue(), context.JoinableQueue(), context.Pipe()
    event, value, condition = context.Event(), context.Value("i", 1), context.Condition()
    process = context.Process(target=child, args=(queue, joinable, there, context.Lock(), condition, event, value))
    joinable.put(1)
    with condition:
        process.start()
        assert condition.wait(30)
    assert event.wait(30)
    print(*here.recv(), queue.get(timeout=30), value.value)
    joinable.join()
    process.join()
    with context.Pool(1) as pool, concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        print(process.exitcode, pool.map(abs, [-1]), executor.submit(abs, -2).result())
"""

OURS = "ours:multiprocessing."
IN_THE_CHILD = [f"{OURS}queues"] * 2 + [f"{OURS}connection"] + [f"{OURS}synchronize"] * 4 + [f"{OURS}queues", "2"]


@pytest.mark.parametrize("method", METHODS)
def test_parent_and_child_have_ours_and_the_standard_pools_work(installed, method):
    installed.write("app.py", PROGRAM)
    # Python 3.12 and later warn about fork in a process with threads.
    outcome = installed.threefold("run", "-W", "ignore", "app.py", method)
    assert (outcome.stderr, outcome.code) == ("", 0)
    assert outcome.stdout == " ".join(IN_THE_CHILD) + "\n0 [1] 2\n"


@pytest.mark.parametrize("method", METHODS)
def test_objects_made_before_install_reach_a_child(installed, method):
    installed.write(
        "app.py",
        "import multiprocessing, sys, threefold\n"
        "def child(things):\n"
        "    queue, joinable, simple, lock, condition, event, barrier, connection = things\n"
        "    with lock, condition:\n"
        "        event.set()\n"
        "        queue.put(joinable.get())\n"
        "    simple.put(type(lock).__module__)\n"
        "    connection.send(barrier.wait(30) < 2)\n"
        "if __name__ == '__main__':\n"
        "    c = multiprocessing.get_context(sys.argv[1])\n"
        "    here, there = c.Pipe()\n"
        "    things = [c.Queue(), c.JoinableQueue(), c.SimpleQueue(), c.Lock(), c.Condition(), c.Event(), c.Barrier(2)]\n"
        "    things[1].put('through')\n"
        "    threefold.install()\n"
        "    process = c.Process(target=child, args=([*things, there],))\n"
        "    process.start()\n"
        "    things[6].wait(30)\n"
        "    print(things[0].get(timeout=30), things[2].get(), things[5].is_set(), here.recv())\n"
        "    process.join()\n"
        "    print(process.exitcode, type(c.Lock()).__module__)\n",
    )
    outcome = installed.run(["-W", "ignore", "app.py", method])
    assert (outcome.stderr, outcome.code) == ("", 0)
    assert outcome.stdout == (
        "through multiprocessing.synchronize True True\n0 threefold.multiprocessing.synchronize\n"
    )


def test_a_program_without_processes_does_not_import_multiprocessing(installed):
    outcome = installed.threefold("run", "-c", "import sys, queue, threading; print('multiprocessing' in sys.modules)")
    assert outcome.stdout == "False\n"


def test_only_the_named_parts_are_replaced(installed):
    program = (
        "import multiprocessing, threading\n"
        "print(type(multiprocessing.Lock()).__module__, threading.Lock.__module__, type(multiprocessing.Pipe()[0]).__module__)"
    )
    only = installed.threefold("run", "--only", "multiprocessing", "-c", program).stdout.split()
    assert only[0] == "threefold.multiprocessing.synchronize"
    assert only[1] == "_thread"
    assert only[2] == "threefold.multiprocessing.connection"
    rest = installed.threefold("run", "--only", "threading", "-c", program).stdout.split()
    assert rest[0] == "multiprocessing.synchronize"
    assert rest[2] == "multiprocessing.connection"


def test_uninstall_puts_everything_back(installed):
    program = (
        "import multiprocessing, multiprocessing.queues as q, multiprocessing.synchronize as s, threefold\n"
        "import multiprocessing.connection as c\n"
        "before = [vars(module).copy() for module in (q, s, c)]\n"
        "threefold.install()\n"
        "print(q.Queue.__module__)\n"
        "threefold.uninstall()\n"
        "print(before == [vars(module) for module in (q, s, c)], type(multiprocessing.Event()).__module__)\n"
    )
    outcome = installed.run(["-c", program])
    assert (outcome.stderr, outcome.code) == ("", 0)
    assert outcome.stdout == "threefold.multiprocessing.queues\nTrue multiprocessing.synchronize\n"


def test_the_queue_takes_item_types_as_the_standard_one(installed):
    program = (
        "import multiprocessing.queues as q\n"
        "class Mine(q.Queue[int]):\n    pass\n"
        "import multiprocessing\nmine = Mine(ctx=multiprocessing.get_context())\nmine.put(1)\n"
        "print(mine.get(timeout=30), q.Queue[int])"
    )
    outcome = installed.threefold("run", "-c", program)
    assert outcome.stdout == "1 threefold.multiprocessing.queues.Queue[int]\n"

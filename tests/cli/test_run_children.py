"""The children of a program under `threefold run` are on the engine too, however they are started."""

import shutil

import pytest

METHODS = ("fork", "spawn", "forkserver")

CHILD = """\
import concurrent.futures, multiprocessing, queue, sys, threading
from proof import prove

def child(label):
    prove(label)
    return label.upper()

def barrier_child(barrier):
    barrier.wait(30)
    prove("child")

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
"""

USES = {
    "Process": "process = context.Process(target=child, args=('child',))\n"
    "process.start()\nprocess.join()\nprint(process.exitcode)",
    "ProcessPoolExecutor": "with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:\n"
    "    print(pool.submit(child, 'child').result())",
    "Pool": "with context.Pool(1) as pool:\n    print(pool.map(child, ['child']))\n    pool.close()\n    pool.join()",
    "Manager": "with context.Manager() as manager:\n"
    "    q, lock, event, barrier = manager.Queue(), manager.Lock(), manager.Event(), manager.Barrier(1)\n"
    "    q.put(child('child'))\n    event.set()\n"
    "    with lock:\n        print(q.get(), event.is_set(), barrier.wait(30))\n"
    "    condition, semaphore = manager.Condition(), manager.Semaphore(2)\n"
    "    with condition:\n        condition.notify_all()\n    print(semaphore.acquire())",
    "Barrier": "barrier = context.Barrier(2)\nprocess = context.Process(target=barrier_child, args=(barrier,))\n"
    "process.start()\nbarrier.wait(30)\nprocess.join()\nprint(process.exitcode, isinstance(barrier, object))",
    "Queue": "q = context.Queue()\nq.put(child('child'))\nprint(q.get(timeout=30))\nq.close()\nq.join_thread()",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("use", USES)
def test_multiprocessing(installed, use, method):
    body = "".join(f"    {line}\n" for line in USES[use].splitlines())
    installed.write("app.py", CHILD + body)
    # Python 3.12 and later warn about fork in a process with threads, in words that name the process.
    installed.assert_same("-W", "ignore", "app.py", method, engines={"child"})


def test_os_fork_and_a_thread_pool_of_processes_interface(installed):
    installed.write(
        "app.py",
        "import os, threading\nfrom multiprocessing.pool import ThreadPool\nfrom multiprocessing import dummy\n"
        "from proof import prove\npid = os.fork()\n"
        "if pid == 0:\n    prove('forked')\n    os._exit(3)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "with ThreadPool(2) as pool:\n    print(pool.map(len, ['ab', 'c']))\n"
        "q = dummy.Queue()\nq.put(1)\nprint(q.get(), dummy.Lock is threading.Lock)\nprove('main')\n",
    )
    installed.assert_same("app.py", engines={"forked", "main"})


def test_a_fork_lets_no_other_thread_run_before_the_child_is_there(installed):
    # Else the main thread may have reached the interpreter's end by the time that a thread's fork comes to pass.
    installed.write(
        "app.py",
        "import os, sys, threading, time\n"
        "ticks = 0\n"
        "def tick():\n"
        "    global ticks\n"
        "    while True:\n"
        "        ticks += 1\n"
        "        time.sleep(0)\n"
        "threading.Event().wait(0.01)\n"
        "threading.Thread(target=tick, daemon=True).start()\n"
        "sys.setswitchinterval(1000)\n"
        "for _ in range(5):\n"
        "    time.sleep(0.02)\n"
        "    now = time.monotonic()\n"
        "    while time.monotonic() < now + 0.002: pass\n"
        "    before = ticks\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(10 + (ticks == before))\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)\n"
        "os._exit(0)\n",
    )
    outcome = installed.assert_same("-W", "ignore", "app.py", engines=set())
    assert outcome.stdout == "11\n" * 5


def test_subprocesses_and_shell_scripts(installed):
    installed.write("child.py", "import sys\nfrom proof import prove\nprove(sys.argv[1])\nprint('child')\n")
    installed.write("script.sh", f"exec {installed.python} child.py shell\n")
    installed.write(
        "app.py",
        "import os, subprocess, sys\n"
        "print(subprocess.check_output([sys.executable, 'child.py', 'subprocess'], text=True))\n"
        f"print(subprocess.check_output([{shutil.which('sh')!r}, 'script.sh'], text=True), flush=True)\n"
        "os.system(f'{sys.executable} child.py system')\n"
        "os.execv(sys.executable, [sys.executable, 'child.py', 'exec'])\n",
    )
    installed.assert_same("app.py", engines={"subprocess", "shell", "system", "exec"})


@pytest.mark.parametrize("option", ["-E", "-s", "-P", "-I"])
def test_options_that_isolate_the_child_keep_the_engine(installed, option):
    program = f"import os, subprocess, sys\nsubprocess.run([sys.executable, {option!r}, '-c', sys.argv[1]])\n"
    installed.assert_same("-c", program, "from proof import prove; prove('child')", engines={"child"})


def test_a_child_without_site_or_environment_runs_on_the_standard_library(installed):
    installed.write(
        "app.py",
        "import os, subprocess, sys\n"
        f"sys.path.append({str(installed.site_packages)!r})\n"
        "code = 'import sys; sys.path.append(sys.argv[2]); from proof import prove; prove(*sys.argv[1:4:2])'\n"
        "rest = [sys.path[-1], os.environ['PROOF']]\n"
        "subprocess.run([sys.executable, '-S', '-c', code, 'no site', *rest], check=True)\n"
        "subprocess.run([sys.executable, '-c', code, 'no environment', *rest], env={}, check=True)\n",
    )
    outcome = installed.threefold("run", "app.py")
    assert (outcome.stderr, outcome.code) == ("", 0)
    assert outcome.engines == {"no site": "standard", "no environment": "standard"}

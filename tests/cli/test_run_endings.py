"""A program under `threefold run` ends as it does in plain Python: by codes, errors, signals, and with work pending."""

import signal
import subprocess

import pytest

ENDINGS = {
    "nothing": "",
    "a code": "sys.exit(3)",
    "a text": "sys.exit('a reason')",
    "None": "sys.exit(None)",
    "SystemExit": "raise SystemExit(300)",
    "an error": "def f():\n    raise ValueError('x')\nf()",
    "an error with a cause": "try:\n    {}['a']\nexcept KeyError as error:\n    raise RuntimeError('b') from error",
    "os._exit": "os._exit(9)",
    "os.abort": "os.abort()",
    "its own SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "its own SIGINT": "os.kill(os.getpid(), signal.SIGINT)",
    "its own SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "a broken pipe": "raise BrokenPipeError",
    "a warning": "import warnings\nwarnings.warn('careful')",
    "a thread's error": "t = threading.Thread(target=lambda: 1 / 0, name='t')\nt.start()\nt.join()",
    "sys.exit in a thread": "t = threading.Thread(target=sys.exit, args=(5,))\nt.start()\nt.join()",
    "a daemon thread": "started = threading.Event()\n"
    "threading.Thread(target=lambda: (started.set(), threading.Event().wait()), daemon=True).start()\nstarted.wait()",
    "a thread that outlives main": "go = threading.Event()\n"
    "threading.Thread(target=lambda: (go.wait(), print('ran'))).start()\nprint('main is over')\ngo.set()",
    "a daemon in a get": "import queue\nq = queue.Queue()\nthreading.Thread(target=q.get, daemon=True).start()",
    "atexit": "import atexit\natexit.register(print, 'at exit')",
    "pool jobs pending": "import concurrent.futures\npool = concurrent.futures.ThreadPoolExecutor(2)\n"
    "ran = []\n"
    "for n in range(50):\n    pool.submit(lambda: (ran.append(1), len(ran) == 50 and os.write(1, b'all ran')))",
    "an error with pool jobs pending": "import concurrent.futures\npool = concurrent.futures.ThreadPoolExecutor(1)\n"
    "for n in range(5):\n    pool.submit(os.write, 1, b'job')\nraise ValueError",
    "a pool map": "import concurrent.futures\n"
    "with concurrent.futures.ThreadPoolExecutor(3) as pool:\n    print(list(pool.map(str.upper, 'abc')))",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_ends_the_same_way(installed, ending):
    installed.write(
        "app.py",
        "import os, resource, signal, sys, threading\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        f"from proof import prove\nprove('main')\n{ENDINGS[ending]}\n",
    )
    installed.assert_same("app.py", engines={"main"})


def test_tracebacks_of_imports_have_no_frames_of_ours(installed):
    installed.write("broken.py", "import threading\nimport queue\nthreading.Lock().release()\n")
    installed.write("app.py", "import broken\n")
    outcome = installed.threefold("run", "app.py")
    assert "release unlocked lock" in outcome.stderr
    assert "threefold" not in outcome.stderr.replace(str(installed.folder), "")
    installed.write("unclosed.py", "x = (\n")
    installed.assert_same("unclosed.py", engines=set())
    installed.assert_same("-c", "import unclosed", engines=set())


@pytest.mark.parametrize(
    "wait",
    ["signal.pause()", "threading.Event().wait()", "queue.Queue().get()", "lock.acquire()", "thread.join()"],
)
def test_ctrl_c_ends_it_by_the_signal(installed, wait):
    program = (
        "import os, queue, signal, threading\nlock = threading.Lock()\nlock.acquire()\n"
        "thread = threading.Thread(target=lambda: threading.Event().wait(), daemon=True)\nthread.start()\n"
        f"os.write(1, f'{{os.getpid()}}\\n'.encode()); {wait}\n"
    )
    arguments = [installed.python, "-m", "threefold", "run", "-c", program]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=installed.variables
    ) as process:
        try:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == process.pid
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_classes_of_the_main_module_are_pickled(installed):
    installed.write(
        "app.py",
        "import pickle\nfrom proof import prove\nprove('main')\nclass Point:\n    x = 1\n"
        "print(pickle.loads(pickle.dumps(Point())).x, Point.__module__, pickle.dumps(Point))\n",
    )
    installed.assert_same("app.py", engines={"main"})

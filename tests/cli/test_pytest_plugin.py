"""`pytest -p threefold` runs tests on the engine, says so, and turns a hang into a failure that names the wait."""

import pytest

TEST = "import threading\nfrom threading import Lock\nfrom proof import prove\n\ndef test_one():\n    prove('test')\n"
HUNG = """\
import threading
from proof import prove

def test_hung():
    prove("hung")
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def test_next():
    prove("next")
"""
HEADER = "threefold: threading, queue, futures, multiprocessing, asyncio on the Rust engine"


def run(environment, *arguments, **variables):
    return environment.run(["-m", "pytest", "-p", "no:cacheprovider", *arguments], **variables)


@pytest.mark.parametrize("arguments", [["-p", "threefold"], ["--threefold"]])
def test_it_is_active_when_asked_for(installed, arguments):
    installed.write("test_it.py", TEST)
    installed.write("conftest.py", "from proof import prove\nprove('conftest')\n")
    outcome = run(installed, *arguments)
    assert (outcome.code, outcome.engines) == (0, {"conftest": "engine", "test": "engine"}), outcome.stdout
    assert HEADER in outcome.stdout.splitlines()


def test_it_is_active_when_the_project_asks_for_it(installed):
    installed.write("test_it.py", TEST)
    installed.write("pytest.ini", "[pytest]\naddopts = -p threefold\n")
    assert run(installed).engines == {"test": "engine"}


def test_it_is_off_when_it_is_only_installed(installed):
    unused = "    import sys\n    assert not {'threefold.threading', 'threefold._hang_watch'} & set(sys.modules)\n"
    installed.write("test_it.py", TEST + unused)
    outcome = run(installed)
    assert (outcome.code, outcome.engines) == (0, {"test": "standard"}), outcome.stdout
    assert "threefold:" not in outcome.stdout


def test_it_works_where_threefold_is_only_on_the_path(on_path):
    on_path.write("test_it.py", TEST)
    assert run(on_path, "-p", "threefold.pytest_plugin").engines == {"test": "engine"}


def test_the_kill_switch_shows_in_the_header(installed):
    installed.write("test_it.py", TEST)
    outcome = run(installed, "-p", "threefold", THREEFOLD_DISABLE="1")
    assert outcome.engines == {"test": "standard"}
    assert "threefold: off (THREEFOLD_DISABLE is set)" in outcome.stdout


def test_a_hung_test_fails_and_says_why(installed):
    installed.write("test_it.py", HUNG)
    outcome = run(installed, "-p", "threefold", "--threefold-hang-timeout", "0.5")
    assert (outcome.code, outcome.engines) == (1, {"hung": "engine", "next": "engine"})
    assert "hung for 0.5 s; who waits for whom:" in outcome.stdout
    assert "1 failed, 1 passed" in outcome.stdout


def test_a_hung_test_with_threads_that_never_end(installed):
    installed.write(
        "test_it.py",
        "import threading\n\ndef test_hung():\n    locks = threading.Lock(), threading.Lock()\n"
        "    both = threading.Barrier(2)\n"
        "    def take(first, second):\n        with first:\n            both.wait()\n            second.acquire()\n"
        "    threads = [threading.Thread(target=take, args=locks[::step], name=f'taker{step}') for step in (1, -1)]\n"
        "    for thread in threads:\n        thread.start()\n    for thread in threads:\n        thread.join()\n",
    )
    installed.write("pytest.ini", "[pytest]\nthreefold_hang_timeout = 0.5\n")
    outcome = run(installed, "-p", "threefold")
    assert outcome.code == 1
    assert "taker1" in outcome.stdout
    assert "ending without waiting for the hung thread taker" in outcome.stderr


def test_a_failed_test_whose_thread_never_ends(installed):
    installed.write(
        "test_it.py",
        "import threading\n\ndef test_failed():\n"
        "    threading.Thread(target=threading.Event().wait, name='stuck').start()\n    assert False\n",
    )
    outcome = run(installed, "-p", "threefold", "--threefold-hang-timeout", "0.5")
    assert outcome.code == 1
    assert outcome.stderr == "threefold: ending without waiting for the hung thread stuck\n"


@pytest.mark.parametrize("place", ["setup", "teardown"])
def test_a_fixture_that_hangs_is_an_error(installed, place):
    before, after = (
        ("    threading.Event().wait()\n", "") if place == "setup" else ("", "    threading.Event().wait()\n")
    )
    installed.write(
        "test_it.py",
        f"import pytest, threading\n\n@pytest.fixture\ndef it():\n{before}    yield\n{after}\ndef test_it(it):\n    pass\n",
    )
    outcome = run(installed, "-p", "threefold", "--threefold-hang-timeout=0.5")
    assert outcome.code == 1
    assert "1 error" in outcome.stdout


@pytest.mark.parametrize("seconds", ["-1", "soon"])
def test_a_wrong_limit_is_a_usage_error(installed, seconds):
    installed.write("test_it.py", TEST)
    outcome = run(installed, "-p", "threefold", f"--threefold-hang-timeout={seconds}")
    assert outcome.code == 4
    assert "threefold-hang-timeout" in outcome.stderr


def test_the_timer_and_the_handler_are_given_back(installed):
    installed.write(
        "test_it.py",
        "import signal\n\ndef test_one(request):\n    pass\n\n"
        "def test_two():\n    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0\n",
    )
    installed.write(
        "conftest.py",
        "import signal\n\ndef pytest_sessionfinish():\n"
        "    print('after', signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM) == signal.SIG_DFL)\n",
    )
    outcome = run(installed, "-p", "threefold", "--threefold-hang-timeout=60", "-s")
    assert "after (0.0, 0.0) True" in outcome.stdout

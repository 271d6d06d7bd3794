"""`threefold status` says what is replaced, by what start-up file, and what other modules keep."""

import json
import sys

LIBRARY = """\
import queue
from concurrent.futures import ThreadPoolExecutor
from threading import Condition as Turn, Lock

class Mine(queue.Queue):
    pass

class Holder:
    lock_class = Lock
    def make(self, factory=Lock):
        return factory()

def make(*, factory=Turn):
    return factory()
"""


def test_it_names_every_replacement_and_the_start_up_file(installed):
    outcome = installed.threefold("status")
    assert (outcome.stderr, outcome.code) == ("", 0)
    for words in ("threading.Lock ", "queue.Queue ", "concurrent.futures.thread.ThreadPoolExecutor ", "not replaced:"):
        assert words in outcome.stdout
    assert f"start-up            {installed.site_packages}/threefold_run.pth" in outcome.stdout
    assert "replaced right now  nothing\n" in outcome.stdout


def test_it_knows_the_process_it_runs_in(installed):
    outcome = installed.threefold("run", "--only", "queue,threading", "-m", "threefold", "status")
    assert "replaced right now  threading, queue\n" in outcome.stdout
    assert "THREEFOLD_DISABLE is set" in installed.threefold("status", THREEFOLD_DISABLE="1").stdout


def test_it_names_the_fallback(on_path):
    assert "start-up            PYTHONPATH=" in on_path.threefold("status").stdout


def test_json(installed):
    facts = json.loads(installed.threefold("status", "--json").stdout)
    assert facts["active"] == []
    assert facts["replaced"]["threading.Lock"].startswith("threefold.")
    # `asyncio.EventLoop` has a name since Python 3.13.
    assert len(facts["replaced"]) == (27 if sys.version_info >= (3, 13) else 26)


def test_references_that_change_and_references_that_stay(installed):
    installed.write("library.py", LIBRARY)
    facts = json.loads(installed.threefold("status", "--json", "--references", "library").stdout)
    assert facts["references"] == {
        "changed": ["library.Lock", "library.ThreadPoolExecutor", "library.Turn"],
        "kept": [
            "library.Mine derives from queue.Queue",
            "library.Holder.lock_class is one",
            "library.Holder.make() has one as a default argument",
            "library.make() has one as a default argument",
        ],
    }
    text = installed.threefold("status", "--references", "library").stdout
    assert "  library.Mine derives from queue.Queue\n" in text
    assert "  none" in installed.threefold("status", "--references").stdout


def test_a_reader_that_leaves_early_is_no_error(installed):
    command = f"{installed.python} -m threefold status | true"
    outcome = installed.run(["-c", "import subprocess, sys; subprocess.run(sys.argv[1], shell=True)", command])
    assert (outcome.stdout, outcome.stderr) == ("", "")


def test_a_module_that_can_t_be_imported(installed):
    outcome = installed.threefold("status", "--references", "no_such_module")
    assert (outcome.stdout, outcome.code) == ("", 1)
    assert outcome.stderr == "threefold status: can't import: ModuleNotFoundError: No module named 'no_such_module'\n"

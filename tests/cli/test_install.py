"""`threefold.install()` replaces in place, also what is imported already, and `uninstall()` puts all of it back."""

import sys

import pytest

from threefold import _activate

IN_PLACE = """\
import concurrent.futures, queue, sys, threading
from threading import Lock, Condition as Turn
from concurrent.futures import ThreadPoolExecutor
early = threading.Lock(), threading.Condition(), queue.Queue()
before = [vars(module).copy() for module in (threading, queue, concurrent.futures.thread)]
import threefold
assert not threefold.is_active()
threefold.install()
threefold.install()
assert threefold.is_active()
assert sys.modules["threading"] is threading and isinstance(threading.main_thread(), threading.Thread)
homes = [c.__module__.partition(".")[0] for c in (Lock, Turn, ThreadPoolExecutor, threading.Event, queue.Queue)]
assert homes == ["threefold"] * 5, homes
assert concurrent.futures.ThreadPoolExecutor is concurrent.futures.thread.ThreadPoolExecutor is ThreadPoolExecutor
# Old and new work together.
with threading.Condition(early[0]) as c, early[1]:
    early[2].put(queue.Queue())
with threading.Condition(Lock()), ThreadPoolExecutor(1) as pool:
    assert pool.submit(early[2].qsize).result() == 1
threefold.uninstall()
assert not threefold.is_active()
assert before == [vars(module) for module in (threading, queue, concurrent.futures.thread)]
assert Lock is threading.Lock and Turn is threading.Condition
assert ThreadPoolExecutor is concurrent.futures.ThreadPoolExecutor is concurrent.futures.thread.ThreadPoolExecutor
assert not any(type(finder).__module__.startswith("threefold") for finder in sys.meta_path)
threefold.uninstall()
print("done")
"""


def run(environment, program, **variables):
    outcome = environment.run(["-c", program], **variables)
    assert (outcome.stderr, outcome.code) == ("", 0)
    return outcome.stdout


def test_it_replaces_in_place_and_puts_everything_back(installed):
    assert run(installed, IN_PLACE) == "done\n"


def test_what_is_imported_later_is_replaced_too(installed):
    program = (
        "import threefold, sys; threefold.install(); import queue\n"
        "print(queue.Queue.__module__[:9], 'logging' in sys.modules)\n"
    )
    assert run(installed, program) == "threefold False\n"


def test_the_parts_can_be_changed(installed):
    program = (
        "import threefold, threading, queue\n"
        "show = lambda: print(threading.Event.__module__[:9], queue.Queue.__module__[:9])\n"
        "threefold.install(only='queue'); show()\n"
        "threefold.install(only=['threading']); show()\n"
        "threefold.install(only={'threading', 'queue'}); show()\n"
    )
    assert run(installed, program) == "threading threefold\nthreefold queue\nthreefold threefold\n"


def test_a_module_that_is_imported_afresh_is_replaced_again(installed):
    program = (
        "import importlib, sys, queue, threefold\nthreefold.install()\nimportlib.reload(queue)\n"
        "print(queue.Queue.__module__[:9], queue.__spec__.loader.__class__.__name__)\n"
        "del sys.modules['queue']\nimport queue\nprint(queue.Queue.__module__[:9])\n"
    )
    assert run(installed, program) == "threefold SourceFileLoader\nthreefold\n"


def test_the_source_of_a_watched_module_can_be_read(installed):
    program = (
        "import threefold; threefold.install()\nimport inspect, queue\nprint(len(inspect.getsource(queue)) > 1000)"
    )
    assert run(installed, program) == "True\n"


def test_the_kill_switch_holds_here_too(installed):
    program = "import threefold; threefold.install(); print(threefold.is_active())"
    assert run(installed, program, THREEFOLD_DISABLE="1") == "False\n"


def test_multiprocessing_s_barrier_keeps_its_base_class(installed):
    program = (
        "import threefold; threefold.install()\nimport threading, multiprocessing.synchronize as s\n"
        "original = threefold._activate.originals()['multiprocessing.synchronize', 'Barrier']\n"
        "print(original.__mro__[1].__module__, threading.Barrier.__module__[:9], s.Barrier.__module__[:9])\n"
    )
    assert run(installed, program) == "threading threefold threefold\n"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python 3.14 brings InterpreterPoolExecutor")
def test_the_pool_of_interpreters_keeps_its_base_class(installed):
    program = (
        "import threefold; threefold.install()\nimport concurrent.futures as f\n"
        "print(f.InterpreterPoolExecutor.__mro__[1].__module__, f.ThreadPoolExecutor.__module__[:9])\n"
        "with f.InterpreterPoolExecutor(1) as pool:\n    print(pool.submit(len, 'abc').result())\n"
    )
    assert run(installed, program) == "concurrent.futures.thread threefold\n3\n"


@pytest.mark.parametrize(
    ("only", "sentence"),
    [
        ("threads", "no part is called 'threads'; the parts are threading, queue, futures, multiprocessing, asyncio"),
        (["queue", "crawl", "process"], "no part is called 'crawl', 'process'"),
        ("", "no part is named"),
        ([], "no part is named"),
    ],
)
def test_a_wrong_part_is_a_value_error(only, sentence):
    with pytest.raises(ValueError, match=sentence):
        _activate.install(only=only)


def test_the_parts_come_in_their_order():
    assert _activate.parse_parts(" futures, threading ") == ("threading", "futures")
    assert _activate.parse_parts(None) == ("threading", "queue", "futures", "multiprocessing", "asyncio")

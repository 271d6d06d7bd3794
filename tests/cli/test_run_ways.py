"""Each way to start a program gives under `threefold run` what plain Python gives, on the engine."""

import zipapp

import pytest

PROGRAM = """\
import sys
from proof import prove
prove("main")
print(__name__, sys.argv, sys.path[0], sys.flags.optimize, __spec__ and __spec__.name, sys.stdin.read())
print("to stderr", file=sys.stderr)
sys.exit(7)
"""


def test_a_script_with_arguments(installed):
    installed.write("app.py", PROGRAM)
    assert installed.assert_same("app.py", "--only", "-m", "x", stdin="words", engines={"main"}).code == 7


def test_a_script_with_python_s_own_options(installed):
    installed.write("app.py", PROGRAM)
    installed.assert_same("-O", "-Xdev", "-W", "error", "-uB", "app.py", engines={"main"})


def test_a_module(installed):
    installed.write("package/__init__.py", "")
    installed.write("package/__main__.py", PROGRAM)
    installed.assert_same("-m", "package", "argument", engines={"main"})


def test_code_on_the_command_line(installed):
    installed.assert_same("-c", PROGRAM, "-x", engines={"main"})
    installed.assert_same("-Oc", PROGRAM, "-x", engines={"main"})


def test_a_program_on_standard_input(installed):
    installed.assert_same("-", "argument", stdin=PROGRAM.replace("sys.stdin.read()", "0"), engines={"main"})


def test_a_folder_and_an_archive(installed):
    installed.write("app/__main__.py", PROGRAM)
    installed.assert_same("app", "argument", engines={"main"})
    zipapp.create_archive(installed.folder / "app", installed.folder / "app.pyz")
    installed.assert_same("app.pyz", "argument", engines={"main"})


def test_a_folder_without_a_main_module(installed):
    (installed.folder / "empty").mkdir()
    assert installed.assert_same("empty", engines=set()).code == 1


def test_the_debugger_with_its_commands_on_standard_input(installed):
    installed.write("app.py", "from proof import prove\nvalue = 41\nprove('main')\nprint(value + 1)\n")
    commands = "break 4\ncontinue\nprint(value)\nnext\nquit\n"
    outcome = installed.assert_same("-m", "pdb", "app.py", stdin=commands, engines={"main"})
    assert "42" in outcome.stdout


def test_the_profilers_and_runpy(installed):
    installed.write("app.py", "from proof import prove\nprove('main')\nprint(__name__)\n")
    installed.write("indirect.py", "import runpy\nrunpy.run_path('app.py', run_name='__main__')\n")
    installed.assert_same("indirect.py", engines={"main"})
    for arguments in (["run", "-m", "cProfile", "-o", "profile.out", "app.py"], ["run", "-m", "trace", "-t", "app.py"]):
        outcome = installed.threefold(*arguments)
        assert (outcome.code, outcome.engines) == (0, {"main": "engine"}), outcome.stderr
        assert "__main__" in outcome.stdout


def test_coverage_measures_the_same_lines(installed):
    pytest.importorskip("coverage")
    installed.write(
        "app.py", "import threading\nfrom proof import prove\nprove('main')\nif not threading:\n    print(1)\n"
    )
    installed.assert_same("-m", "coverage", "run", "app.py", engines={"main"})
    report = installed.run(["-m", "coverage", "report", "-m"]).stdout
    assert "80%" in report


def test_ours_may_be_imported_first_under_pytest(installed):
    installed.write(
        "test_it.py",
        "from threefold.queue import Queue\nimport queue\n\ndef test_it():\n    assert queue.Queue is Queue\n",
    )
    outcome = installed.threefold("run", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert outcome.code == 0, outcome.stdout


def test_pytest_and_unittest(installed):
    installed.write(
        "test_one.py",
        "import unittest\nfrom proof import prove\n"
        "class One(unittest.TestCase):\n    def test_one(self):\n        prove('test')\n"
        "if __name__ == '__main__':\n    unittest.main()\n",
    )
    for arguments in (["-m", "pytest", "-q", "-p", "no:cacheprovider"], ["-m", "unittest"], ["test_one.py"]):
        outcome = installed.threefold("run", *arguments)
        assert (outcome.code, outcome.engines) == (0, {"test": "engine"}), outcome.stdout + outcome.stderr


def test_the_interactive_interpreter(installed):
    outcome = installed.threefold("run", "-iq", stdin="from proof import prove\nprove('main')\nprint(6 * 7)\n")
    assert (outcome.code, outcome.stdout, outcome.engines) == (0, "42\n", {"main": "engine"})


def test_only_some_parts(installed):
    program = "import threading, queue; print(threading.Event.__module__[:9], queue.Queue.__module__[:9])"
    assert installed.threefold("run", "--only", "queue", "-c", program).stdout == "threading threefold\n"
    assert installed.threefold("run", "--only=threading,futures", "-c", program).stdout == "threefold queue\n"


def test_a_program_may_start_with_all_modules_imported(installed):
    program = (
        "import threading, queue, concurrent.futures as futures, concurrent.futures.thread as thread\n"
        "print({c.__module__.partition('.')[0] for c in (threading.Event, queue.SimpleQueue, thread.ThreadPoolExecutor)})\n"
        "print(futures.ThreadPoolExecutor is thread.ThreadPoolExecutor, isinstance(threading.main_thread(), threading.Thread))\n"
        "from threefold.futures import ThreadPoolExecutor\nprint(ThreadPoolExecutor is thread.ThreadPoolExecutor)\n"
    )
    expected = "{'threefold'}\nTrue True\nTrue\n"
    assert installed.threefold("run", "-c", program).stdout == expected
    # Ours first: the standard module is imported from inside it.
    assert installed.threefold("run", "-c", "import threefold.futures, threefold.queue\n" + program).stdout == expected

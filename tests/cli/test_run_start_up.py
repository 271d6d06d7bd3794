"""How an interpreter learns of `threefold run`: the start-up file, the fallback on PYTHONPATH, and the ways to be off."""

import os

import pytest

from .conftest import PACKAGE, START_UP_FILES, TREE

MAIN = "import sys\nfrom proof import prove\nprove('main')\nprint(sys.path, list(map(type, sys.meta_path))[-3:])\n"
PARTS = "threading,queue,futures,multiprocessing,asyncio"


def test_the_start_up_file_imports_nothing_unless_asked(installed):
    program = "import sys; print([name for name in sys.modules if 'threefold' in name])"
    outcome = installed.run(["-W", "error", "-c", program])
    assert (outcome.stdout, outcome.stderr) == ("[]\n", "")


def test_the_start_up_file_is_one_line_that_python_runs():
    (file,) = START_UP_FILES.iterdir()
    assert file.name == "threefold_run.pth"
    (line,) = file.read_text().splitlines()
    assert line.startswith("import ")


@pytest.mark.parametrize("option", ["-E", "-s", "-P", "-I", "-Es", "-IB"])
def test_the_start_up_file_works_in_isolation(installed, option):
    installed.write("app.py", MAIN)
    installed.assert_same(option, "app.py", engines={"main"})


def test_without_site_the_program_runs_on_the_standard_library(installed):
    installed.write("app.py", f"import sys\nsys.path.append({str(installed.site_packages)!r})\n{MAIN}")
    outcome = installed.threefold("run", "-S", "app.py")
    assert (outcome.code, outcome.engines) == (0, {"main": "standard"})
    assert outcome.stderr == "threefold run: -S skips the start-up files: the program runs on the standard library\n"


def test_the_fallback_leaves_the_path_as_it_was(on_path):
    on_path.write("app.py", MAIN)
    on_path.assert_same("app.py", engines={"main"})
    on_path.assert_same("-c", MAIN, engines={"main"})
    on_path.assert_same("-s", "app.py", engines={"main"})


@pytest.mark.parametrize("option", ["-E", "-I"])
def test_the_fallback_says_when_python_hides_it(on_path, option):
    on_path.write("app.py", MAIN)
    outcome = on_path.threefold("run", option, "app.py")
    assert (outcome.code, outcome.engines) == (0, {"main": "standard"})
    assert "the program runs on the standard library" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_the_fallback_finds_a_package_that_is_not_on_the_path(on_path):
    on_path.write("app.py", "import subprocess, sys\n" + MAIN + "subprocess.run([sys.executable, 'child.py'])\n")
    on_path.write("child.py", "from proof import prove\nprove('child')\n")
    variables = {"PYTHONPATH": str(PACKAGE / "_site"), "THREEFOLD_RUN": PARTS}
    outcome = on_path.run(["app.py"], **variables)
    assert (outcome.stderr, outcome.code) == ("", 0)
    assert outcome.engines == {"main": "engine", "child": "engine"}
    assert str(PACKAGE.parent) not in outcome.stdout


@pytest.mark.parametrize("kind", ["installed", "on_path"])
def test_a_user_s_own_sitecustomize_runs(request, kind):
    environment = request.getfixturevalue(kind)
    environment.write(
        "mine/sitecustomize.py", "import sys\nfrom proof import prove\nprove('site')\nsys.mine = __file__\n"
    )
    program = "import sys, sitecustomize\nprint(sys.mine == sitecustomize.__file__, sys.path)"
    path = os.pathsep.join(filter(None, [str(environment.folder / "mine"), environment.variables.get("PYTHONPATH")]))
    environment.assert_same("-c", program, engines={"site"}, PYTHONPATH=path)


def test_a_user_s_broken_sitecustomize_is_reported_as_python_does(on_path):
    on_path.write("mine/sitecustomize.py", "raise ValueError('mine')\n")
    # Not by `threefold run`, because that is an interpreter itself and would report it too.
    path = os.pathsep.join([str(PACKAGE / "_site"), str(on_path.folder / "mine"), str(TREE)])
    outcome = on_path.run(["-c", MAIN], PYTHONPATH=path, THREEFOLD_RUN=PARTS)
    assert (outcome.code, outcome.engines) == (0, {"main": "engine"})
    assert outcome.stderr == on_path.run(["-c", ""], PYTHONPATH=path.partition(os.pathsep)[2]).stderr
    assert outcome.stderr.endswith("ValueError: mine\n")


def test_the_kill_switch(installed):
    outcome = installed.threefold("run", "-c", MAIN, THREEFOLD_DISABLE="1")
    assert (outcome.stderr, outcome.engines) == ("", {"main": "standard"})
    outcome = installed.threefold("run", "-c", MAIN, THREEFOLD_DISABLE="1", THREEFOLD_VERBOSE="1")
    assert "not activated: THREEFOLD_DISABLE is set" in outcome.stderr
    assert installed.threefold("run", "-c", MAIN, THREEFOLD_DISABLE="0").engines == {"main": "engine"}


def test_verbose_says_what_was_activated(installed):
    outcome = installed.threefold("run", "--only", "queue", "-c", "", THREEFOLD_VERBOSE="1")
    assert outcome.stderr.startswith("threefold: activated: queue (process ")


def test_an_environment_without_the_engine_stays_quiet(installed):
    for name in ("__init__.py", "_boot.py", "_activate.py", "_import_hook.py", "_parts.py", "_references.py"):
        installed.write(f"without/threefold/{name}", (PACKAGE / name).read_text())
    variables = {"PYTHONPATH": str(installed.folder / "without"), "THREEFOLD_RUN": PARTS}
    outcome = installed.run(["-c", MAIN], **variables)
    assert (outcome.stderr, outcome.code, outcome.engines) == ("", 0, {"main": "standard"})
    installed.write("without/threefold/__init__.py", "")
    assert "_threefold" in installed.run(["-c", MAIN], THREEFOLD_VERBOSE="1", **variables).stderr


def test_a_start_up_file_whose_package_is_gone_stays_quiet(installed):
    installed.write("gone/threefold/__init__.py", "raise ImportError('gone')\n")
    variables = {"PYTHONPATH": str(installed.folder / "gone"), "THREEFOLD_RUN": PARTS}
    outcome = installed.run(["-c", MAIN], **variables)
    assert (outcome.stderr, outcome.code, outcome.engines) == ("", 0, {"main": "standard"})


def test_a_wrong_variable_is_one_sentence_and_the_program_runs(installed):
    outcome = installed.run(["-c", MAIN], THREEFOLD_RUN="threads")
    assert (outcome.code, outcome.engines) == (0, {"main": "standard"})
    assert "no part is called 'threads'" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_run_inside_run(installed):
    program = "import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'threefold', 'run', *sys.argv[1:]])"
    outcome = installed.threefold("run", "-c", program, "--only", "queue,threading", "-c", MAIN)
    assert (outcome.code, outcome.engines) == (0, {"main": "engine"})

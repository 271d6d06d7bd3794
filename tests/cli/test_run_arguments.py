"""The words of the command line: what is threefold's, what is Python's, what is the program's, and what is wrong."""

import pytest

from threefold.cli.interpreter_arguments import UsageError, split

PROGRAMS = {
    "app.py": ([], [], ["app.py"]),
    "app.py -m --only x --": ([], [], ["app.py", "-m", "--only", "x", "--"]),
    "-m module -x": ([], [], ["-m", "module", "-x"]),
    "-c code -m": ([], [], ["-c", "code", "-m"]),
    "-": ([], [], ["-"]),
    "- -x": ([], [], ["-", "-x"]),
    "-O app.py": ([], ["-O"], ["app.py"]),
    "-X dev -Wd -W error app.py": ([], ["-X", "dev", "-Wd", "-W", "error"], ["app.py"]),
    "-Xdev -IEBs app.py": ([], ["-Xdev", "-IEBs"], ["app.py"]),
    "-IWerror app.py": ([], ["-IWerror"], ["app.py"]),
    "-uIW error app.py": ([], ["-uIW", "error"], ["app.py"]),
    "-Om module": ([], [], ["-Om", "module"]),
    "-mmodule x": ([], [], ["-mmodule", "x"]),
    "-Icprint(1)": ([], [], ["-Icprint(1)"]),
    "--only queue app.py": (["--only", "queue"], [], ["app.py"]),
    "-O --only=queue -B app.py": (["--only=queue"], ["-O", "-B"], ["app.py"]),
    "--check-hash-based-pycs never app.py": ([], ["--check-hash-based-pycs", "never"], ["app.py"]),
    "-- app.py": ([], [], ["app.py"]),
    "-- -m module": ([], [], ["-m", "module"]),
    "-- -O app.py": ([], ["-O"], ["app.py"]),
    "--help": (["--help"], [], []),
    "-h": (["-h"], [], []),
    "--foo app.py": (["--foo"], [], ["app.py"]),
    "-i": ([], ["-i"], []),
    "": ([], [], []),
}


@pytest.mark.parametrize("words", PROGRAMS)
def test_the_words_are_split_as_python_splits_them(words):
    program = split(words.split())
    assert (program.options, program.flags, program.target) == PROGRAMS[words]


@pytest.mark.parametrize("words", ["-m", "-c", "-W", "-X", "-Im", "--only", "-z app.py", "-Vx", "-- --only x", "-?"])
def test_words_that_python_would_refuse(words):
    with pytest.raises(UsageError):
        split(words.split())


WRONG = {
    "": "threefold: a command is missing: run, status, crawl, fetch, waits",
    "rnu": "threefold: there is no command 'rnu'; did you mean 'run'?",
    "frobnicate": "threefold: there is no command 'frobnicate'; there are run, status, crawl, fetch, waits",
    "app.py": "threefold: there is no command 'app.py'; to run that program: threefold run app.py",
    "--foo": "threefold: unrecognized arguments: --foo",
    "run": "threefold run: what to run is missing",
    "run --foo app.py": "threefold run: unrecognized arguments: --foo",
    "crawl --scop host": "threefold crawl: unrecognized arguments: --scop; did you mean --scope?",
    "run --only": "threefold run: --only needs a value",
    "run --only threads app.py": "threefold run: argument --only: no part is called 'threads'",
    "run --only , app.py": "threefold run: argument --only: no part is named",
    "run -z app.py": "threefold run: Python has no option -z",
    "run missing.py": "threefold run: can't open 'missing.py': no such file or directory",
    "run json": "threefold run: can't open 'json': no such file or directory; to run the module: threefold run -m json",
    "status --foo": "threefold status: unrecognized arguments: --foo",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_word_costs_one_sentence_and_code_2(installed, words):
    installed.write("app.py", "print('must not run')")
    outcome = installed.threefold(*words.split())
    assert (outcome.stdout, outcome.code) == ("", 2)
    assert outcome.stderr.startswith(WRONG[words])
    assert len(outcome.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", ["--help", "-h", "run --help", "run -h", "status --help"])
def test_help_has_examples(installed, words):
    outcome = installed.threefold(*words.split())
    assert (outcome.stderr, outcome.code) == ("", 0)
    assert "examples:\n  threefold " in outcome.stdout


def test_the_version(installed):
    import threefold

    assert installed.threefold("--version").stdout == f"threefold {threefold.__version__}\n"


def test_a_module_that_does_not_exist_is_python_s_own_error(installed):
    assert installed.assert_same("-m", "no_such_module", engines=set()).code == 1

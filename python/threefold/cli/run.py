"""`threefold run`: starts Python on the program with one environment variable set, and becomes that Python."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from threefold._boot import RUN_VARIABLE
from threefold._parts import PARTS
from threefold.cli.interpreter_arguments import Program, UsageError, split
from threefold.cli.start_up import START_UP_FOLDER, start_up_file

# The parser costs a third of the start, and most runs have no option of ours.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from threefold.cli.usage import Parser

_EXAMPLES = """\
WHAT is what Python itself takes: script.py, -m module, -c code, - (standard input), a directory or a
zip archive with a __main__.py. Python's own options (-X, -W, -O, -I, -u ...) may stand before it;
-- ends the options of threefold run.

examples:
  threefold run app.py --port 8000
  threefold run -m pytest -x tests
  threefold run --only threading,queue -X dev app.py
  echo 'print("hello")' | threefold run -

environment:
  THREEFOLD_DISABLE=1   runs everything on the standard library
  THREEFOLD_VERBOSE=1   says on stderr what was activated where, and why not

exit code: the program's own; 2 for a wrong argument, 1 when the engine is not built for this Python
"""


def main(arguments: list[str]) -> int:
    """Run a program as it is, on the Rust engine; this process becomes the program's.

    Args:
        arguments: the words after `threefold run`.

    Returns:
        1, when the engine or the interpreter can't be had; else the call does not return.

    Raises:
        SystemExit: after help or a wrong argument.
    """
    try:
        program = split(arguments)
    except UsageError as error:
        _parser().error(str(error))
    parts = _parser().parse_args(program.options).only if program.options else PARTS
    if not program.target and "i" not in program.letters:
        _parser().error("what to run is missing: a script, -m module, -c code, -, a directory or a zip archive")
    if program.script is not None and not os.path.exists(program.script):
        _parser().error(f"can't open {program.script!r}: no such file or directory{_hint(program.script)}")
    if find_spec("threefold._threefold") is None:
        return _fail(f"the engine is not built for Python {sys.version_info[0]}.{sys.version_info[1]}")
    return _become(program, parts)


def _become(program: Program, parts: tuple[str, ...]) -> int:
    environment = dict(os.environ)
    environment[RUN_VARIABLE] = ",".join(parts)
    if start_up_file(ignores_user_site=bool(program.letters & set("sI"))) is None:
        before = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([START_UP_FOLDER, before] if before else [START_UP_FOLDER])
        if program.letters & set("EI"):
            _warn("-E and -I hide PYTHONPATH, and site-packages has no threefold_run.pth")
    if "S" in program.letters:
        _warn("-S skips the start-up files")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        os.execve(sys.executable, [sys.executable, *program.flags, *program.target], environment)
    except OSError as error:
        return _fail(f"can't start {sys.executable!r}: {error.strerror}")


def _warn(reason: str) -> None:
    print(f"threefold run: {reason}: the program runs on the standard library", file=sys.stderr)


def _fail(sentence: str) -> int:
    print(f"threefold run: {sentence}", file=sys.stderr)
    return 1


def _hint(script: str) -> str:
    is_module = script.isidentifier() and find_spec(script) is not None
    return f"; to run the module: threefold run -m {script}" if is_module else ""


def _parser() -> Parser:
    from threefold.cli.usage import Parser, parts

    parser = Parser("threefold run", "Run a program as it is, on the Rust engine.", _EXAMPLES)
    parser.usage = "threefold run [--only PARTS] [PYTHON OPTIONS] WHAT [ARGUMENTS ...]"
    parser.add_argument(
        "--only",
        metavar="PARTS",
        type=parts,
        default=PARTS,
        help=f"replace only these parts of {','.join(PARTS)}",
    )
    return parser

"""The steps of the gate: what is checked, with which command, in which order."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from interpreters import Interpreter

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "target" / "reports"
TESTS = ("unit", "cli", "stress", "typing", "architecture", "benches")
GROUPS = (
    "lint-rust",
    "rust",
    "loom",
    "seeded-bugs",
    "build",
    "lint-python",
    "stubs",
    "conformance",
    "python",
    "cluster",
    "programs",
    "crawl",
)

# uvloop's suite asks the same of a loop on each Python.
UVLOOP_PYTHON = "3.13"

CARGO = "cargo"
# The models search millions of interleavings: optimised, with the checks left in, linked without the release's patience.
LOOM = {
    "RUSTFLAGS": "--cfg loom",
    "CARGO_TARGET_DIR": str(ROOT / "target" / "loom"),
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS": "true",
    "LOOM_MAX_PREEMPTIONS": os.environ.get("LOOM_MAX_PREEMPTIONS", "3"),
}
# The crates with models, each before those that build on it.
MODELLED = ("wait", "sync", "event_loop", "pool")
MODELS = [*(f"--package=threefold-{name.replace('_', '-')}" for name in MODELLED), "--test", "loom"]
# The benches' client is a workspace of its own; where the benches look for it.
LOAD = ["--locked", "--quiet", "--manifest-path", "benches/load/Cargo.toml"]
LOAD_TARGET = {"CARGO_TARGET_DIR": str(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "load")}
# What clippy and rustdoc compile the binding for.
FOR_THIS_PYTHON = {"PYO3_PYTHON": sys.executable}


@dataclass(frozen=True)
class Step:
    """One command of the gate."""

    group: str
    title: str
    command: list[str]
    settings: dict[str, str] = field(default_factory=dict)
    limit_s: float = 1200.0
    # Where the command leaves its counts, as JUnit XML.
    report: Path | None = None
    # Why there is nothing to run here.
    skipped: str | None = None


def lint_rust(chosen: list[Interpreter]) -> Iterator[Step]:
    """Check the lock file, the format, clippy's lints, the documentation's links and the licences.

    Args:
        chosen: the Pythons whose own parts of the binding are looked at.
    """
    group = "lint-rust"
    yield Step(group, "Cargo.lock is up to date", [CARGO, "metadata", "--locked", "--quiet", "--format-version=1"])
    yield Step(group, "rustfmt", [CARGO, "fmt", "--all", "--check"])
    clippy = [CARGO, "clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]
    yield Step(group, "clippy", clippy, FOR_THIS_PYTHON)
    documentation = [CARGO, "doc", "--workspace", "--no-deps", "--quiet", "--document-private-items"]
    yield Step(group, "rustdoc", documentation, FOR_THIS_PYTHON | {"RUSTDOCFLAGS": "--deny warnings"})
    for interpreter in chosen:
        if interpreter.version[:2] != sys.version_info[:2]:
            # In the same folder, although PyO3 is checked anew for each: what the crates stand on is far more.
            binding = [CARGO, "clippy", "--package", "threefold-binding", "--quiet", "--", "--deny", "warnings"]
            yield Step(group, f"clippy for {interpreter.minor}", binding, {"PYO3_PYTHON": interpreter.path})
    formatting = [CARGO, "fmt", "--check", "--manifest-path", "benches/load/Cargo.toml"]
    yield Step(group, "rustfmt for the load program", formatting)
    load = [CARGO, "clippy", *LOAD, "--all-targets", "--", "--deny", "warnings"]
    yield Step(group, "clippy for the load program", load, LOAD_TARGET)
    missing = None if shutil.which("cargo-deny") else "cargo-deny is not installed (cargo install cargo-deny)"
    yield Step(
        group,
        "licences and sources",
        [CARGO, "deny", "--workspace", "check", "licenses", "bans", "sources"],
        skipped=missing,
    )


def rust() -> Iterator[Step]:
    """Test the crates that know nothing of Python, and build the program that the benches load servers with."""
    yield Step("rust", "tests of the crates", [CARGO, "test", "--quiet"])
    yield Step("rust", "tests of the load program", [CARGO, "test", *LOAD], LOAD_TARGET)
    yield Step("rust", "the load program", [CARGO, "build", *LOAD, "--release"], LOAD_TARGET)


def loom() -> Iterator[Step]:
    """Exhaust the interleavings of the wait protocol and of a pool's links, and show that the models can fail."""
    yield Step("loom", "loom models", [CARGO, "test", "--quiet", "--release", *MODELS], LOOM)
    # That the models pass without the bugs is what the step before shows.
    yield Step("seeded-bugs", "seeded bugs", [sys.executable, "scripts/seeded_bugs.py", "--bugs-only"])


def build(chosen: list[Interpreter], *, quick: bool) -> Iterator[Step]:
    """Make the environments and build the engine into them.

    Args:
        chosen: the Pythons to build for.
        quick: without the whole-program link.
    """
    for interpreter in chosen:
        options = ["--quick"] if quick else []
        # The cluster engines are large, and what stands on them is the same on each Python: one environment has them.
        # Likewise what uvloop's suite needs.
        more = ["cluster"] * (interpreter is chosen[0]) + ["conformance"] * (interpreter.minor == UVLOOP_PYTHON)
        if more:
            options += [f"--group={name}" for name in ("build", "test", "lint", *more)]
        command = [sys.executable, "scripts/develop.py", *options, interpreter.path]
        yield Step("build", f"engine for {interpreter.minor}", command)


def lint_python(chosen: list[Interpreter]) -> Iterator[Step]:
    """Lint, format check and types, by the tools in the newest environment.

    Args:
        chosen: the Pythons whose environments exist.
    """
    group, python = "lint-python", environment(chosen[-1])
    yield Step(group, "ruff", [python, "-m", "ruff", "check", "--quiet", "."])
    yield Step(group, "ruff's format", [python, "-m", "ruff", "format", "--check", "--quiet", "."])
    for interpreter in chosen:
        command = [python, "-m", "mypy", f"--python-version={interpreter.minor}"]
        yield Step(group, f"mypy for {interpreter.minor}", command)


def stubs(chosen: list[Interpreter]) -> Iterator[Step]:
    """Compare the stubs with the built extension.

    Args:
        chosen: the Pythons to compare them on.
    """
    settings = ["--mypy-config-file", "pyproject.toml", "--allowlist", "tests/typing/stubtest.txt"]
    for interpreter in chosen:
        # Only the oldest has the engines of clusters, which the modules for them import.
        missing = [] if interpreter == chosen[0] else ["--allowlist", "tests/typing/stubtest-without-engines.txt"]
        command = [environment(interpreter), "-m", "mypy.stubtest", "threefold", *settings, *missing]
        yield Step("stubs", f"stubtest on {interpreter.minor}", command)


def conformance(chosen: list[Interpreter]) -> Iterator[Step]:
    """Run CPython's own suites against ours.

    Args:
        chosen: the Pythons to run them on.
    """
    for interpreter in chosen:
        command = [environment(interpreter), "tests/conformance/run.py"]
        yield Step("conformance", f"conformance on {interpreter.minor}", command)
        tasks = [*command, "--group", "tasks", "--jobs", "3"]
        yield Step("conformance", f"conformance of event loops on {interpreter.minor}", tasks)
        if interpreter.minor == UVLOOP_PYTHON:
            uvloop = [*command, "--group", "uvloop", "--jobs", "2"]
            yield Step("conformance", f"uvloop's suite on {interpreter.minor}", uvloop)
        # Minutes each, most of them waiting: on the two Pythons that differ most.
        if interpreter in (chosen[0], chosen[-1]):
            processes = [*command, "--group", "processes", "--jobs", "3", "--repeat"]
            yield Step("conformance", f"conformance of processes on {interpreter.minor}", processes)


def python(chosen: list[Interpreter], arguments: list[str]) -> Iterator[Step]:
    """Run the Python tests.

    Args:
        chosen: the Pythons to run them on.
        arguments: more arguments for pytest.
    """
    for interpreter in chosen:
        report = REPORTS / f"python-{interpreter.minor}.xml"
        # As with the conformance of processes; what runs the benches' programs is on one Python as good as on another.
        missing = {"stress"} if interpreter not in (chosen[0], chosen[-1]) else set()
        if interpreter is not chosen[-1]:
            missing.add("benches")
        mine = [f"tests/{name}" for name in TESTS if name not in missing]
        command = [environment(interpreter), "-m", "pytest", "-q", f"--junitxml={report}", *(arguments or mine)]
        yield Step("python", f"tests on {interpreter.minor}", command, report=report)


def cluster(chosen: list[Interpreter]) -> Iterator[Step]:
    """Run the tests of pools on Ray and Dask, on clusters that they start.

    Args:
        chosen: the Pythons of the gate; the oldest one's environment has the engines.
    """
    for interpreter in chosen[:1]:
        report = REPORTS / f"cluster-{interpreter.minor}.xml"
        command = [environment(interpreter), "-m", "pytest", "-q", f"--junitxml={report}", "tests/cluster"]
        yield Step("cluster", f"tests of clusters on {interpreter.minor}", command, report=report)


def programs(chosen: list[Interpreter]) -> Iterator[Step]:
    """Run programs that people use on our event loop, in an environment of their own: their plugins and loops disturb no other.

    Args:
        chosen: the Pythons of the gate; the middle one, as the first has the engines of clusters.
    """
    yield from in_an_environment_of_its_own("programs", "programs", chosen[len(chosen) // 2])


def crawl(chosen: list[Interpreter]) -> Iterator[Step]:
    """Crawl sites: real ones, hostile ones, with kills and with several workers; and run the suites of requests and Scrapy.

    Args:
        chosen: the Pythons of the gate; the newest one.
    """
    # What these skip elsewhere needs packages that are here.
    more = [f"tests/unit/test_crawl_{name}.py" for name in ("options", "pages", "run")]
    yield from in_an_environment_of_its_own("crawl", "crawls", chosen[-1], *more)


def in_an_environment_of_its_own(group: str, title: str, interpreter: Interpreter, *more: str) -> Iterator[Step]:
    """Run a folder of tests that need many packages, which must not disturb the other tests.

    Args:
        group: the group of steps, of packages in `pyproject.toml`, and the folder under `tests`.
        title: what the steps are called.
        interpreter: the Python; the engine is the one that was built for its own environment.
        *more: other tests to run there, too.
    """
    folder = ROOT / ".venvs" / f"{group}-{interpreter.minor}"
    groups = [f"--group={name}" for name in ("test", group)]
    equip = [sys.executable, "scripts/develop.py", "--tools-only", f"--venv={folder}", *groups, interpreter.path]
    yield Step(group, f"{title} for {interpreter.minor}", equip)
    report = REPORTS / f"{group}-{interpreter.minor}.xml"
    command = [str(folder / "bin" / "python"), "-m", "pytest", "-q", f"--junitxml={report}", f"tests/{group}", *more]
    settings = {"PYTHONPATH": str(ROOT / "python")}
    yield Step(group, f"{title} on {interpreter.minor}", command, settings, report=report)


def environment(interpreter: Interpreter) -> str:
    """Return the path of the Python in the environment that was made for an interpreter."""
    return str(ROOT / ".venvs" / interpreter.minor / "bin" / "python")


def steps(groups: list[str], chosen: list[Interpreter], *, quick: bool, arguments: list[str]) -> list[Step]:
    """Return the steps of some groups, in the gate's order.

    Args:
        groups: names out of `GROUPS`.
        chosen: the Pythons to use, oldest first.
        quick: build the engine without the whole-program link.
        arguments: more arguments for pytest.
    """
    every = [
        *lint_rust(chosen),
        *rust(),
        *loom(),
        *build(chosen, quick=quick),
        *lint_python(chosen),
        *stubs(chosen),
        *conformance(chosen),
        *python(chosen, arguments),
        *cluster(chosen),
        *programs(chosen),
        *crawl(chosen),
    ]
    return [step for step in every if step.group in groups]

"""Plants one known bug after another into a copy of the crates, and requires that the models find every one of them."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import steps

PATCHES = steps.ROOT / "tests" / "models" / "seeded"
# A fixed place below the models' target folder, so that only what a patch touches is compiled anew.
TREE = Path(steps.LOOM["CARGO_TARGET_DIR"]) / "seeded-bugs"
COPIED = ("Cargo.toml", "Cargo.lock", "crates", "binding")
# What says that a model failed: the first panic, which loom raises for a deadlock, too, or the limit's last words.
FAILURE = re.compile(r"^thread '(?P<panicked>[^']+)' .*panicked|^(?P<late>\S+) took longer")


class SeededBugError(Exception):
    """Says why nothing can be said about a patch."""


@dataclass(frozen=True)
class Finding:
    """What the models said of one state of the crates."""

    # The model that failed first, None where all passed.
    caught_by: str | None
    # How many models passed before.
    passed_count: int
    took_s: float


@dataclass(frozen=True)
class Patch:
    """A bug, and the sentence that says what it is."""

    path: Path

    @property
    def name(self) -> str:
        """The name of the bug."""
        return self.path.stem

    @property
    def sentence(self) -> str:
        """What is wrong with it applied."""
        return self.path.read_text().partition("\n")[0]

    @property
    def models(self) -> list[str]:
        """The arguments of cargo for the models that can notice it: of its own crate, and of those that build on that."""
        mine = {
            name for name in steps.MODELLED if any(touched.startswith(f"crates/{name}/") for touched in self.touched)
        }
        if "wait" in mine or not mine:
            return steps.MODELS
        return [f"--package=threefold-{name.replace('_', '-')}" for name in sorted(mine)] + ["--test", "loom"]

    @property
    def touched(self) -> list[str]:
        """The files that it changes, relative to the project's folder."""
        return re.findall(r"^\+\+\+ b/(\S+)$", self.path.read_text(), re.MULTILINE)


def copy_project() -> None:
    """Copy what the models are built from. The copy is newer than what was built from an earlier one, bugs included."""
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in COPIED:
        source = steps.ROOT / name
        if source.is_dir():
            shutil.copytree(source, TREE / name, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, TREE / name)


def restore(patch: Patch) -> None:
    """Take a bug out again. The files become newer than what was built from the bug, as cargo needs it."""
    for name in patch.touched:
        shutil.copyfile(steps.ROOT / name, TREE / name)


def apply(patch: Patch) -> None:
    """Put a bug into the copy.

    Args:
        patch: the bug.

    Raises:
        SeededBugError: where the patch does not fit the crates any more.
    """
    # Without the ceiling git would find this project's repository around the copy, and skip files that it ignores.
    settings = os.environ | {"GIT_CEILING_DIRECTORIES": str(TREE.parent)}
    applied = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(patch.path)], cwd=TREE, env=settings, capture_output=True, text=True
    )
    if applied.returncode:
        raise SeededBugError(f"the patch no longer applies: {applied.stderr.strip()}")


def build(models: list[str]) -> None:
    """Compile the models of the copy.

    Args:
        models: the arguments of cargo that choose them.

    Raises:
        SeededBugError: where they do not compile, which is not the kind of bug that is looked for.
    """
    built = subprocess.run(
        [steps.CARGO, "test", "--release", *models, "--no-run"],
        cwd=TREE,
        env=os.environ | steps.LOOM,
        stderr=subprocess.PIPE,
        text=True,
    )
    if built.returncode:
        errors = [line for line in built.stderr.splitlines() if line.startswith("error")]
        raise SeededBugError(f"the models do not compile: {errors[0] if errors else built.stderr[-400:]}")


def run_models(models: list[str], limit_s: float) -> Finding:
    """Run the models of the copy until one fails.

    Args:
        models: the arguments of cargo that choose them.
        limit_s: how long they may take together, in seconds; a model that hangs has failed.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        ["timeout", "--kill-after=5", str(limit_s), steps.CARGO, "test", "--release", *models, "--", "--nocapture"],
        cwd=TREE,
        env=os.environ | steps.LOOM | {"RUST_BACKTRACE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    caught_by = None
    passed_count = 0
    assert process.stdout is not None
    try:
        for line in process.stdout:
            passed_count += line.count(" executions ")
            if failed := FAILURE.match(line):
                caught_by = failed["panicked"] or failed["late"]
                break
    finally:
        if caught_by is not None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        code = process.wait()
    if caught_by is None and code:
        caught_by = f"(exit code {code})"
    return Finding(caught_by, passed_count, time.monotonic() - start)


def look_at(patch: Patch | None, limit_s: float) -> Finding:
    """Build and run the models with a bug in place.

    Args:
        patch: the bug; None for the crates as they are.
        limit_s: how long the models may take together, in seconds.

    Raises:
        SeededBugError: where the bug cannot be put in place.
    """
    start = time.monotonic()
    try:
        if patch:
            apply(patch)
        models = patch.models if patch else steps.MODELS
        build(models)
        finding = run_models(models, limit_s)
    finally:
        if patch:
            restore(patch)
    return Finding(finding.caught_by, finding.passed_count, time.monotonic() - start)


def main() -> int:
    """Look at the crates as they are and with each bug, print a table, and return 1 where anything is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bug", nargs="*", help="bugs to plant (default: all)")
    parser.add_argument("--limit", type=float, default=120.0, metavar="SECONDS", help="time for the models of one bug")
    parser.add_argument("--bugs-only", action="store_true", help="do not look at the crates as they are first")
    arguments = parser.parse_args()
    known = [Patch(path) for path in sorted(PATCHES.glob("*.patch"))]
    if unknown := set(arguments.bug) - {patch.name for patch in known}:
        parser.error(f"unknown bug {sorted(unknown)[0]!r}; the bugs are {', '.join(patch.name for patch in known)}")
    chosen = [patch for patch in known if not arguments.bug or patch.name in arguments.bug]
    copy_project()
    wrong, found_count = 0, 0
    for patch in [*([] if arguments.bugs_only else [None]), *chosen]:
        name = patch.name if patch else "(none)"
        try:
            finding = look_at(patch, arguments.limit)
        except SeededBugError as reason:
            print(f"{name:30}  ERROR  {reason}", flush=True)
            wrong += 1
            continue
        is_right = (finding.caught_by is not None) == (patch is not None)
        wrong += not is_right
        found_count += patch is not None and is_right
        said = f"found by {finding.caught_by}" if finding.caught_by else f"{finding.passed_count} explorations pass"
        print(f"{name:30} {finding.took_s:6.1f} s  {'' if is_right else 'WRONG: '}{said}", flush=True)
        if patch and not is_right:
            print(f"{'':30}           {patch.sentence}", flush=True)
    print(f"{found_count} of {len(chosen)} bugs found" if chosen else "there are no bugs to plant")
    return 1 if wrong or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())

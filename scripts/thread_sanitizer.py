"""Runs the stress tests of the crates under ThreadSanitizer, which needs a nightly Rust toolchain; says so if there is none."""

import os
import subprocess
import sys

import steps

SUPPRESSIONS = steps.ROOT / "scripts" / "thread_sanitizer.txt"
SETTINGS = {
    # The standard library comes without the sanitizer, and nothing here passes its types across that border.
    "RUSTFLAGS": "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
    "CARGO_TARGET_DIR": str(steps.ROOT / "target" / "thread-sanitizer"),
    "TSAN_OPTIONS": f"suppressions={SUPPRESSIONS} print_suppressions=0",
}
NIGHTLY = [steps.CARGO, "+nightly"]


def has_nightly() -> bool:
    """Whether there is a nightly toolchain, as rustup installs it."""
    try:
        return subprocess.run([*NIGHTLY, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def host() -> str:
    """The platform that the toolchain compiles for: with it named, build scripts are left without the sanitizer."""
    shown = subprocess.run(["rustc", "+nightly", "--version", "--verbose"], capture_output=True, text=True, check=True)
    return next(line.removeprefix("host: ") for line in shown.stdout.splitlines() if line.startswith("host: "))


def main() -> int:
    """Run the stress tests and return 1 where a race is reported or a test fails."""
    if not has_nightly():
        print("ThreadSanitizer: skipped: no nightly toolchain (rustup toolchain install nightly)")
        return 0
    command = [*NIGHTLY, "test", "--package", "threefold-sync", "--test", "stress", "--target", host()]
    return 1 if subprocess.run(command, cwd=steps.ROOT, env=os.environ | SETTINGS).returncode else 0


if __name__ == "__main__":
    sys.exit(main())

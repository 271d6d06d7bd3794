"""`pytest -p threefold`: runs the tests on the Rust engine, and ends a hung test by saying who waits for whom."""

from __future__ import annotations

import os
import sys

import pytest

# Nothing else of ours is imported unless it is asked for; type checkers take this name as true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from threefold._hang_watch import HangWatch

_NAMES = ("threefold", __name__)
_watch_key: pytest.StashKey[HangWatch] = pytest.StashKey()
_state_key: pytest.StashKey[str] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("threefold", "threads and queues on the Rust engine")
    group.addoption("--threefold", action="store_true", help="Run the tests on the Rust engine (as -p threefold does).")
    group.addoption(
        "--threefold-hang-timeout",
        type=float,
        metavar="SECONDS",
        default=None,
        help="Fail a test whose setup, call or teardown takes longer, and print who waits for whom. Default: off.",
    )
    parser.addini("threefold_hang_timeout", "The default of --threefold-hang-timeout, in seconds.", default="0")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Replace the classes before the first conftest and the first test module are imported."""
    from threefold import _activate

    # Under `threefold run` they are replaced already; but pytest loads the modules of its plugins, ours too, itself.
    _activate.watch_imports_first()
    options = early_config.known_args_namespace
    if not options.threefold and not any(name in _NAMES for name in options.plugins or ()):
        return
    try:
        _activate.install()
    except ImportError as error:
        raise pytest.UsageError(f"threefold: {error}") from None
    parts = ", ".join(_activate.active_parts())
    early_config.stash[_state_key] = f"{parts} on the Rust engine" if parts else "off (THREEFOLD_DISABLE is set)"


def pytest_configure(config: pytest.Config) -> None:
    """Make the hang watch, if it is asked for."""
    seconds = config.getoption("threefold_hang_timeout")
    try:
        seconds = float(config.getini("threefold_hang_timeout")) if seconds is None else seconds
    except ValueError:
        raise pytest.UsageError("threefold_hang_timeout must be a number of seconds") from None
    if seconds < 0:
        raise pytest.UsageError("--threefold-hang-timeout must not be negative")
    if seconds:
        from threefold._hang_watch import HangWatch

        config.stash[_watch_key] = HangWatch(seconds)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say in the header what runs on the engine."""
    state = config.stash.get(_state_key, None)
    return f"threefold: {state}" if state is not None else None


def _watched(item: pytest.Item) -> Iterator[None]:
    watch = item.config.stash.get(_watch_key, None)
    if watch is None:
        yield
        return
    with watch:
        yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Watch the setup."""
    yield from _watched(item)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Watch the test."""
    yield from _watched(item)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Watch the teardown."""
    yield from _watched(item)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember the exit code for a process that threads of its tests would keep from ending."""
    watch = session.config.stash.get(_watch_key, None)
    if watch is not None:
        watch.exit_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process when threads of its tests would keep it from ending."""
    watch = config.stash.get(_watch_key, None)
    if watch is None:
        return
    stuck = watch.stuck_threads()
    if stuck:
        print(f"threefold: ending without waiting for the hung {', '.join(stuck)}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(watch.exit_status)

"""Gives every test a time limit; a test that reaches it prints who waits for whom and all stacks, and fails."""

import faulthandler
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import pytest

DEFAULT_LIMIT_S = 60.0
# What is left running after the last test (threads that never end, say) gets this long.
EXIT_LIMIT_S = 30.0

WATCHDOG = Path(__file__).with_name("watchdog.py")
orders_stash = pytest.StashKey[int]()
is_over_stash = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the long form of the stress tests."""
    parser.addoption(
        "--full-stress", action="store_true", help="run the stress tests in their full length (default: a short form)"
    )


@pytest.fixture(scope="session")
def full_stress(pytestconfig: pytest.Config) -> bool:
    """True where the stress tests are asked for in their full length."""
    return bool(pytestconfig.getoption("--full-stress"))


def pytest_configure(config: pytest.Config) -> None:
    """Start the watchdog while standard error is still the real one."""
    standard_error = os.dup(2)

    def interrupt(_signal_number: int, _frame: object) -> NoReturn:
        faulthandler.dump_traceback(standard_error, all_threads=True)
        if config.stash[is_over_stash]:
            os._exit(1)
        pytest.fail("the test has reached its time limit; the stacks are on standard error")

    config.stash[is_over_stash] = False
    # A shell starts what runs in the background deaf to Ctrl-C and Ctrl-\, and every child of a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(runpy.run_path(str(WATCHDOG))["INTERRUPT_SIGNAL"], interrupt)
    reader, writer = os.pipe()
    subprocess.run([sys.executable, str(WATCHDOG), str(os.getpid())], stdin=reader, check=True)
    os.close(reader)
    config.stash[orders_stash] = writer


def order(config: pytest.Config, line: str) -> None:
    """Send one order to the watchdog."""
    os.write(config.stash[orders_stash], line.encode() + b"\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold each test, its fixtures included, to its limit: `@pytest.mark.timeout(seconds)` or the default."""
    marker = item.get_closest_marker("timeout")
    limit_s = float(marker.args[0]) if marker else DEFAULT_LIMIT_S
    order(item.config, f"{limit_s} {item.nodeid}")
    try:
        return (yield)
    finally:
        order(item.config, "")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Hold the process to a limit for its own end, as an error where it is reached."""
    config.stash[is_over_stash] = True
    order(config, f"{EXIT_LIMIT_S} the end of the test process")

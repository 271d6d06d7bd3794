"""The suites that are run: which modules of the interpreter's `test` package, and which of their tests."""

from __future__ import annotations

import fnmatch
import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """One row of the table.

    Args:
        name: how the row and the command line call it.
        modules: names of test modules; those the interpreter does not have are left out.
        without: patterns of test ids that are about something threefold does not replace.
        low_level: whether the module's own `import _thread` sees our Lock and RLock (see README.md).
        seconds: limit for the whole suite.
    """

    name: str
    modules: tuple[str, ...]
    without: tuple[str, ...] = ()
    low_level: bool = False
    seconds: float = 300

    def present(self) -> list[str]:
        """Return the modules that this interpreter has."""
        return [module for module in self.modules if _exists(module)]

    def contains(self, identifier: str) -> bool:
        """Tell whether a test belongs to the suite."""
        return not any(fnmatch.fnmatchcase(identifier, pattern) for pattern in self.without)


# Pools of processes and of interpreters share these modules with the pool of threads.
OTHER_POOLS = ("*.ProcessPool*", "*.InterpreterPool*", "*.FailingInitializerResourcesTest.*")

SUITES = (
    Suite("test_queue", ("test.test_queue",)),
    Suite("lock_tests", ("cpython.lock_suites",)),
    Suite("test_threading", ("test.test_threading",), seconds=600),
    Suite("test_thread", ("test.test_thread",), low_level=True),
    Suite("test_threadsignals", ("test.test_threadsignals",), low_level=True),
    Suite("test_threading_local", ("test.test_threading_local",)),
    Suite("test_threadedtempfile", ("test.test_threadedtempfile",)),
    Suite("test_thread_local_bytecode", ("test.test_thread_local_bytecode",)),
    Suite(
        "test_concurrent_futures",
        (
            # One module in 3.11, a package since.
            "test.test_concurrent_futures",
            "test.test_concurrent_futures.test_thread_pool",
            "test.test_concurrent_futures.test_shutdown",
            "test.test_concurrent_futures.test_wait",
            "test.test_concurrent_futures.test_as_completed",
            "test.test_concurrent_futures.test_future",
            "test.test_concurrent_futures.test_init",
        ),
        without=OTHER_POOLS,
        seconds=600,
    ),
)


def _exists(module: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        return False
    # The package itself would load its process tests too: its modules are named one by one.
    return spec is not None and (module == "test" or spec.submodule_search_locations is None)

"""The suites that are run: which modules of the interpreter's `test` package, and which of their tests."""

from __future__ import annotations

import fnmatch
import importlib.util
import sys
from dataclasses import dataclass

THREADS = "threads"
PROCESSES = "processes"
MANAGERS = "managers"
TASKS = "tasks"
UVLOOP = "uvloop"
GROUPS = (THREADS, PROCESSES, MANAGERS, TASKS, UVLOOP)

# A hang is not slowness here: no test of a loop takes ten seconds.
LOOP_TEST_SECONDS = 30.0

START_METHODS = ("fork", "spawn", "forkserver")


@dataclass(frozen=True)
class Suite:
    """One row of the table.

    Args:
        name: how the row and the command line call it.
        modules: names of test modules; those the interpreter does not have are left out.
        group: the group it is run with.
        within: patterns of the test ids that belong to it.
        without: patterns of the test ids that do not, all the same.
        low_level: whether the module's own `import _thread` sees our Lock and RLock (see README.md).
        subject: a type, as `module:name`, that the tests must be seen to use as soon as threefold has it.
        seconds: limit for the whole suite.
        test_seconds: limit for one test, if the command line says nothing else.
        loop_for: from which package the tests take their loops, `asyncio` or `uvloop`; empty if loops are not their subject.
    """

    name: str
    modules: tuple[str, ...]
    group: str = THREADS
    within: tuple[str, ...] = ("*",)
    without: tuple[str, ...] = ()
    low_level: bool = False
    subject: str = ""
    seconds: float = 300
    test_seconds: float = 120
    loop_for: str = ""

    def present(self) -> list[str]:
        """Return the modules that this interpreter has; those of uvloop it does not have to have."""
        if self.group == UVLOOP:
            return list(self.modules)
        return [module for module in self.modules if _exists(module)]

    def contains(self, identifier: str) -> bool:
        """Tell whether a test belongs to the suite."""
        return _matches(identifier, self.within) and not _matches(identifier, self.without)


def chosen(patterns: list[str], groups: list[str]) -> list[Suite]:
    """Return the suites whose names match a pattern, or without patterns those of some groups."""
    if patterns:
        return [suite for suite in SUITES if _matches(suite.name, tuple(patterns))]
    return [suite for suite in SUITES if suite.group in groups]


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def _exists(module: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        return False
    # The package itself would load its process tests too: its modules are named one by one.
    return spec is not None and (module == "test" or spec.submodule_search_locations is None)


# Pools of processes and of interpreters share these modules with the pool of threads.
PROCESS_POOLS = ("*.ProcessPool*", "*.FailingInitializerResourcesTest.*")
OTHER_POOLS = (*PROCESS_POOLS, "*.InterpreterPool*")

THREAD_SUITES = (
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

# The classes of the multiprocessing tests are named after what they are about.
KINDS = {
    "processes": (PROCESSES, ("*.WithProcesses*",), ()),
    "misc": (PROCESSES, ("*",), ("*.WithProcesses*", "*.WithThreads*", "*.WithManager*")),
    "threads": (MANAGERS, ("*.WithThreads*",), ()),
    "manager": (MANAGERS, ("*.WithManager*",), ()),
}

MULTIPROCESSING_SUITES = tuple(
    Suite(
        f"{method}.{kind}",
        (f"cpython.multiprocessing_{method}",),
        group,
        within,
        without,
        subject="threefold.multiprocessing:Queue" if kind == "processes" else "",
        seconds=900,
    )
    for method in START_METHODS
    for kind, (group, within, without) in KINDS.items()
)

PROCESS_POOL_SUITES = tuple(
    Suite(module, modules, PROCESSES, PROCESS_POOLS, subject="threefold.futures:ProcessPoolExecutor", seconds=600)
    for module, modules in {
        # One module in 3.11, which has the tests of all the rows.
        "test_process_pool": ("test.test_concurrent_futures", "test.test_concurrent_futures.test_process_pool"),
        "test_wait": ("test.test_concurrent_futures.test_wait",),
        "test_as_completed": ("test.test_concurrent_futures.test_as_completed",),
        "test_init": ("test.test_concurrent_futures.test_init",),
        "test_shutdown": ("test.test_concurrent_futures.test_shutdown",),
        "test_deadlock": ("test.test_concurrent_futures.test_deadlock",),
    }.items()
)

# The modules of test_asyncio whose tests make loops by asyncio's public names and look at nothing inside them.
LOOP_MODULES = (
    "test_buffered_proto",
    "test_context",
    "test_eager_task_factory",
    "test_events",
    "test_free_threading",
    "test_futures2",
    "test_graph",
    "test_locks",
    "test_queues",
    "test_runners",
    "test_sendfile",
    "test_server",
    "test_server_context",
    "test_sock_lowlevel",
    "test_ssl",
    "test_sslproto",
    "test_staggered",
    "test_streams",
    "test_subprocess",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_waitfor",
)

# Before, its tests put mocks in the place of every loop.
LOOPS_SINCE = {"test_runners": (3, 13)}

TASK_SUITES = tuple(
    Suite(
        f"tasks.{module}",
        (f"test.test_asyncio.{module}",),
        TASKS,
        # The same tests once more with other selectors, which are not the loop's subject.
        without=("*.PollEventLoopTests.*", "*.SelectEventLoopTests.*"),
        seconds=600,
        test_seconds=LOOP_TEST_SECONDS,
        loop_for="asyncio",
    )
    for module in LOOP_MODULES
    if sys.version_info >= LOOPS_SINCE.get(module, (3, 11))
)

# The modules of uvloop's suite whose classes bind the same tests to asyncio and to uvloop; README.md says which are left out.
BOTH = (
    "test_aiohttp",
    "test_base",
    "test_context",
    "test_dns",
    "test_executors",
    "test_pipes",
    "test_process",
    "test_signals",
    "test_sockets",
    "test_tcp",
    "test_udp",
    "test_unix",
)
UVLOOP_MODULES = {
    "asyncio": BOTH,
    "uvloop": (*BOTH, "test_dealloc", "test_process_spawning", "test_regr1", "test_runner"),
}

UVLOOP_SUITES = tuple(
    Suite(
        f"as-{package}.{module}",
        (f"uvloop_tests.{module}",),
        UVLOOP,
        seconds=600,
        test_seconds=LOOP_TEST_SECONDS,
        loop_for=package,
    )
    for package, modules in UVLOOP_MODULES.items()
    for module in modules
)

SUITES = (
    *THREAD_SUITES,
    *MULTIPROCESSING_SUITES,
    Suite("test_multiprocessing_main_handling", ("test.test_multiprocessing_main_handling",), PROCESSES, seconds=600),
    *PROCESS_POOL_SUITES,
    *TASK_SUITES,
    *UVLOOP_SUITES,
)

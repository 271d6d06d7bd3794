"""The process pools of the peers, under one set of names; each has two workers, forked where the peer can."""

from collections.abc import Callable, Iterator
from typing import Any

from harness import home, load, require_own

WORKER_COUNT = 2

Function = Callable[..., Any]


def forking_context() -> Any:
    return load("multiprocessing").get_context("fork")


def automatic(item_count: int) -> int:
    """Return the chunk size that `multiprocessing.Pool.map` chooses, for those who choose none."""
    return -(-item_count // (4 * WORKER_COUNT))


class StandardPool:
    """`multiprocessing.Pool`, and what has its names."""

    def __init__(self, peer: str) -> None:
        """Start the pool."""
        require_own(peer, load(f"{peer}.pool").Pool)
        self.pool = load(peer).get_context("fork").Pool(WORKER_COUNT)

    def map(self, function: Function, items: list[Any], chunksize: int | None) -> list[Any]:
        """Return all results; without a chunk size, in chunks as the peer likes them."""
        return self.pool.map(function, items, chunksize)

    def imap(self, function: Function, items: list[Any]) -> Iterator[Any]:
        """Return the results as they come, in order, in chunks of one."""
        return self.pool.imap(function, items)

    def call(self, function: Function, argument: Any) -> Any:
        """Return the result of one call."""
        return self.pool.apply(function, (argument,))

    def submit(self, function: Function, *arguments: Any) -> Any:
        """Return what `result` waits for."""
        return self.pool.apply_async(function, arguments)

    def result(self, submitted: Any, timeout: float | None = None) -> Any:
        """Return the result, or raise what became of it."""
        return submitted.get(timeout)

    def close(self) -> None:
        """End the workers when nothing is left to do."""
        self.pool.close()
        self.pool.join()


class Executor(StandardPool):
    """`concurrent.futures.ProcessPoolExecutor`, and what has its names."""

    def __init__(self, peer: str) -> None:
        kind = load(peer)
        require_own(peer, kind)
        self.pool = kind(WORKER_COUNT, mp_context=forking_context())

    def map(self, function: Function, items: list[Any], chunksize: int | None) -> list[Any]:
        return list(self.pool.map(function, items, chunksize=chunksize or automatic(len(items))))

    def call(self, function: Function, argument: Any) -> Any:
        return self.pool.submit(function, argument).result()

    def submit(self, function: Function, *arguments: Any) -> Any:
        return self.pool.submit(function, *arguments)

    def result(self, submitted: Any, timeout: float | None = None) -> Any:
        return submitted.result(timeout)

    def close(self) -> None:
        self.pool.shutdown(wait=True)


class Loky(Executor):
    def __init__(self, peer: str) -> None:
        # Its workers are fresh interpreters, which is what it is for.
        self.pool = load(peer)(max_workers=WORKER_COUNT)


class Mpire(StandardPool):
    def __init__(self, peer: str) -> None:
        self.pool = load(peer)(n_jobs=WORKER_COUNT, start_method="fork", keep_alive=True)

    def map(self, function: Function, items: list[Any], chunksize: int | None) -> list[Any]:
        return self.pool.map(function, items, chunk_size=chunksize, concatenate_numpy_output=False)

    def imap(self, function: Function, items: list[Any]) -> Iterator[Any]:
        return self.pool.imap(function, items, chunk_size=1)

    def close(self) -> None:
        self.pool.stop_and_join()


class Pebble(Executor):
    def __init__(self, peer: str) -> None:
        self.pool = load(peer)(max_workers=WORKER_COUNT, context=forking_context())

    def map(self, function: Function, items: list[Any], chunksize: int | None) -> list[Any]:
        return list(self.pool.map(function, items, chunksize=chunksize or automatic(len(items))).result())

    def call(self, function: Function, argument: Any) -> Any:
        return self.pool.schedule(function, args=(argument,)).result()

    def submit(self, function: Function, *arguments: Any) -> Any:
        return self.pool.schedule(function, args=arguments)

    def close(self) -> None:
        self.pool.close()
        self.pool.join()


class Joblib(StandardPool):
    """`joblib.Parallel`, which takes all calls at once and returns when all are done."""

    def __init__(self, peer: str) -> None:
        self._parallel = load(peer)
        self.pool = self._open()

    def _open(self, **options: Any) -> Any:
        # Leaving it takes away the files in which it has put large arrays.
        return self._parallel(n_jobs=WORKER_COUNT, **options).__enter__()

    def map(self, function: Function, items: list[Any], chunksize: int | None) -> list[Any]:
        self.pool.batch_size = chunksize or "auto"
        return self.pool((function, (item,), {}) for item in items)

    def imap(self, function: Function, items: list[Any]) -> Iterator[Any]:
        self.close()
        self.pool = self._open(return_as="generator", batch_size=1)
        return self.pool((function, (item,), {}) for item in items)

    def call(self, function: Function, argument: Any) -> Any:
        return self.map(function, [argument], 1)[0]

    def close(self) -> None:
        self.pool.__exit__(None, None, None)
        load("joblib.externals.loky").get_reusable_executor().shutdown(wait=True)


POOLS = {
    "multiprocessing.Pool": "multiprocessing",
    "ProcessPoolExecutor": "concurrent.futures:ProcessPoolExecutor",
    "loky": "loky:get_reusable_executor",
    "joblib": "joblib:Parallel",
    "mpire": "mpire:WorkerPool",
    "pebble": "pebble:ProcessPool",
    "threefold": "threefold.multiprocessing",
    "threefold.ProcessPoolExecutor": "threefold.futures:ProcessPoolExecutor",
}
# Executors have a `map` that is an imap; joblib takes all calls at once.
WITH_IMAP = {
    name: peer for name, peer in POOLS.items() if name in ("multiprocessing.Pool", "joblib", "mpire", "threefold")
}
WITH_SUBMIT = {name: peer for name, peer in POOLS.items() if name != "joblib"}
_KINDS: dict[str, type[StandardPool]] = {
    "deadpool": Executor,
    "loky": Loky,
    "joblib": Joblib,
    "mpire": Mpire,
    "pebble": Pebble,
}


def open_pool(peer: str) -> StandardPool:
    """Start a pool.

    Args:
        peer: an address; one that names a class is an executor, unless it is known by its package.

    Raises:
        UnavailableError: if the package hands out the standard library's pool.
    """
    return _KINDS.get(home(peer), Executor if ":" in peer else StandardPool)(peer)

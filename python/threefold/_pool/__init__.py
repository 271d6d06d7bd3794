"""The pool of worker processes under `multiprocessing.Pool` and `ProcessPoolExecutor`."""

from threefold import _activate

# Before any module of this package begins: where threefold is active, our pools come with the standard ones, and need
# modules of this package that are complete.
with _activate.Postponed():
    import concurrent.futures.process  # noqa: F401
    import multiprocessing.pool  # noqa: F401

"""The pool of worker processes under `multiprocessing.Pool` and `ProcessPoolExecutor`."""

from threefold import _activate

# Before any module of this package begins: where threefold is active, our pool comes with the standard one, and needs
# modules of this package that are complete.
with _activate.Postponed():
    import multiprocessing.pool  # noqa: F401

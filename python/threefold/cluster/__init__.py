"""A pool's tasks on a cluster: what `Pool(backend="ray")` and `Pool(backend="dask")` stand on."""

import importlib
from typing import Any

from threefold.cluster.capabilities import BACKENDS, Capabilities, UnsupportedOnBackend
from threefold.cluster.port import Backend, BackendNotInstalled, TaskFailure, TaskOptions

__all__ = [
    "Backend",
    "BackendNotInstalled",
    "Capabilities",
    "TaskFailure",
    "TaskOptions",
    "UnsupportedOnBackend",
    "open_backend",
    "open_supervisor",
]

# The packages that each engine consists of.
_NEEDED = {"ray": ("ray",), "dask": ("distributed", "cloudpickle")}


def open_backend(name: str, **options: Any) -> Backend:
    """Reach a cluster, or start one on this machine.

    Args:
        name: "ray" or "dask".
        options: arguments of the pool, of which None asks for nothing, and those of the engine:
            `threefold.cluster.ray.RayBackend`, `threefold.cluster.dask.DaskBackend`.

    Returns:
        The backend, which is to be closed.

    Raises:
        UnsupportedOnBackend: for an argument of the pool that the engine cannot honour.
        BackendNotInstalled: where the engine is not installed.
        TypeError: for an argument that nobody knows.
        ValueError: for a name that is no backend's.
    """
    if name not in _NEEDED:
        raise ValueError(f"backend must be one of {', '.join(map(repr, BACKENDS))}, not {name!r}")
    Capabilities(name).check(**options)
    for package in _NEEDED[name]:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            sentence = f'backend={name!r} needs the package {package}: pip install "threefold[{name}]"'
            raise BackendNotInstalled(sentence, name=package) from None
    module = importlib.import_module(f"threefold.cluster.{name}")
    opened: Backend = module.open_backend(**{key: value for key, value in options.items() if value is not None})
    return opened


def open_supervisor(
    name: str,
    worker_count: int | None = None,
    *,
    initializer: Any = None,
    initargs: tuple[Any, ...] = (),
    max_jobs_per_worker: int | None = None,
    **options: Any,
) -> Any:
    """Start what makes a pool's calls on a cluster.

    Args:
        name: "ray" or "dask".
        worker_count: how many calls are made at once; None for as many as the cluster has room for.
        initializer: what is called before the first task in each process.
        initargs: its arguments.
        max_jobs_per_worker: calls (of a map: chunks) after which a process is replaced.
        options: further arguments of the pool, of which None asks for nothing, and those of the engine.

    Raises:
        UnsupportedOnBackend: for an argument of the pool that the engine cannot honour.
        BackendNotInstalled: where the engine is not installed.
        TypeError: for an argument that nobody knows.
    """
    backend = open_backend(name, processes=worker_count, maxtasksperchild=max_jobs_per_worker, **options)
    try:
        from threefold.cluster._supervisor import ClusterSupervisor

        return ClusterSupervisor(backend, initializer, initargs)
    except BaseException:
        backend.close()
        raise

# What type checkers see of `threefold.multiprocessing`: the standard names, the engine's locks, queues and pools.

from collections.abc import Callable, Iterable
from multiprocessing import (
    Array as Array,
)
from multiprocessing import (
    AuthenticationError as AuthenticationError,
)
from multiprocessing import (
    BufferTooShort as BufferTooShort,
)
from multiprocessing import (
    Manager as Manager,
)
from multiprocessing import (
    Process as Process,
)
from multiprocessing import (
    ProcessError as ProcessError,
)
from multiprocessing import (
    RawArray as RawArray,
)
from multiprocessing import (
    RawValue as RawValue,
)
from multiprocessing import (
    TimeoutError as TimeoutError,
)
from multiprocessing import (
    Value as Value,
)
from multiprocessing import (
    active_children as active_children,
)
from multiprocessing import (
    allow_connection_pickling as allow_connection_pickling,
)
from multiprocessing import (
    cpu_count as cpu_count,
)
from multiprocessing import (
    current_process as current_process,
)
from multiprocessing import (
    freeze_support as freeze_support,
)
from multiprocessing import (
    get_all_start_methods as get_all_start_methods,
)
from multiprocessing import (
    get_logger as get_logger,
)
from multiprocessing import (
    get_start_method as get_start_method,
)
from multiprocessing import (
    log_to_stderr as log_to_stderr,
)
from multiprocessing import (
    parent_process as parent_process,
)
from multiprocessing import (
    reducer as reducer,
)
from multiprocessing import (
    set_executable as set_executable,
)
from multiprocessing import (
    set_forkserver_preload as set_forkserver_preload,
)
from multiprocessing import (
    set_start_method as set_start_method,
)
from typing import Any, Literal, overload

from threefold._errors import OwnerDied as OwnerDied
from threefold._pool.errors import InitializerFailed as InitializerFailed
from threefold._pool.errors import PoolTerminated as PoolTerminated
from threefold._pool.errors import RemoteError as RemoteError
from threefold._pool.errors import TaskCancelled as TaskCancelled
from threefold._pool.errors import TaskTimeout as TaskTimeout
from threefold._pool.errors import WorkerDied as WorkerDied
from threefold.multiprocessing import connection as connection
from threefold.multiprocessing import context as context
from threefold.multiprocessing import pool as pool
from threefold.multiprocessing import queues as queues
from threefold.multiprocessing import synchronize as synchronize

__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "parent_process",
    "reducer",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
]

def Lock(*, owner_died: Literal["inherit", "raise"] = "inherit") -> synchronize.Lock: ...
def RLock(*, owner_died: Literal["inherit", "raise"] = "inherit") -> synchronize.RLock: ...
def Semaphore(value: int = 1, *, owner_died: Literal["inherit", "raise"] = "inherit") -> synchronize.Semaphore: ...
def BoundedSemaphore(
    value: int = 1, *, owner_died: Literal["inherit", "raise"] = "inherit"
) -> synchronize.BoundedSemaphore: ...
def Condition(lock: Any = None, *, owner_died: Literal["inherit", "raise"] = "inherit") -> synchronize.Condition: ...
def Event() -> synchronize.Event: ...
def Barrier(
    parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
) -> synchronize.Barrier: ...
def Pool(
    processes: int | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] = (),
    maxtasksperchild: int | None = None,
    *,
    max_memory_per_worker: int | None = None,
    backend: str = "local",
    **backend_options: Any,
) -> pool.Pool: ...
def Queue(maxsize: int = 0, *, max_bytes: int | None = None) -> queues.Queue[Any]: ...
def JoinableQueue(maxsize: int = 0, *, max_bytes: int | None = None) -> queues.JoinableQueue[Any]: ...
def SimpleQueue(*, max_bytes: int | None = None) -> queues.SimpleQueue[Any]: ...
def Pipe(duplex: bool = True) -> tuple[connection.Connection, connection.Connection]: ...
@overload
def get_context(method: None = None) -> context.DefaultContext: ...
@overload
def get_context(method: Literal["fork"]) -> context.ForkContext: ...
@overload
def get_context(method: Literal["spawn"]) -> context.SpawnContext: ...
@overload
def get_context(method: Literal["forkserver"]) -> context.ForkServerContext: ...
@overload
def get_context(method: str) -> context.BaseContext: ...

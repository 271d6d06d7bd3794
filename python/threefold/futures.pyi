# What type checkers see of `threefold.futures`: the standard module, with the engine's pools in their places.

import concurrent.futures
import sys
from collections.abc import Callable
from concurrent.futures import (
    ALL_COMPLETED as ALL_COMPLETED,
)
from concurrent.futures import (
    FIRST_COMPLETED as FIRST_COMPLETED,
)
from concurrent.futures import (
    FIRST_EXCEPTION as FIRST_EXCEPTION,
)
from concurrent.futures import (
    BrokenExecutor as BrokenExecutor,
)
from concurrent.futures import (
    CancelledError as CancelledError,
)
from concurrent.futures import (
    Executor as Executor,
)
from concurrent.futures import (
    Future as Future,
)
from concurrent.futures import (
    InvalidStateError as InvalidStateError,
)
from concurrent.futures import (
    TimeoutError as TimeoutError,
)
from concurrent.futures import (
    as_completed as as_completed,
)
from concurrent.futures import (
    wait as wait,
)
from concurrent.futures.process import BrokenProcessPool as BrokenProcessPool
from concurrent.futures.thread import BrokenThreadPool as BrokenThreadPool
from typing import Any

from threefold._process_executor import ProcessPoolExecutor as ProcessPoolExecutor

if sys.version_info >= (3, 14):
    from concurrent.futures import InterpreterPoolExecutor as InterpreterPoolExecutor

class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        propagate_context: bool = False,
        wait_at_exit: bool = True,
        **context_arguments: Any,
    ) -> None: ...

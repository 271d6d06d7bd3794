# What type checkers see of `threefold.threading`: the engine's classes in the place of the standard module's.

import sys
from threading import (
    TIMEOUT_MAX as TIMEOUT_MAX,
)
from threading import (
    BrokenBarrierError as BrokenBarrierError,
)
from threading import (
    ExceptHookArgs as ExceptHookArgs,
)
from threading import (
    ThreadError as ThreadError,
)
from threading import (
    active_count as active_count,
)
from threading import (
    current_thread as current_thread,
)
from threading import (
    enumerate as enumerate,
)
from threading import (
    excepthook as excepthook,
)
from threading import (
    get_ident as get_ident,
)
from threading import (
    get_native_id as get_native_id,
)
from threading import (
    getprofile as getprofile,
)
from threading import (
    gettrace as gettrace,
)
from threading import (
    local as local,
)
from threading import (
    main_thread as main_thread,
)
from threading import (
    setprofile as setprofile,
)
from threading import (
    settrace as settrace,
)
from threading import (
    stack_size as stack_size,
)

from threefold._thread import (
    Thread as Thread,
)
from threefold._thread import (
    Timer as Timer,
)
from threefold._thread import (
    _change_in_place as _change_in_place,
)
from threefold._thread import (
    _patch_thread as _patch_thread,
)
from threefold._thread import (
    _unpatch_thread as _unpatch_thread,
)
from threefold._threefold import (
    Barrier as Barrier,
)
from threefold._threefold import (
    BoundedSemaphore as BoundedSemaphore,
)
from threefold._threefold import (
    Condition as Condition,
)
from threefold._threefold import (
    Event as Event,
)
from threefold._threefold import (
    Lock as Lock,
)
from threefold._threefold import (
    RLock as RLock,
)
from threefold._threefold import (
    Semaphore as Semaphore,
)

if sys.version_info >= (3, 12):
    from threading import (
        setprofile_all_threads as setprofile_all_threads,
    )
    from threading import (
        settrace_all_threads as settrace_all_threads,
    )

if sys.version_info >= (3, 15):
    from threading import (
        concurrent_tee as concurrent_tee,
    )
    from threading import (
        serialize_iterator as serialize_iterator,
    )
    from threading import (
        synchronized_iterator as synchronized_iterator,
    )

__all__ = [
    "get_ident",
    "active_count",
    "Condition",
    "current_thread",
    "enumerate",
    "main_thread",
    "TIMEOUT_MAX",
    "Event",
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Thread",
    "Barrier",
    "BrokenBarrierError",
    "Timer",
    "ThreadError",
    "setprofile",
    "settrace",
    "local",
    "stack_size",
    "excepthook",
    "ExceptHookArgs",
    "gettrace",
    "getprofile",
    "get_native_id",
]

if sys.version_info >= (3, 12):
    __all__ += ["setprofile_all_threads", "settrace_all_threads"]

if sys.version_info >= (3, 15):
    __all__ += ["serialize_iterator", "synchronized_iterator", "concurrent_tee"]

def __getattr__(name: str) -> object: ...

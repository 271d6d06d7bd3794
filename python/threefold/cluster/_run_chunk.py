"""What runs on a worker of a cluster: one chunk of a pool's tasks, from bytes to bytes.

It stands on the standard library alone, and all that it says can be read with the standard pickle.
"""

import collections
import os
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

# The first member of a reply.
RETURNED, RAISED, UNSENDABLE, EXITED, INITIALIZER_FAILED = range(5)
# The whole reply of a task that has begun before and did not come to its end: its worker died.
BEGUN_BEFORE = b"begun before"

# How many functions a process keeps, for the next chunk.
_KEPT_FUNCTIONS = 16
_LONGEST_REPR = 200

Stamp = tuple[str, int, float]
# The pickled exception or None, its type's name, its repr, the traceback, its notes.
ErrorParts = tuple[bytes | None, str, str, str, list[str]]


class _Preparation:
    """What a process has done for one pool: run its initializer, once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_done = False
        self.error: ErrorParts | None = None
        self.globals: dict[str, Any] = {}

    def prepare(self, initializer: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        """Run the initializer if nobody has, and let this copy of it see what it has set."""
        names = getattr(getattr(initializer, "func", initializer), "__globals__", {})
        with self.lock:
            if self.is_done:
                # A function that travelled by value brings its own copy of the globals of its module.
                names.update(self.globals)
                return
            before = dict(names)
            try:
                initializer(*arguments)
            except BaseException as error:  # noqa: BLE001 - reported, whatever it is
                self.error = describe(error)
            self.globals = {name: value for name, value in names.items() if before.get(name, self) is not value}
            self.is_done = True


_lock = threading.Lock()
_preparations: dict[str, _Preparation] = {}
_functions: "collections.OrderedDict[tuple[str, int], tuple[Any, ...]]" = collections.OrderedDict()


def run_chunk(shared: bytes, chunk: bytes, pool: str, key: int, mode: str, marker: str | None = None) -> bytes:
    """Run a chunk and return its reply, whatever happens.

    Args:
        shared: the pickled function, initializer and initializer's arguments.
        chunk: the pickled arguments.
        pool: the name of the pool.
        key: the number of the function in the pool.
        mode: "call", "map" or "star".
        marker: a file that the task creates when it begins; where it is there already, the task has begun before, and
            if it came to its end its reply is kept beside the marker.
    """
    start = stamp()
    if marker is not None and not _mark(marker, start):
        return _kept_reply(marker)
    try:
        kind, value = _run(shared, chunk, (pool, key), mode)
    except Exception as error:  # noqa: BLE001 - reported, whatever it is
        kind, value = RAISED, describe(error)
    except BaseException as error:  # noqa: BLE001 - the worker is not ours to end
        kind, value = EXITED, describe(error)
    reply = pickle.dumps((kind, value, start, time.time()), 5)
    if marker is not None:
        _keep_reply(marker, reply)
    return reply


def run_telling_start(*arguments: Any) -> Iterator[bytes]:
    """Yield the start of a chunk, and then its reply."""
    yield pickle.dumps(stamp())
    yield run_chunk(*arguments)


def stamp() -> Stamp:
    """Return this host's name, the number of this process, and the time in seconds."""
    return socket.gethostname(), os.getpid(), time.time()


def _mark(marker: str, start: Stamp) -> bool:
    try:
        descriptor = os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    os.write(descriptor, pickle.dumps(start))
    os.close(descriptor)
    return True


def _keep_reply(marker: str, reply: bytes) -> None:
    try:
        with open(f"{marker}.part", "wb") as stream:
            stream.write(reply)
        os.replace(stream.name, f"{marker}.reply")
    except OSError:
        # A full disk: the reply goes its usual way, and is only lost if the worker dies before it is fetched.
        pass


def _kept_reply(marker: str) -> bytes:
    try:
        with open(f"{marker}.reply", "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return BEGUN_BEFORE


def _run(shared: bytes, chunk: bytes, name: tuple[str, int], mode: str) -> tuple[int, Any]:
    function, initializer, arguments = _load(shared, name)
    if initializer is not None:
        with _lock:
            preparation = _preparations.setdefault(name[0], _Preparation())
        preparation.prepare(initializer, arguments)
        if preparation.error is not None:
            return INITIALIZER_FAILED, preparation.error
    items = pickle.loads(chunk)
    if mode == "call":
        results = [function(*items[0], **items[1])]
    elif mode == "star":
        results = [function(*item) for item in items]
    else:
        results = [function(item) for item in items]
    try:
        return RETURNED, dump(results)
    except Exception as error:  # noqa: BLE001 - a result may raise anything when it is pickled
        return UNSENDABLE, (repr(error), _first_unsendable(results))


def _load(shared: bytes, name: tuple[str, int]) -> tuple[Any, ...]:
    with _lock:
        loaded = _functions.get(name)
    if loaded is None:
        loaded = pickle.loads(shared)
        with _lock:
            _functions[name] = loaded
            if len(_functions) > _KEPT_FUNCTIONS:
                _functions.popitem(last=False)
    return loaded


def _first_unsendable(results: list[Any]) -> str:
    for result in results:
        try:
            dump(result)
        except Exception:  # noqa: BLE001 - the same as above
            return _shortened(result)
    return _shortened(results)


def dump(item: object) -> bytes:
    """Pickle something; what only cloudpickle can pickle by cloudpickle, of which each engine brings one."""
    try:
        return pickle.dumps(item, 5)
    except Exception as reason:  # noqa: BLE001 - what pickle raises is not one family
        return _cloudpickle(reason).dumps(item, 5)  # type: ignore[no-any-return]


def _cloudpickle(reason: Exception) -> Any:
    import importlib
    import sys

    for name in ("ray.cloudpickle", "cloudpickle"):
        if name.partition(".")[0] in sys.modules:
            return importlib.import_module(name)
    raise reason


def describe(error: BaseException) -> ErrorParts:
    """Take an exception apart, so that something of it arrives even where the exception itself cannot."""
    try:
        pickled = dump(error)
    except Exception:  # noqa: BLE001 - its own methods run
        pickled = None
    text = "".join(traceback.format_exception(error))
    notes = [str(note) for note in getattr(error, "__notes__", ())]
    return pickled, type(error).__qualname__, _shortened(error), text, notes


def _shortened(item: object) -> str:
    try:
        text = repr(item)
    except Exception as error:  # noqa: BLE001 - a repr may raise anything
        text = f"<{type(item).__qualname__}, whose repr raises {type(error).__qualname__}>"
    return text if len(text) <= _LONGEST_REPR else f"{text[:_LONGEST_REPR]}..."

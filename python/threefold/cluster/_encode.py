"""From functions, arguments and replies to bytes and back: the caller's side of what `_run_chunk` does on a worker."""

import io
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback  # type: ignore[attr-defined]
from typing import Any, Literal

from threefold.cluster import _run_chunk
from threefold.cluster.capabilities import Capabilities
from threefold.cluster.port import Start

# Classes whose objects live on this machine; their modules are looked at only where somebody has loaded them.
_ON_THIS_MACHINE = {
    "multiprocessing.connection": ("_ConnectionBase",),
    "multiprocessing.heap": ("Arena", "BufferWrapper"),
    "multiprocessing.process": ("BaseProcess",),
    "multiprocessing.queues": ("Queue", "SimpleQueue"),
    "multiprocessing.shared_memory": ("SharedMemory", "ShareableList"),
    "multiprocessing.sharedctypes": ("SynchronizedBase",),
    "multiprocessing.synchronize": ("SemLock", "Condition", "Event", "Barrier"),
    "threefold.multiprocessing.connection": ("Connection",),
    "threefold.multiprocessing.queues": ("Queue", "SimpleQueue"),
    "threefold.multiprocessing.synchronize": ("SemLock", "Condition", "Event", "Barrier"),
}
# Builds what stands for something that cannot be unpickled here, from its class's name, its repr, the worker's
# traceback and the reason.
Substitute = Callable[[str, str, str, BaseException], BaseException]


class Encoder:
    """Pickles for one backend, and refuses by name what would be of no use on another machine.

    Args:
        pickler: the engine's own pickler, which takes lambdas and closures.
        capabilities: those of the backend.
    """

    def __init__(self, pickler: Any, capabilities: Capabilities) -> None:
        class Refusing(pickler):  # type: ignore[misc]
            def reducer_override(self, item: Any) -> Any:
                if _is_on_this_machine(item):
                    raise capabilities.refuse("shared_objects", f"passing a {type(item).__name__} to tasks")
                return super().reducer_override(item)

        self._pickler = Refusing
        self._capabilities = capabilities

    def function(
        self,
        function: Callable[..., object],
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> bytes:
        """Pickle a function together with the pool's initializer, so that both see the same globals on the worker.

        Args:
            function: what the tasks call.
            initializer: called before the first task of the pool in each process.
            initargs: the initializer's arguments.

        Raises:
            UnsupportedOnBackend: for a lock, a queue or shared memory among what the function needs.
        """
        return self._dump((function, initializer, initargs))

    def chunk(self, items: Any) -> bytes:
        """Pickle the arguments of a chunk: a list, or `(args, kwargs)` of one call.

        Args:
            items: the arguments.

        Raises:
            UnsupportedOnBackend: for a lock, a queue or shared memory among them.
        """
        return self._dump(items)

    def _dump(self, item: object) -> bytes:
        stream = io.BytesIO()
        try:
            self._pickler(stream, 5).dump(item)
        except RuntimeError as error:
            # The standard library's own refusal of what only a child may inherit.
            if not _is_about_inheritance(error):
                raise
            raise self._capabilities.refuse("shared_objects", "passing a shared object to tasks") from error
        return stream.getvalue()


def _is_on_this_machine(item: object) -> bool:
    for module, names in _ON_THIS_MACHINE.items():
        loaded = sys.modules.get(module)
        if loaded is not None:
            kinds = [getattr(loaded, name, None) for name in names]
            if isinstance(item, tuple(kind for kind in kinds if isinstance(kind, type))):
                return True
    return False


def _is_about_inheritance(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_name == "assert_spawning"


@dataclass(frozen=True)
class Reply:
    """What became of a chunk that a worker has run.

    Attributes:
        kind: `exited` where the function wanted to end its process, which is not done to a cluster's worker.
        start: where and when it began.
        end_s: seconds since the epoch, by the worker's clock.
        results: what the calls returned, in order.
        error: what the function or the initializer raised; the worker's traceback is its `__cause__`.
    """

    kind: Literal["returned", "raised", "exited", "initializer_failed"]
    start: Start
    end_s: float
    results: list[Any] = field(default_factory=list)
    error: BaseException | None = None


_KINDS: dict[int, Literal["raised", "exited", "initializer_failed"]] = {
    _run_chunk.RAISED: "raised",
    _run_chunk.EXITED: "exited",
    _run_chunk.INITIALIZER_FAILED: "initializer_failed",
}


def decode_reply(reply: bytes, substitute: Substitute) -> Reply:
    """Read a worker's reply.

    Args:
        reply: what `_run_chunk.run_chunk` returned.
        substitute: makes an exception out of one, or of a result, that cannot be unpickled here.
    """
    kind, value, stamp, end_s = pickle.loads(reply)
    start = Start(*stamp)
    if kind == _run_chunk.RETURNED:
        try:
            return Reply("returned", start, end_s, results=pickle.loads(value))
        except Exception as reason:  # noqa: BLE001 - the results' own methods run
            return Reply("raised", start, end_s, error=substitute("result", "of a task", "", reason))
    if kind == _run_chunk.UNSENDABLE:
        return Reply("raised", start, end_s, error=_unsendable(*value))
    return Reply(_KINDS[kind], start, end_s, error=_error(value, substitute))


def _unsendable(reason: str, item: str) -> MaybeEncodingError:
    error = MaybeEncodingError(reason, item)
    # It shows the repr of what it is given, which here is one already.
    error.exc, error.value = reason, item
    return error


def _error(parts: _run_chunk.ErrorParts, substitute: Substitute) -> BaseException:
    pickled, name, representation, text, notes = parts
    try:
        if pickled is None:
            raise pickle.PicklingError("it could not be pickled in the worker")
        error: BaseException = pickle.loads(pickled)
    except Exception as reason:  # noqa: BLE001 - the exception's own methods run
        error = substitute(name, representation, text, reason)
        for note in notes:
            error.add_note(note)
    if error.__cause__ is None:
        error.__cause__ = RemoteTraceback(f'\n"""\n{text}"""')
    return error

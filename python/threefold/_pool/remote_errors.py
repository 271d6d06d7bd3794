"""Exceptions on their way from a worker to its pool: always deliverable, with the worker's traceback."""

import pickle
import traceback
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler

Parts = tuple[bytes, bytes]


def encode(error: BaseException, style: str) -> Parts:
    """Return a pickle of an exception, or nothing where it has none, and a description of it that can be read in any case.

    Args:
        error: the exception.
        style: "pool" or "executor": whose class of remote tracebacks its cause gets.
    """
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    description = pickle.dumps((name, _repr(error), text))
    try:
        return bytes(ForkingPickler.dumps(_with_traceback(style)(error, error.__traceback__))), description
    except BaseException:  # noqa: BLE001 - whatever its own `__reduce__` raises
        return b"", description


def decode(pickled: bytes, description: bytes, is_of_loading: bool) -> BaseException:
    """Return the exception that a worker sent, or `RemoteError` in place of one that cannot be unpickled here.

    Args:
        pickled: its pickle, which may be empty.
        description: what `encode` said of it.
        is_of_loading: whether the call could not be unpickled in the worker, which the standard executor's users know as a
            broken pool.
    """
    from threefold._pool.errors import RemoteError

    reason: BaseException | None = None
    if pickled:
        try:
            error = pickle.loads(pickled)
            if isinstance(error, KeyboardInterrupt):
                # Ctrl-C reaches workers and program alike: where the program was is what its user wants to see.
                error.__cause__ = None
            if isinstance(error, BaseException) and not is_of_loading:
                return error
            reason = TypeError(f"it became {_repr(error)}")
        except BaseException as raised:  # noqa: BLE001 - whatever its class raises
            reason = raised
    name, representation, text = pickle.loads(description)
    return RemoteError(name, representation, text, reason)


def undecodable(reason: BaseException, size_bytes: int) -> BaseException:
    """Return what stands for a result that cannot be unpickled here."""
    from threefold._pool.errors import RemoteError

    error = RemoteError("result", f"<{size_bytes} bytes>", "", reason)
    error.__cause__ = reason
    return error


def _repr(thing: object) -> str:
    try:
        return repr(thing)
    except BaseException as error:  # noqa: BLE001 - whatever the object's own method raises
        return f"<{type(thing).__qualname__} whose repr() raises {type(error).__name__}>"


def _with_traceback(style: str) -> Callable[..., object]:
    if style == "executor":
        from concurrent.futures.process import _ExceptionWithTraceback

        return _ExceptionWithTraceback
    from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]

    return ExceptionWithTraceback  # type: ignore[no-any-return]

"""Pickles for queues and connections: as `multiprocessing` pickles, with large buffers beside the pickle."""

import io
from pickle import PickleBuffer, Pickler

from threefold._threefold import _reduce_as_multiprocessing

# Smaller buffers travel in the pickle: a message of one part needs less to be done.
_SMALLEST_BESIDE = 2048

# A pickler costs more than what most objects need of it. Who takes one out has it alone, whatever pickling calls back.
_idle: list["_Pickler"] = []
_MOST_IDLE = 4
_LARGEST_KEPT = 2**16


class _Pickler(Pickler):
    """A pickler to be used again and again, unless an error ends its work."""

    # Asked before `copyreg`, which the pickler asks by itself. Both look at the live tables: what is registered later counts.
    reducer_override = staticmethod(_reduce_as_multiprocessing)

    def __init__(self) -> None:
        self._stream = io.BytesIO()
        self._buffers: list[memoryview] = []
        super().__init__(self._stream, 5, buffer_callback=self._keep)

    def _keep(self, buffer: PickleBuffer) -> bool:
        view = buffer.raw()
        is_small = view.nbytes < _SMALLEST_BESIDE
        if not is_small:
            self._buffers.append(view)
        return is_small

    def pack(self, item: object) -> tuple[bytes, list[memoryview]]:
        self.dump(item)
        stream, buffers = self._stream.getvalue(), self._buffers
        self._buffers = []
        self._stream.seek(0)
        self._stream.truncate()
        # The memo keeps what was pickled alive.
        self.clear_memo()
        return stream, buffers


def dump(item: object) -> tuple[bytes, list[memoryview]]:
    """Pickle an object.

    Returns:
        The pickle, and the buffers that must be given back to the unpickler.
    """
    try:
        pickler = _idle.pop()
    except IndexError:
        pickler = _Pickler()
    packed = pickler.pack(item)
    if len(_idle) < _MOST_IDLE and len(packed[0]) <= _LARGEST_KEPT:
        _idle.append(pickler)
    return packed


def dump_whole(item: object) -> bytes:
    """Return the pickle of an object, in one piece and in the protocol of the standard library's connections."""
    stream = io.BytesIO()
    pickler = _PipePickler(stream)
    pickler.dump(item)
    return stream.getvalue()


class _PipePickler(Pickler):
    reducer_override = staticmethod(_reduce_as_multiprocessing)

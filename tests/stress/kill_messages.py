"""What processes do with a queue's messages until they are killed; imported by its bare name, as kill_programs."""

import os
import pickle
import signal
import struct
from typing import Any

import kill_programs
import kill_traps
from kill_programs import DONE, GO, READY, Line
from kill_subjects import LIMIT_S, queue_descriptor

# A message that is copied outside the queue's section, whose middle can be found; and one that fits into its log.
HALF_BYTES = 2**21
MARK = b"the middle of the message"
LARGE = b"x" * HALF_BYTES + MARK + b"y" * HALF_BYTES
SHORT_HALF_BYTES = 5000
SHORT_MARK = b"the middle of a short one"
SHORT = b"s" * SHORT_HALF_BYTES + SHORT_MARK + b"t" * SHORT_HALF_BYTES
KEPT, END = b"kept", b"end"
# Buffers go into fresh memory one by one.
FIRST_BYTES, SECOND_BYTES = 2**21, 2**20 + 4096

_HEADER_BYTES, _RECORD_BYTES = 4096, 32


def offset_of(queue: Any, mark: bytes) -> int:
    """Return where in the queue's memory these bytes are."""
    descriptor, offset = queue_descriptor(queue), 0
    end = os.fstat(descriptor).st_size
    while offset < end:
        try:
            offset = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError:
            break
        place = (content := os.pread(descriptor, 2**23, offset)).find(mark)
        if place >= 0:
            return offset + place
        offset += max(len(content) - len(mark), 1) if len(content) < 2**23 else 2**22
    raise AssertionError("the message is not there")


def _stay_at(line: Line, queue: Any, rights: int, first: int, end: int | None) -> None:
    """Stay at the first access to these bytes that the rights do not allow."""
    descriptor = queue_descriptor(queue)

    def stay() -> None:
        line.stay()
        kill_traps.protect(descriptor, kill_traps.ALL)

    kill_traps.on_signal(signal.SIGSEGV, stay)
    kill_traps.protect(descriptor, rights, first, end)


def _stay_in_the_middle(line: Line, queue: Any, rights: int, mark: bytes, further_bytes: int = 0) -> None:
    page = (offset_of(queue, mark) + further_bytes) // kill_traps.PAGE_BYTES * kill_traps.PAGE_BYTES
    _stay_at(line, queue, rights, page, page + kill_traps.PAGE_BYTES)


def _stay_at_the_table(line: Line, queue: Any) -> None:
    # Behind the header, in which the journal is: a record for each of as many granules as the header's second word says.
    (granule_count,) = struct.unpack("Q", os.pread(queue_descriptor(queue), 8, 8))
    end = _HEADER_BYTES + granule_count * _RECORD_BYTES
    _stay_at(line, queue, kill_traps.READ_ONLY, _HEADER_BYTES, end // kill_traps.PAGE_BYTES * kill_traps.PAGE_BYTES)


class Staying:
    """An object that stays in the middle of being pickled, or made again."""

    def __init__(self, in_pickling: bool) -> None:
        self.in_pickling = in_pickling

    def __reduce__(self) -> tuple[Any, ...]:
        """Stay, perhaps."""
        if self.in_pickling:
            kill_programs.current().stay()
        return make_again, (b"z" * HALF_BYTES,)


def make_again(content: bytes) -> int:
    """Stay where the object is made again, but not in the test's own process."""
    kill_programs.current().stay()
    return len(content)


def put_and_stay_in_the_pickle(line: Line, queue: Any) -> None:
    queue.put([b"x" * HALF_BYTES, Staying(in_pickling=True)])


def put_and_stay_in_the_copy(line: Line, queue: Any) -> None:
    # The memory of a message that was taken is used again, and has its bytes still.
    queue.put(LARGE)
    queue.put(KEPT)
    assert queue.get() == LARGE
    _stay_in_the_middle(line, queue, kill_traps.READ_ONLY, MARK)
    queue.put(LARGE)


def put_and_stay_between_the_buffers(line: Line, queue: Any) -> None:
    queue.put(KEPT)
    buffers = [pickle.PickleBuffer(bytearray(size)) for size in (FIRST_BYTES, SECOND_BYTES)]
    kill_traps.before_writing(SECOND_BYTES, line.stay)
    queue.put(buffers)


def put_and_stay_in_the_section(line: Line, queue: Any) -> None:
    queue.put(SHORT)
    queue.put(KEPT)
    assert queue.get() == SHORT
    # The next one comes behind it.
    _stay_in_the_middle(line, queue, kill_traps.READ_ONLY, KEPT, SHORT_HALF_BYTES)
    queue.put(SHORT)


def put_and_stay_in_the_journal(line: Line, queue: Any) -> None:
    queue.put(KEPT)
    _stay_at_the_table(line, queue)
    queue.put(LARGE)


def get_and_stay_in_the_copy(line: Line, queue: Any) -> None:
    queue.put(LARGE)
    queue.put(KEPT)
    _stay_in_the_middle(line, queue, kill_traps.NOTHING, MARK)
    queue.get()


def get_and_stay_in_the_pickle(line: Line, queue: Any) -> None:
    queue.put(Staying(in_pickling=False))
    queue.put(KEPT)
    queue.get()


def get_and_stay_in_the_section(line: Line, queue: Any) -> None:
    queue.put(SHORT)
    queue.put(KEPT)
    _stay_in_the_middle(line, queue, kill_traps.NOTHING, SHORT_MARK)
    queue.get()


def get_and_stay_in_the_journal(line: Line, queue: Any) -> None:
    queue.put(LARGE)
    queue.put(KEPT)
    _stay_at_the_table(line, queue)
    queue.get()


def get_and_keep_a_view(line: Line, queue: Any) -> None:
    queue.put(pickle.PickleBuffer(bytearray(HALF_BYTES)))
    queue.put(KEPT)
    view = queue.get(zero_copy=True)
    line.stay()
    assert memoryview(view).readonly


def take(line: Line, queue: Any, is_done: bool) -> None:
    """Take a message, and perhaps say that it is dealt with."""
    assert queue.get() == b"one"
    if is_done:
        queue.task_done()
    line.stay()


def get_all(line: Line, queue: Any) -> None:
    """Take what is there, and use the queue as if nothing had been."""
    line.say(READY)
    line.hear(GO)
    queue.put(END)
    names = {LARGE: "large", SHORT: "short", KEPT: "kept"}
    found = [names.get(item, "?") for item in iter(lambda: queue.get(True, LIMIT_S), END)]
    for item in (LARGE, SHORT, 1):
        queue.put(item)
        assert queue.get(True, LIMIT_S) == item
    line.say(DONE)
    line.hear(GO)
    line.connection.send(found)

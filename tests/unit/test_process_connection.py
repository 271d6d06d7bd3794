"""Our connections send and receive what the standard library's do, in its format and with its errors."""

import array
import contextlib
import multiprocessing as standard
import multiprocessing.connection
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from threefold import _threefold
from threefold.multiprocessing.connection import Connection, Pipe

sys.path.insert(0, str(Path(__file__).parent))
import process_programs as programs
import process_rig as rig

# Python 3.12 and later say that a fork beside other threads may deadlock.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

STANDARD = standard.connection.Connection
OBJECTS = [
    0,
    -1,
    1.5,
    None,
    True,
    "text",
    b"",
    [1, {"a": (2,)}],
    "x" * 300_000,
    array.array("d", [1.5] * 9),
    ValueError,
]
SIZES = [0, 1, 4, 16_384, 16_385, 65_536, 1_000_000, 3]


@pytest.fixture(params=["one way", "both ways"])
def pipe(request: pytest.FixtureRequest) -> Iterator[tuple[Connection, Connection]]:
    """A receiving and a sending end."""
    receiver, sender = Pipe(request.param == "both ways")
    with receiver, sender:
        yield receiver, sender


@contextlib.contextmanager
def thread(function: Any, *arguments: Any) -> Iterator[None]:
    """Run a function beside the block."""
    runner = threading.Thread(target=function, args=arguments)
    runner.start()
    yield
    runner.join()


def test_objects_arrive_as_they_were(pipe: Any) -> None:
    receiver, sender = pipe
    for item in OBJECTS:
        with thread(sender.send, item):
            assert receiver.recv() == item


def test_bytes_of_any_size_arrive_whole(pipe: Any) -> None:
    receiver, sender = pipe
    with thread(programs.send_bytes, sender, SIZES):
        for index, size in enumerate(SIZES):
            assert receiver.recv_bytes() == bytes([index]) * size
    with pytest.raises(EOFError):
        receiver.recv_bytes()


@pytest.mark.parametrize("kinds", [(Connection, STANDARD), (STANDARD, Connection)])
def test_the_format_is_the_standard_library_s(kinds: Any) -> None:
    reading, writing = os.pipe()
    with kinds[0](reading, writable=False) as receiver, kinds[1](writing, readable=False) as sender:
        for item in OBJECTS:
            with thread(sender.send, item):
                assert receiver.recv() == item


def test_a_length_of_64_bits_is_understood(pipe: Any) -> None:
    receiver, sender = pipe
    os.write(sender.fileno(), struct.pack("!iQ", -1, 3) + b"abc")
    assert receiver.recv_bytes() == b"abc"


@pytest.mark.parametrize("header", [struct.pack("!i", -2), struct.pack("!iQ", -1, 2**63)])
def test_a_length_that_cannot_be_is_an_error(pipe: Any, header: bytes) -> None:
    receiver, sender = pipe
    os.write(sender.fileno(), header)
    with pytest.raises((OSError, MemoryError)):
        receiver.recv_bytes()


def test_a_message_that_breaks_off_is_an_error(pipe: Any) -> None:
    receiver, sender = pipe
    os.write(sender.fileno(), struct.pack("!i", 9) + b"abc")
    sender.close()
    with pytest.raises(OSError, match="got end of file during message"):
        receiver.recv()


def test_what_is_closed_or_one_way_says_so() -> None:
    receiver, sender = Pipe(False)
    with pytest.raises(OSError, match="connection is read-only"):
        receiver.send(1)
    with pytest.raises(OSError, match="connection is read-only"):
        receiver.send_bytes(b"")
    for refused in (sender.recv, sender.recv_bytes, sender.poll, lambda: sender.recv_bytes_into(bytearray(1))):
        with pytest.raises(OSError, match="connection is write-only"):
            refused()
    receiver.close()
    with pytest.raises(BrokenPipeError):
        sender.send(1)
    sender.close()
    for refused in (lambda: sender.send(1), lambda: sender.send_bytes(b""), receiver.recv, receiver.poll):
        with pytest.raises(OSError, match="handle is closed"):
            refused()
    assert (receiver.closed, sender.closed) == (True, True)


def test_the_arguments_of_send_bytes(pipe: Any) -> None:
    receiver, sender = pipe
    sender.send_bytes(memoryview(b"abcdef"), 1, 3)
    assert receiver.recv_bytes() == b"bcd"
    sender.send_bytes(array.array("i", [1, 2]), 4)
    assert receiver.recv_bytes() == array.array("i", [2]).tobytes()
    for arguments, message in [
        ((-1,), "offset is negative"),
        ((7,), "buffer length < offset"),
        ((0, -1), "size is negative"),
        ((1, 6), r"buffer length < offset \+ size"),
    ]:
        with pytest.raises(ValueError, match=message):
            sender.send_bytes(b"abcdef", *arguments)
    with pytest.raises(BufferError):
        sender.send_bytes(memoryview(b"abcdef")[::2])
    with pytest.raises(TypeError):
        sender.send_bytes("text")
    assert not receiver.poll()


def test_a_longer_message_than_allowed_ends_the_receiving() -> None:
    receiver, sender = Pipe(False)
    with sender:
        sender.send_bytes(b"abc")
        with pytest.raises(ValueError, match="negative maxlength"):
            receiver.recv_bytes(-1)
        with pytest.raises(OSError, match="bad message length"):
            receiver.recv_bytes(2)
        assert receiver.closed
    one, other = Pipe()
    with one, other:
        other.send_bytes(b"abc")
        with pytest.raises(OSError, match="bad message length"):
            one.recv_bytes(2)
        assert (one.closed, one.readable) == (False, False)


def test_a_message_goes_into_a_buffer_of_any_items(pipe: Any) -> None:
    receiver, sender = pipe
    numbers = array.array("i", [0] * 4)
    sender.send_bytes(array.array("i", [7, 8]))
    assert receiver.recv_bytes_into(numbers, numbers.itemsize) == 2 * numbers.itemsize
    assert numbers.tolist() == [0, 7, 8, 0]
    sender.send_bytes(b"abc")
    with pytest.raises(standard.BufferTooShort) as error:
        receiver.recv_bytes_into(bytearray(4), 2)
    assert error.value.args == (b"abc",)
    for offset, message in [(-1, "negative offset"), (5, "offset too large")]:
        with pytest.raises(ValueError, match=message):
            receiver.recv_bytes_into(bytearray(4), offset)
    sender.send_bytes(b"")
    assert receiver.recv_bytes_into(bytearray()) == 0


def test_poll_waits_as_long_as_it_may(pipe: Any) -> None:
    receiver, sender = pipe
    assert (receiver.poll(), receiver.poll(0.01), receiver.poll(-1)) == (False, False, False)
    began = time.monotonic()
    assert not receiver.poll(0.3)
    assert time.monotonic() - began >= 0.3
    sender.send(1)
    assert (receiver.poll(), receiver.poll(None)) == (True, True)
    assert receiver.recv() == 1
    sender.close()
    assert receiver.poll(None)


def test_the_standard_library_waits_for_ours(pipe: Any) -> None:
    receiver, sender = pipe
    assert standard.connection.wait([receiver], 0) == []
    sender.send(1)
    assert standard.connection.wait([receiver], 5) == [receiver]
    assert isinstance(receiver, standard.connection.Connection)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_an_end_goes_to_a_child(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = rig.context_of(method, monkeypatch)
    here, there = context.Pipe()
    child = context.Process(target=programs.echo, args=(there,), daemon=True)
    child.start()
    there.close()
    for item in [0, 1.5, "text", [1]]:
        here.send(item)
        assert here.recv() == item
    here.send(b"bytes")
    assert here.recv_bytes() == b"bytes"
    here.send(None)
    child.join(programs.LIMIT_S)
    with pytest.raises(EOFError):
        here.recv()


def test_an_end_goes_through_another_connection() -> None:
    carrier_in, carrier_out = Pipe()
    receiver, sender = Pipe(False)
    with carrier_in, carrier_out, receiver, sender, thread(carrier_out.send, sender):
        with carrier_in.recv() as copy:
            assert (type(copy), copy.readable, copy.writable) == (Connection, False, True)
            copy.send("through")
        assert receiver.recv() == "through"


def test_a_wait_shows_in_the_wait_table(pipe: Any) -> None:
    receiver, sender = pipe
    with thread(receiver.recv):
        while "Connection.recv" not in _threefold.waits_report(os.getpid(), False):
            time.sleep(0.01)
        sender.send(1)


def test_a_full_connection_shows_in_the_wait_table(pipe: Any) -> None:
    receiver, sender = pipe
    with thread(sender.send_bytes, bytes(5_000_000)):
        while "Connection.send (full)" not in _threefold.waits_report(os.getpid(), False):
            time.sleep(0.01)
        assert len(receiver.recv_bytes()) == 5_000_000


def test_a_signal_handler_runs_during_a_wait_which_goes_on() -> None:
    receiver, sender = Pipe(False)
    before = signal.signal(signal.SIGUSR1, lambda *_: sender.send("from the handler"))
    try:
        with thread(os.kill, os.getpid(), signal.SIGUSR1):
            assert receiver.recv() == "from the handler"
    finally:
        signal.signal(signal.SIGUSR1, before)
        receiver.close()
        sender.close()


def test_ctrl_c_ends_a_wait() -> None:
    program = """
import os, signal, threading
from threefold.multiprocessing import Pipe
receiver, sender = Pipe()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    receiver.recv()
except KeyboardInterrupt:
    pass
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    sender.send_bytes(bytes(50_000_000))
except KeyboardInterrupt:
    print("ended")
"""
    outcome = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, text=True)
    assert (outcome.stdout, outcome.stderr) == ("ended\n", "")


def test_an_object_that_cannot_be_pickled_leaves_nothing_behind(pipe: Any) -> None:
    receiver, sender = pipe
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        sender.send(lambda: None)
    sender.send("next")
    assert receiver.recv() == "next"


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    receiver, sender = Pipe(False)
    os.set_blocking(receiver.fileno(), False)
    os.set_blocking(sender.fileno(), False)
    message = bytes(1_000_000)
    with thread(sender.send_bytes, message):
        assert receiver.recv_bytes() == message
    receiver.close()
    sender.close()


def test_a_descriptor_that_cannot_be_tried_serves_as_well() -> None:
    # The kernel refuses to try on a terminal, as older kernels do on pipes.
    ends = os.openpty()
    for end in ends:
        tty.setraw(end)
    here, there = (Connection(end) for end in ends)
    with here, there:
        for item in [1, "x" * 3_000, "y" * 100_000]:
            with thread(here.send, item):
                assert there.recv() == item
        assert not there.poll()

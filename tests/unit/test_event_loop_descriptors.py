"""Descriptors that an event loop watches for callbacks."""

import socket
import sys
from pathlib import Path

import pytest

from threefold.asyncio import EventLoop

sys.path.insert(0, str(Path(__file__).parent))
from loop_rig import run_until


@pytest.fixture
def loop():
    loop = EventLoop()
    yield loop
    loop.close()


def test_readers_and_writers_hear_of_their_side(loop):
    near, far = socket.socketpair()
    seen = []
    with near, far:
        loop.add_reader(near, lambda: seen.append(near.recv(100)))
        loop.add_writer(near.fileno(), lambda: seen.append("writable") or loop.remove_writer(near))
        far.send(b"x")
        run_until(loop, lambda: len(seen) == 2)
        assert set(seen) == {"writable", b"x"}
        assert loop.remove_reader(near)
        assert not loop.remove_reader(near)
        assert not loop.remove_writer(near)


def test_a_reader_replaces_the_one_before(loop):
    near, far = socket.socketpair()
    seen = []
    with near, far:
        loop.add_reader(near, seen.append, "first")
        loop.add_reader(near, lambda: seen.append(near.recv(1)))
        far.send(b"x")
        run_until(loop, lambda: seen)
        assert seen == [b"x"]
        loop.remove_reader(near)


def test_a_reader_that_is_removed_in_the_same_turn_does_not_run(loop):
    pairs = [socket.socketpair() for _ in range(2)]
    seen = []

    def hear(own, other):
        seen.append(own)
        loop.remove_reader(pairs[other][0])

    for own, other in [(0, 1), (1, 0)]:
        loop.add_reader(pairs[own][0], hear, own, other)
        pairs[own][1].send(b"x")
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert len(set(seen)) == 1
    for near, far in pairs:
        loop.remove_reader(near)
        near.close()
        far.close()


@pytest.mark.parametrize("descriptor", [-1, "text", 10**6])
def test_what_is_no_descriptor_is_an_error(loop, descriptor):
    with pytest.raises((ValueError, OSError)):
        loop.add_reader(descriptor, print)


def test_a_regular_file_cannot_be_watched(loop, tmp_path):
    with (tmp_path / "file").open("w") as file, pytest.raises(PermissionError):
        loop.add_reader(file, print)


def test_a_descriptor_that_was_closed_without_a_word_can_be_watched_anew(loop):
    for _ in range(20):
        near, far = socket.socketpair()
        seen = []
        loop.add_reader(near.fileno(), lambda near=near, seen=seen: seen.append(near.recv(1)))
        far.send(b"x")
        run_until(loop, lambda seen=seen: seen)
        near.close()
        far.close()


def test_a_busy_loop_still_hears_of_descriptors(loop):
    near, far = socket.socketpair()
    seen = []

    def busy():
        if not seen:
            loop.call_soon(busy)

    with near, far:
        loop.add_reader(near, lambda: seen.append(near.recv(1)))
        loop.call_soon(busy)
        loop.call_later(0.01, far.send, b"x")
        run_until(loop, lambda: seen)
        loop.remove_reader(near)
    assert seen == [b"x"]

"""Descriptors that an event loop watches for callbacks."""

import asyncio
import os
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


def test_a_file_that_is_closed_already_can_be_removed_once(loop):
    near, far = socket.socketpair()
    with far:
        loop.add_reader(near, pytest.fail, "nothing can be read")
        loop.add_writer(near, lambda: None)
        near.close()
        assert loop.remove_reader(near)
        with pytest.raises(ValueError, match="Invalid file"):
            loop.remove_reader(near)
        assert loop.remove_writer(near)
        assert loop._counts()[2] == 0


def test_removing_a_closed_file_leaves_the_next_owner_of_its_number_alone(loop):
    file, far = socket.socketpair()
    successor, other_end = socket.socketpair()
    loop.add_reader(file, pytest.fail, "the file is closed")
    number = file.fileno()
    file.close()
    os.dup2(successor.fileno(), number)
    with far, successor, other_end, socket.socket(fileno=number) as owner:
        owner.setblocking(False)

        async def main():
            waiting = asyncio.ensure_future(loop.sock_recv(owner, 1))
            await asyncio.sleep(0)
            assert loop.remove_reader(file)
            other_end.send(b"x")
            return await asyncio.wait_for(waiting, 10)

        assert loop.run_until_complete(main()) == b"x"

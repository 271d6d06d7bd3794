"""Whoever waits for a socket hears of it: also where news comes once, and where an attempt that came short proves nothing."""

import asyncio
import contextlib
import os
import socket

import pytest

from threefold.asyncio import EventLoop


class Interrupting(asyncio.Protocol):
    """A protocol that ends the loop's run as soon as something arrives."""

    def data_received(self, data):
        raise KeyboardInterrupt


@contextlib.contextmanager
def pairs(count):
    ends = [socket.socketpair() for _ in range(count)]
    with contextlib.ExitStack() as stack:
        for pair in ends:
            for end in pair:
                stack.enter_context(end).setblocking(False)
        yield ends


def test_what_follows_a_descriptor_that_was_sent_along_is_read():
    async def main():
        loop = asyncio.get_running_loop()
        with pairs(1) as [(near, far)]:
            first = asyncio.create_task(loop.sock_recv(near, 100))
            await asyncio.sleep(0)
            far.send(b"0")
            assert await first == b"0"
            reading, writing = os.pipe()
            far.send(b"a")
            socket.send_fds(far, [b"b"], [reading])
            far.send(b"c")
            received = b""
            while len(received) < 3:
                received += await asyncio.wait_for(loop.sock_recv(near, 100), 10)
            assert received == b"abc"
            os.close(reading)
            os.close(writing)

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(main())


def test_a_datagram_goes_out_when_a_receiver_that_others_had_filled_has_room(tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        path = str(tmp_path / "receiver")
        receiver, filling, waiting = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3))
        with receiver, filling, waiting:
            receiver.bind(path)
            for end in (receiver, filling, waiting):
                end.setblocking(False)
            count = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    filling.sendto(b"1", path)
                    count += 1
            sending = asyncio.create_task(loop.sock_sendto(waiting, b"2", path))
            await asyncio.sleep(0)
            assert [receiver.recv(10) for _ in range(count)] == [b"1"] * count
            assert await asyncio.wait_for(sending, 10) == 1
            assert receiver.recv(10) == b"2"

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(main())


def test_an_interrupt_between_takes_no_news_from_others():
    with pairs(6) as ends, contextlib.closing(EventLoop()) as loop:

        async def begin():
            for near, _far in ends[:3]:
                await loop.create_connection(Interrupting, sock=near)
            waits = [loop.create_task(loop.sock_recv(near, 10)) for near, _far in ends[3:]]
            await asyncio.sleep(0)
            return waits

        async def all_of(waits):
            return await asyncio.wait_for(asyncio.gather(*waits), 10)

        waits = loop.run_until_complete(begin())
        for _near, far in ends:
            far.send(b"x")
        # In one look of the loop, in the order of their arrival.
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                loop.run_forever()
        assert loop.run_until_complete(all_of(waits)) == [b"x"] * 3
        for near, _far in ends[:3]:
            loop._transports[near.fileno()].abort()
        loop.run_until_complete(asyncio.sleep(0))

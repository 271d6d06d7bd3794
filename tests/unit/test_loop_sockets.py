"""`loop.sock_recv` and its kin: what they do is what the standard library's do."""

import array
import asyncio
import collections.abc
import contextlib
import inspect
import os
import socket
import struct
import warnings

import pytest

from threefold.asyncio import EventLoop


def run(main):
    """Run a coroutine function, which is given the loop, to its end."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(main(runner.get_loop()))


@contextlib.contextmanager
def pair(kind=socket.SOCK_STREAM):
    near, far = socket.socketpair(type=kind)
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


@contextlib.asynccontextmanager
async def connection(loop):
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as near:
        server.setblocking(False)
        near.setblocking(False)
        accepting = asyncio.create_task(loop.sock_accept(server))
        await loop.sock_connect(near, server.getsockname())
        far, address = await accepting
        with far:
            assert address == near.getsockname()
            assert far.gettimeout() == 0
            yield near, far


def test_data_goes_both_ways_in_order():
    async def main(loop):
        async with connection(loop) as (near, far):

            async def echo():
                while data := await loop.sock_recv(far, 65536):
                    await loop.sock_sendall(far, data)

            echoing = asyncio.create_task(echo())
            for number in range(300):
                message = bytes([number % 256]) * (number * 7 + 1)
                await loop.sock_sendall(near, message)
                back = bytearray()
                while len(back) < len(message):
                    back += await loop.sock_recv(near, 65536)
                assert back == message
            near.shutdown(socket.SHUT_WR)
            await echoing
            far.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(near, 10) == b""
            assert await loop.sock_recv(near, 10) == b""

    run(main)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: array.array("I", data)])
def test_all_of_a_long_message_arrives(kind):
    message = bytes(range(256)) * 16384

    async def main(loop):
        async with connection(loop) as (near, far):
            sending = asyncio.create_task(loop.sock_sendall(near, kind(message)))
            room, received = bytearray(100_000), bytearray()
            while len(received) < len(message):
                received += room[: await loop.sock_recv_into(far, room)]
            assert received == message
            assert await sending is None

    run(main)


def test_more_can_be_asked_for_than_is_received_at_once():
    async def main(loop):
        with pair() as (near, far):
            await loop.sock_sendall(far, b"x" * 1000)
            assert await loop.sock_recv(near, 1 << 24) == b"x" * 1000
            assert await loop.sock_recv(near, 0) == b""

    run(main)


def test_the_end_that_comes_with_the_last_data_is_not_missed():
    async def main(loop):
        for _ in range(50):
            async with connection(loop) as (near, far):
                waiting = asyncio.create_task(loop.sock_recv(near, 100))
                await asyncio.sleep(0)
                far.send(b"last")
                far.close()
                assert await waiting == b"last"
                assert await asyncio.wait_for(loop.sock_recv(near, 100), 10) == b""

    run(main)


def test_data_before_and_behind_an_urgent_byte_arrives():
    async def main(loop):
        async with connection(loop) as (near, far):
            waiting = asyncio.create_task(loop.sock_recv(near, 100))
            await asyncio.sleep(0)
            far.send(b"abc")
            assert await waiting == b"abc"
            far.send(b"de")
            far.send(b"!", socket.MSG_OOB)
            far.send(b"fg")
            received = b""
            while not received.endswith(b"fg"):
                received += await asyncio.wait_for(loop.sock_recv(near, 100), 10)
            assert received == b"defg"

    run(main)


def test_a_cancelled_operation_loses_no_data():
    async def main(loop):
        with pair() as (near, far):
            for number in range(20):
                waiting = asyncio.create_task(loop.sock_recv(near, 10))
                await asyncio.sleep(0)
                far.send(b"%d" % number)
                if number % 2:
                    # The news has arrived, and the task has not run since.
                    loop.call_soon(waiting.cancel)
                else:
                    waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    assert await waiting == b"%d" % number
                    continue
                assert await asyncio.wait_for(loop.sock_recv(near, 10), 10) == b"%d" % number

    run(main)


def test_an_operation_with_a_timeout_leaves_nothing_behind():
    async def main(loop):
        with pair() as (near, far):
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(loop.sock_recv(near, 10), 0.01)
            assert loop._counts()[2] == 0
            far.send(b"x")
            assert await loop.sock_recv(near, 10) == b"x"

    run(main)


def test_a_descriptor_whose_number_is_used_again_is_watched_anew():
    async def main(loop):
        numbers = set()
        for number in range(200):
            with pair() as (near, far):
                numbers.add(near.fileno())
                waiting = asyncio.create_task(loop.sock_recv(near, 10))
                await asyncio.sleep(0)
                far.send(b"%d" % number)
                assert await asyncio.wait_for(waiting, 10) == b"%d" % number
        assert len(numbers) < 50

    run(main)


def test_a_socket_that_a_child_holds_open_does_not_keep_the_loop_awake():
    async def main(loop):
        near, far = socket.socketpair()
        near.setblocking(False)
        with far:
            waiting = asyncio.create_task(loop.sock_recv(near, 10))
            await asyncio.sleep(0)
            far.send(b"x")
            await waiting
            held = os.dup(near.fileno())
            near.close()
            far.send(b"nobody reads this")
            before = os.times()
            await asyncio.sleep(0.5)
            after = os.times()
            assert after.user + after.system - before.user - before.system < 0.3
            os.close(held)

    run(main)


def test_a_reader_of_the_same_socket_and_operations_take_turns():
    async def main(loop):
        with pair() as (near, far):
            waiting = asyncio.create_task(loop.sock_recv(near, 10))
            await asyncio.sleep(0)
            far.send(b"a")
            assert await waiting == b"a"
            heard = asyncio.Event()
            loop.add_reader(near, heard.set)
            far.send(b"b")
            await asyncio.wait_for(heard.wait(), 10)
            assert loop.remove_reader(near)
            assert await loop.sock_recv(near, 10) == b"b"
            waiting = asyncio.create_task(loop.sock_recv(near, 10))
            await asyncio.sleep(0)
            far.send(b"c")
            assert await asyncio.wait_for(waiting, 10) == b"c"

    run(main)


def test_reading_and_writing_one_socket_at_once():
    async def main(loop):
        async with connection(loop) as (near, far):
            message = b"m" * 3_000_000

            async def read(end):
                count = 0
                while count < len(message):
                    count += len(await loop.sock_recv(end, 300_000))
                return count

            sending = [asyncio.create_task(loop.sock_sendall(end, message)) for end in (near, far)]
            assert await asyncio.gather(read(near), read(far)) == [len(message)] * 2
            await asyncio.gather(*sending)

    run(main)


def test_datagrams_with_addresses():
    async def main(loop):
        with (
            socket.socket(type=socket.SOCK_DGRAM) as near,
            socket.socket(type=socket.SOCK_DGRAM) as far,
        ):
            for end in (near, far):
                end.bind(("127.0.0.1", 0))
                end.setblocking(False)
            waiting = asyncio.create_task(loop.sock_recvfrom(far, 100))
            await asyncio.sleep(0)
            assert await loop.sock_sendto(near, b"abc", far.getsockname()) == 3
            assert await waiting == (b"abc", near.getsockname())
            for count, expected in ((0, 5), (2, 2)):
                room = bytearray(10)
                await loop.sock_sendto(near, b"hello", far.getsockname())
                assert await loop.sock_recvfrom_into(far, room, count) == (expected, near.getsockname())
                assert room[:expected] == b"hello"[:expected]
            # A datagram that is shorter than asked for says nothing of the next.
            for number in range(3):
                await loop.sock_sendto(near, b"%d" % number, far.getsockname())
            assert [await loop.sock_recv(far, 100) for _ in range(3)] == [b"0", b"1", b"2"]

    run(main)


def test_errors_are_those_of_the_socket():
    async def main(loop):
        with pair() as (near, far):
            with pytest.raises(TypeError, match="bytes-like object"):
                await loop.sock_sendall(near, "text")
            with pytest.raises(TypeError):
                await loop.sock_recv(near, "many")
            with pytest.raises(ValueError, match="negative"):
                await loop.sock_recv(near, -1)
            with pytest.raises(TypeError):
                await loop.sock_recv_into(near, b"read-only")
            far.close()
            with pytest.raises(BrokenPipeError) as broken:
                while True:
                    await loop.sock_sendall(near, b"x")
            assert broken.value.errno
            near.close()
            for operation in (loop.sock_recv(near, 1), loop.sock_sendall(near, b"x"), loop.sock_accept(near)):
                with pytest.raises(OSError, match="Bad file descriptor"):
                    await operation

    run(main)


def test_a_socket_of_a_transport_is_refused():
    async def main(loop):
        with pair() as (near, _far):
            transport, _protocol = await loop.connect_accepted_socket(asyncio.Protocol, near)
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.sock_recv(near, 1)
            transport.abort()
            await asyncio.sleep(0)

    run(main)


def test_in_debug_mode_a_blocking_socket_is_refused():
    async def main(loop):
        loop.set_debug(True)
        near, far = socket.socketpair()
        with near, far:
            for operation in (loop.sock_recv(near, 1), loop.sock_sendall(near, b"x"), loop.sock_accept(near)):
                with pytest.raises(ValueError, match="the socket must be non-blocking"):
                    await operation

    run(main)


def test_an_operation_is_a_coroutine():
    async def main(loop):
        with pair() as (near, far):
            operation = loop.sock_recv(near, 1)
            assert isinstance(operation, collections.abc.Coroutine)
            assert asyncio.iscoroutine(operation)
            assert inspect.isawaitable(operation)
            assert operation.__qualname__ == "EventLoop.sock_recv"
            task = loop.create_task(operation)
            assert "sock_recv" in repr(task)
            far.send(b"x")
            assert await task == b"x"
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                await operation
            far.send(b"yz")
            assert await asyncio.gather(loop.sock_recv(near, 1), loop.sock_recv(near, 1)) == [b"y", b"z"]

    run(main)


def test_an_operation_that_nobody_awaits_is_told_of():
    async def main(loop):
        with pair() as (near, _far):
            with pytest.warns(RuntimeWarning, match="'EventLoop.sock_recv' was never awaited"):
                loop.sock_recv(near, 1)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                loop.sock_recv(near, 1).close()

    run(main)


def test_the_second_of_two_waiters_gets_the_data():
    async def main(loop):
        with pair() as (near, far):
            first = asyncio.create_task(loop.sock_recv(near, 10))
            second = asyncio.create_task(loop.sock_recv(near, 10))
            await asyncio.sleep(0)
            far.send(b"x")
            assert await asyncio.wait_for(second, 10) == b"x"
            assert not first.done()
            first.cancel()
            third = asyncio.create_task(loop.sock_recv(near, 10))
            await asyncio.sleep(0)
            far.send(b"y")
            assert await asyncio.wait_for(third, 10) == b"y"

    run(main)


def test_no_byte_reaches_another_connection_while_numbers_are_used_again():
    """Connections end in every way, under load, and their numbers go to new ones at once."""

    async def main(loop):
        with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
            server.setblocking(False)
            seen, checked = set(), 0

            async def serve():
                with contextlib.ExitStack() as ends, contextlib.suppress(asyncio.CancelledError):
                    while True:
                        end, _address = await loop.sock_accept(server)
                        ends.callback(end.close)
                        echoing.add(asyncio.create_task(echo(end)))

            async def echo(end):
                with end, contextlib.suppress(OSError):
                    while data := await loop.sock_recv(end, 4096):
                        await loop.sock_sendall(end, data)

            async def client(number):
                nonlocal checked
                mark = b"%06d" % number
                end = socket.socket()
                end.setblocking(False)
                seen.add(end.fileno())
                with end:
                    await loop.sock_connect(end, server.getsockname())
                    for _ in range(number % 4 + 1):
                        await loop.sock_sendall(end, mark * 50)
                        received = b""
                        while len(received) < 300:
                            received += await loop.sock_recv(end, 4096)
                        assert received == mark * 50
                        checked += 1
                    if number % 3 == 0:
                        # With a reset, and data that nobody will read.
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        await loop.sock_sendall(end, mark)
                    elif number % 3 == 1:
                        with pytest.raises(TimeoutError):
                            await asyncio.wait_for(loop.sock_recv(end, 1), 0.001)

            echoing = set()
            serving = asyncio.create_task(serve())
            for begin in range(0, 2000, 50):
                await asyncio.gather(*(client(number) for number in range(begin, begin + 50)))
            assert checked == sum(number % 4 + 1 for number in range(2000))
            assert len(seen) < 1000
            await asyncio.wait(echoing)
            serving.cancel()
            await serving
            assert loop._counts()[2] == 0

    run(main)

"""Datagram transports: packets go through the engine, and behave as those of the standard library's transport."""

import asyncio
import contextlib
import contextvars
import inspect
import socket

import pytest

from threefold.asyncio import EventLoop

LIMIT_S = 20


def run(main):
    """Run a coroutine function, which is given the loop, to its end."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(asyncio.wait_for(main(runner.get_loop()), LIMIT_S))


class Collector(asyncio.DatagramProtocol):
    """Keeps what it is told."""

    def __init__(self):
        self.received = asyncio.Queue()
        self.errors = asyncio.Queue()
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append("connection_made")

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))

    def error_received(self, exc):
        self.errors.put_nowait(exc)

    def connection_lost(self, exc):
        self.lost.set_result(exc)

    def pause_writing(self):
        self.calls.append("pause_writing")

    def resume_writing(self):
        self.calls.append("resume_writing")


def hosts():
    """The addresses of this machine that work."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            yield host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_go_both_ways_with_their_addresses(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    async def main(loop):
        near, one = await loop.create_datagram_endpoint(Collector, local_addr=(host, 0))
        far, two = await loop.create_datagram_endpoint(Collector, local_addr=(host, 0))
        there = far.get_extra_info("sockname")
        for number in range(100):
            near.sendto(b"%d" % number * 10, there)
        for number in range(100):
            data, address = await two.received.get()
            assert data == b"%d" % number * 10
            assert address == near.get_extra_info("sockname")
            assert [type(part) for part in address] == [type(part) for part in there]
            far.sendto(data, address)
            assert await one.received.get() == (data, there)
        near.sendto(bytearray(b"array"), there[:2])
        near.sendto(memoryview(b"view"), there)
        near.sendto(b"x" * 60_000, there)
        assert [len((await two.received.get())[0]) for _ in range(3)] == [5, 4, 60_000]
        # What is not numeric is for the socket itself.
        name = "localhost" if family == socket.AF_INET else "ip6-localhost"
        if family == socket.AF_INET:
            near.sendto(b"by name", (name, there[1]))
            assert (await two.received.get())[0] == b"by name"
        near.close()
        far.abort()
        assert await one.lost is None
        assert await two.lost is None

    if host not in list(hosts()):
        pytest.skip(f"no {host} here")
    run(main)


def test_a_connected_endpoint_sends_to_its_peer_only():
    async def main(loop):
        far, two = await loop.create_datagram_endpoint(Collector, local_addr=("127.0.0.1", 0))
        there = far.get_extra_info("sockname")
        near, one = await loop.create_datagram_endpoint(Collector, remote_addr=there)
        near.sendto(b"a")
        near.sendto(b"b", None)
        near.sendto(b"c", there)
        near.sendto(addr=there, data=b"d")
        assert [(await two.received.get())[0] for _ in range(4)] == [b"a", b"b", b"c", b"d"]
        with pytest.raises(ValueError, match="Invalid address: must be None or"):
            near.sendto(b"x", ("127.0.0.1", 1))
        with pytest.raises(TypeError, match="data argument must be a bytes-like object"):
            near.sendto("text")
        far.sendto(b"back", near.get_extra_info("sockname"))
        assert await one.received.get() == (b"back", there)
        near.close()
        far.close()

    run(main)


def test_a_datagram_that_is_refused_is_told_of():
    async def main(loop):
        with socket.socket(type=socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            there = unused.getsockname()
        near, one = await loop.create_datagram_endpoint(Collector, remote_addr=there)
        near.sendto(b"x")
        error = await one.errors.get()
        assert isinstance(error, ConnectionRefusedError)
        assert error.errno
        near.sendto(b"x")
        assert isinstance(await one.errors.get(), ConnectionRefusedError)
        near.sendto(b"x" * 70_000)
        while (error := await one.errors.get()).errno != 90:
            assert isinstance(error, ConnectionRefusedError)
        assert not near.is_closing()
        near.close()

    run(main)


def test_an_empty_datagram_is_sent_where_the_standard_library_sends_it():
    async def main(loop):
        far, two = await loop.create_datagram_endpoint(Collector, local_addr=("127.0.0.1", 0))
        near, _one = await loop.create_datagram_endpoint(Collector, remote_addr=far.get_extra_info("sockname"))
        near.sendto(b"")
        near.sendto(b"x")
        first = (await two.received.get())[0]
        standard = inspect.getsource(asyncio.selector_events._SelectorDatagramTransport.sendto)
        assert first == (b"x" if "if not data:" in standard else b"")
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.sendto(b"", far.get_extra_info("sockname"))
            other.sendto(b"last", far.get_extra_info("sockname"))
            seen = []
            while not seen or seen[-1] != b"last":
                seen.append((await two.received.get())[0])
            assert b"" in seen
        near.close()
        far.close()

    run(main)


def test_what_finds_no_room_is_queued_and_the_protocol_paused():
    async def main(loop):
        near_socket, far_socket = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        for end in (near_socket, far_socket):
            end.bind("")
        near_socket.connect(far_socket.getsockname())
        far_socket.connect(near_socket.getsockname())
        near, one = await loop.create_datagram_endpoint(Collector, sock=near_socket)
        near.set_write_buffer_limits(high=40_000)
        for number in range(1000):
            near.sendto(b"%04d" % number * 250)
        assert near.get_write_buffer_size() > 40_000
        assert one.calls == ["connection_made", "pause_writing"]
        far_socket.setblocking(False)
        for number in range(1000):
            assert await loop.sock_recv(far_socket, 2000) == b"%04d" % number * 250
        await asyncio.sleep(0)
        assert one.calls[-1] == "resume_writing"
        far_socket.send(b"and back")
        assert (await one.received.get())[0] == b"and back"
        near.sendto(b"at once")
        assert await loop.sock_recv(far_socket, 1000) == b"at once"
        near.close()
        assert await one.lost is None
        far_socket.close()

    run(main)


def test_the_protocol_is_called_in_the_context_of_its_endpoint():
    place = contextvars.ContextVar("place", default="elsewhere")

    class Protocol(Collector):
        def datagram_received(self, data, addr):
            self.received.put_nowait(place.get())

    async def main(loop):
        place.set("here")
        far, two = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
        place.set("changed")
        near, _one = await loop.create_datagram_endpoint(Collector, remote_addr=far.get_extra_info("sockname"))
        near.sendto(b"x")
        assert await two.received.get() == "here"
        near.close()
        far.close()

    run(main)


def test_an_exception_of_the_protocol_is_reported_and_the_next_datagram_comes():
    class Protocol(Collector):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"bad":
                raise ValueError("bad datagram")

    async def main(loop):
        reported = []
        loop.set_exception_handler(lambda _loop, context: reported.append(context))
        far, two = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
        near, _one = await loop.create_datagram_endpoint(Collector, remote_addr=far.get_extra_info("sockname"))
        for data in (b"bad", b"good"):
            near.sendto(data)
        assert [(await two.received.get())[0] for _ in range(2)] == [b"bad", b"good"]
        assert isinstance(reported[0]["exception"], ValueError)
        assert "_read_ready" in reported[0]["message"]
        assert not far.is_closing()
        near.close()
        far.close()

    run(main)


def test_an_exit_from_the_protocol_leaves_the_loop_and_loses_no_datagram():
    class Protocol(Collector):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"leave":
                raise SystemExit(7)

    loop = EventLoop()
    far, two = loop.run_until_complete(loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0)))
    with socket.socket(type=socket.SOCK_DGRAM) as near:
        for data in (b"leave", b"1", b"2"):
            near.sendto(data, far.get_extra_info("sockname"))
        with pytest.raises(SystemExit):
            loop.run_forever()

        async def rest():
            return [(await two.received.get())[0] for _ in range(3)]

        assert loop.run_until_complete(asyncio.wait_for(rest(), LIMIT_S)) == [b"leave", b"1", b"2"]
    far.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.skipif(not hasattr(asyncio.selector_events._SelectorTransport, "pause_reading"), reason="new in 3.12")
def test_a_paused_endpoint_keeps_what_it_has():
    class Protocol(Collector):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"pause":
                self.transport.pause_reading()

    async def main(loop):
        far, two = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
        near, _one = await loop.create_datagram_endpoint(Collector, remote_addr=far.get_extra_info("sockname"))
        for data in (b"1", b"pause", b"2", b"3"):
            near.sendto(data)
        assert [(await two.received.get())[0] for _ in range(2)] == [b"1", b"pause"]
        near.sendto(b"4")
        await asyncio.sleep(0.01)
        assert two.received.empty()
        far.resume_reading()
        assert [(await two.received.get())[0] for _ in range(3)] == [b"2", b"3", b"4"]
        near.close()
        far.close()

    run(main)


def test_another_protocol_gets_the_datagrams_that_follow():
    async def main(loop):
        far, two = await loop.create_datagram_endpoint(Collector, local_addr=("127.0.0.1", 0))
        near, _one = await loop.create_datagram_endpoint(Collector, remote_addr=far.get_extra_info("sockname"))
        near.sendto(b"1")
        assert (await two.received.get())[0] == b"1"
        other = Collector()
        far.set_protocol(other)
        near.sendto(b"2")
        assert (await other.received.get())[0] == b"2"
        assert far.get_protocol() is other
        assert isinstance(far, asyncio.DatagramTransport)
        near.close()
        far.close()

    run(main)


def test_a_closed_endpoint_is_quiet():
    async def main(loop):
        far, two = await loop.create_datagram_endpoint(Collector, local_addr=("127.0.0.1", 0))
        near, one = await loop.create_datagram_endpoint(Collector, remote_addr=far.get_extra_info("sockname"))
        near.sendto(b"1")
        far.close()
        assert await two.lost is None
        assert two.received.empty()
        near.close()
        near.close()
        for _ in range(10):
            near.sendto(b"too late")
        await one.lost
        assert loop._counts()[2] == 0

    run(main)

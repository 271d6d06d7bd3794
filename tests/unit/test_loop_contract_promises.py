"""What programs rely on beside the methods of an event loop: servers' ends, happy eyeballs, a look into a running process."""

import asyncio
import contextvars
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from threefold.asyncio import EventLoop

LIMIT_S = 30.0
PROGRAM = """
import asyncio, sys, threefold.asyncio

async def inner():
    print("ready", flush=True)
    await asyncio.Event().wait()

async def outer():
    async with asyncio.TaskGroup() as group:
        group.create_task(inner(), name="the inner one")

threefold.asyncio.run(outer())
"""


def run(program):
    """Run a coroutine function, which is given the loop, to its end."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(asyncio.wait_for(program(runner.get_loop()), LIMIT_S))


async def serving(loop):
    """Return a server, the futures of its connections' ends, and a connected client."""
    ends = []

    class Kept(asyncio.Protocol):
        def connection_made(self, transport):
            ends.append(loop.create_future())

        def connection_lost(self, exc):
            ends[0].set_result(exc)

    server = await loop.create_server(Kept, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    while not ends:
        await asyncio.sleep(0)
    return server, ends[0], reader, writer


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in Python 3.13")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_a_server_ends_its_connections(method):
    async def program(loop):
        server, end, reader, writer = await serving(loop)
        server.close()
        getattr(server, method)()
        assert await end is None
        assert await reader.read() == b""
        writer.close()
        await server.wait_closed()

    run(program)


def test_happy_eyeballs_find_the_address_that_answers():
    async def program(loop):
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def resolve(*_arguments, **_keywords):
            addresses = [("127.0.0.2", port), ("127.0.0.3", port), ("127.0.0.1", port)]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        loop.getaddrinfo = resolve
        transport, _protocol = await loop.create_connection(
            asyncio.Protocol, "many.example", port, happy_eyeballs_delay=0.01, interleave=2
        )
        assert transport.get_extra_info("peername") == ("127.0.0.1", port)
        transport.close()
        server.close()
        await server.wait_closed()

    run(program)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in Python 3.12")
def test_every_error_of_a_connection_is_told_when_asked_for():
    async def program(loop):
        async def resolve(*_arguments, **_keywords):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{host}", 1)) for host in (1, 2)]

        loop.getaddrinfo = resolve
        with pytest.raises(ExceptionGroup) as raised:
            await loop.create_connection(asyncio.Protocol, "many.example", 1, all_errors=True)
        assert [type(error) for error in raised.value.exceptions] == [ConnectionRefusedError] * 2

    run(program)


def test_a_protocol_hears_everything_in_the_context_of_its_connection():
    variable = contextvars.ContextVar("variable", default="nothing")
    heard = []

    class Told(asyncio.Protocol):
        def connection_made(self, transport):
            heard.append(("made", variable.get()))
            transport.set_write_buffer_limits(1)

        def data_received(self, data):
            heard.append((data.decode(), variable.get()))

        def pause_writing(self):
            heard.append(("pause", variable.get()))

        def resume_writing(self):
            heard.append(("resume", variable.get()))

        def connection_lost(self, exc):
            heard.append(("lost", variable.get()))

    async def program(loop):
        first, second = socket.socketpair()
        second.setblocking(False)
        variable.set("connection")
        transport, _protocol = await loop.create_connection(Told, sock=first)
        variable.set("caller")
        sent = bytes(1 << 20)
        transport.write(sent)
        while sent:
            sent = sent[len(await loop.sock_recv(second, 1 << 20)) :]
        transport.pause_reading()
        await loop.sock_sendall(second, b"data")
        transport.resume_reading()
        while ("data", "connection") not in heard:
            await asyncio.sleep(0.001)
        transport.close()
        await asyncio.sleep(0)
        second.close()

    run(program)
    assert heard == [(what, "connection") for what in ("made", "pause", "resume", "data", "lost")]


def test_a_protocol_with_its_own_memory_needs_no_base_class():
    async def program(loop):
        memory, counts = bytearray(10), []

        class Own:
            def connection_made(self, transport):
                transport.write(b"made")

            def get_buffer(self, _size):
                return memory

            def buffer_updated(self, count):
                counts.append(count)

            def eof_received(self):
                counts.append("end")

            def connection_lost(self, exc):
                counts.append(exc)

        first, second = socket.socketpair()
        second.setblocking(False)
        await loop.create_connection(Own, sock=first)
        assert await loop.sock_recv(second, 10) == b"made"
        await loop.sock_sendall(second, b"12345")
        second.close()
        while None not in counts:
            await asyncio.sleep(0.001)
        assert counts == [5, "end", None]
        assert memory[:5] == b"12345"

    run(program)


def test_small_writes_are_not_held_back_on_any_tcp_socket():
    async def program(loop):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.socket()
            client.connect(listening.getsockname())
            transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=client)
            assert client.proto == 0
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport.close()

    run(program)


def test_an_endpoint_can_be_an_end_of_a_pair_and_is_quiet_after_its_end():
    async def program(loop):
        first, second = socket.socketpair(type=socket.SOCK_DGRAM)
        second.setblocking(False)
        with second:
            transport, _protocol = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=first)
            transport.sendto(b"to the other end")
            assert await loop.sock_recv(second, 100) == b"to the other end"
            # More than there is room for: queued, and sent when there is.
            for number in range(300):
                transport.sendto(b"%d" % number + bytes(4000))
            for number in range(300):
                assert (await loop.sock_recv(second, 5000)).rstrip(b"\0") == b"%d" % number
            transport.close()
            await asyncio.sleep(0)
            transport.sendto(b"too late")
            with pytest.raises(TypeError):
                transport.sendto("no bytes")

    run(program)


@pytest.mark.parametrize("operation", ["recv", "recv_into"])
def test_a_socket_that_is_closed_meanwhile_stays_open_until_its_operation_ends(operation):
    async def program(loop):
        first, second = socket.socketpair()
        first.setblocking(False)
        with second:
            room = bytearray(10)
            asked = {"recv": 10, "recv_into": room}[operation]
            waiting = loop.create_task(getattr(loop, f"sock_{operation}")(first, asked))
            await asyncio.sleep(0)
            first.close()
            assert first.fileno() >= 0
            second.send(b"late")
            assert await waiting in (b"late", 4)
            assert first.fileno() == -1
            assert second.recv(1) == b""

    run(program)


def test_a_cancelled_operation_closes_the_socket_that_was_closed_meanwhile():
    async def program(loop):
        first, second = socket.socketpair()
        first.setblocking(False)
        with second:
            waiting = loop.create_task(loop.sock_recv(first, 10))
            await asyncio.sleep(0)
            first.close()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert first.fileno() == -1
            assert second.recv(1) == b""

    run(program)


def test_an_operation_that_a_signal_handler_interrupts_is_tried_again(monkeypatch):
    async def program(loop):
        with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
            for sock in (first, second):
                sock.bind(("127.0.0.1", 0))
                sock.setblocking(False)
            # The first makes the loop know the socket; the second is interrupted while a datagram is there.
            for count in (1, 2):
                waiting = loop.create_task(loop.sock_recvfrom(second, 100))
                await asyncio.sleep(0)
                first.sendto(b"%d" % count, second.getsockname())
                original, interrupted = socket.socket.recvfrom, []

                def receive(sock, size, original=original, interrupted=interrupted):
                    if interrupted:
                        return original(sock, size)
                    interrupted.append(True)
                    raise InterruptedError

                monkeypatch.setattr(socket.socket, "recvfrom", receive, raising=False)
                assert (await waiting)[0] == b"%d" % count
                assert interrupted
                monkeypatch.undo()

    run(program)


def test_a_listening_socket_gives_its_port_back_at_once():
    async def program(loop):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            address = listening.getsockname()
            accepting = loop.create_task(loop.sock_accept(listening))
            await asyncio.sleep(0)
            listening.close()
            assert listening.fileno() == -1
            with socket.create_server(address):
                accepting.cancel()

    run(program)


def test_a_closed_loop_has_no_descriptors_left():
    before = len(list(Path("/proc/self/fd").iterdir()))
    loops = [EventLoop() for _ in range(20)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 40
    for loop in loops:
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert loops[0].is_closed()


def test_a_child_is_reaped_only_when_its_end_is_told(monkeypatch):
    reaped, stale, wait, kill = set(), [], os.waitpid, os.kill

    def wait_and_note(pid, options):
        ended = wait(pid, options)
        reaped.add(ended[0])
        return ended

    def kill_if_there(pid, number):
        if pid in reaped:
            stale.append(pid)
        else:
            kill(pid, number)

    async def program(_loop):
        monkeypatch.setattr(os, "waitpid", wait_and_note)
        monkeypatch.setattr(os, "kill", kill_if_there)
        process = await asyncio.create_subprocess_exec("/bin/sleep", "60")
        # At each step of the loop, until the end is told.
        while process.returncode is None:
            kill_if_there(process.pid, signal.SIGKILL)
            await asyncio.sleep(0)
        await process.wait()

    run(program)
    assert stale == []


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in Python 3.14")
def test_the_graph_of_calls_of_a_task_is_seen():
    async def program(_loop):
        async def inner():
            await asyncio.sleep(0)
            return asyncio.capture_call_graph()

        async def outer():
            return await asyncio.create_task(inner(), name="inner")

        graph = await asyncio.create_task(outer(), name="outer")
        assert graph.future.get_name() == "inner"
        assert [call.future.get_name() for call in graph.awaited_by] == ["outer"]

    run(program)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="new in Python 3.14")
@pytest.mark.parametrize("tool", ["ps", "pstree"])
def test_the_tasks_of_another_process_are_seen(tool):
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            # The task that has just said so still has to wait.
            for _ in range(50):
                seen = subprocess.run(
                    [sys.executable, "-m", "asyncio", tool, str(process.pid)],
                    capture_output=True,
                    text=True,
                    timeout=LIMIT_S,
                    check=False,
                )
                if seen.returncode == 0 and "the inner one" in seen.stdout:
                    break
        finally:
            process.kill()
    if "ermission" in seen.stderr + seen.stdout:
        pytest.skip("this process may not look into another one")
    assert "the inner one" in seen.stdout, seen

"""Every public method of asyncio's event loops does on ours what it is for; each has a test of its own here."""

import asyncio
import contextlib
import inspect
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from threefold.asyncio import EventLoop

LIMIT_S = 30.0

#: What tests a method, by the method's name; one program may test several.
PROGRAMS = {}


def shows(*methods):
    """Make a coroutine function that is given a running loop the one that shows what some methods do."""

    def register(program):
        for method in methods:
            assert method not in PROGRAMS, method
            PROGRAMS[method] = program
        return program

    return register


class Keeper(asyncio.Protocol):
    """Keeps what it hears, for stream and datagram transports."""

    def __init__(self):
        self.data = bytearray()
        self.made = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()
        self.received = asyncio.Event()

    def connection_made(self, transport):
        self.made.set_result(transport)

    def data_received(self, data):
        self.data += data
        self.received.set()

    def datagram_received(self, data, _address):
        self.data_received(data)

    def connection_lost(self, exc):
        self.lost.set_result(exc)

    async def heard(self, data):
        while bytes(self.data) != data:
            self.received.clear()
            await self.received.wait()
        return True


def pair():
    first, second = socket.socketpair()
    first.setblocking(False)
    second.setblocking(False)
    return first, second


@shows("call_soon", "call_later", "call_at", "time")
async def callbacks(loop):
    done, ran = loop.create_future(), []
    loop.call_at(loop.time() + 0.02, done.set_result, None)
    loop.call_later(0.01, ran.append, "later")
    loop.call_soon(ran.append, "soon")
    await done
    assert ran == ["soon", "later"]


@shows("call_soon_threadsafe", "run_in_executor", "set_default_executor", "shutdown_default_executor")
async def threads(loop):
    done = loop.create_future()
    loop.set_default_executor(ThreadPoolExecutor(1, "mine"))
    name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
    assert name.startswith("mine")
    await loop.run_in_executor(None, loop.call_soon_threadsafe, done.set_result, "threadsafe")
    assert await done == "threadsafe"
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError, match="shutdown"):
        loop.run_in_executor(None, print)


@shows("create_task", "create_future", "set_task_factory", "get_task_factory")
async def tasks(loop):
    async def work():
        return 5

    assert await loop.create_task(work(), name="named") == 5
    assert loop.get_task_factory() is None
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
        assert loop.get_task_factory() is asyncio.eager_task_factory
        assert loop.create_task(work()).done()
        loop.set_task_factory(None)
        assert loop.create_task(work(), eager_start=True).done()
    future = loop.create_future()
    assert future.get_loop() is loop
    loop.call_soon(future.set_result, 6)
    assert await future == 6


@shows("call_exception_handler", "default_exception_handler", "set_exception_handler", "get_exception_handler")
async def errors(loop):
    heard, before = [], loop.get_exception_handler()

    def handler(_loop, context):
        heard.append(context)

    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.call_soon(lambda: 1 / 0)
    loop.call_exception_handler({"message": "by hand"})
    await asyncio.sleep(0.001)
    assert heard[0]["message"] == "by hand"
    assert isinstance(heard[1]["exception"], ZeroDivisionError)
    assert "test_loop_contract.py" in heard[1]["message"]
    loop.set_exception_handler(before)
    with logged("asyncio") as lines:
        loop.default_exception_handler({"message": "the default one"})
    assert "the default one" in lines[0]


@contextlib.contextmanager
def logged(name):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger(name).addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger(name).removeHandler(handler)


@shows("get_debug", "set_debug")
async def debug_mode(loop):
    assert loop.get_debug() is False
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    with logged("asyncio") as lines:
        loop.call_soon(slowly)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    loop.set_debug(False)
    line = inspect.getsourcelines(slowly)[1]
    assert any("Executing" in said and f"test_loop_contract.py:{line}" in said for said in lines), lines


def slowly():
    """Be named as slow."""


@shows("is_running", "is_closed", "stop", "close", "run_forever", "run_until_complete")
async def life(loop):
    assert loop.is_running()
    assert not loop.is_closed()
    with ThreadPoolExecutor(1) as pool:
        assert await loop.run_in_executor(pool, in_another_thread) == ["forever", "complete"]


def in_another_thread():
    loop, said = EventLoop(), []
    loop.call_soon(said.append, "forever")
    loop.call_soon(loop.stop)
    loop.run_forever()
    said.append(loop.run_until_complete(asyncio.sleep(0, "complete")))
    loop.close()
    assert loop.is_closed()
    return said


@shows("shutdown_asyncgens")
async def generators(loop):
    ended = []

    async def count():
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            ended.append("ended")

    async for _number in count():
        break
    generator = count()
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert ended == ["ended", "ended"]


@shows("add_reader", "remove_reader", "add_writer", "remove_writer")
async def descriptors(loop):
    first, second = pair()
    with first, second:
        can_read, can_write = asyncio.Event(), asyncio.Event()
        loop.add_reader(first, can_read.set)
        loop.add_writer(first.fileno(), can_write.set)
        second.send(b"x")
        await can_read.wait()
        await can_write.wait()
        assert loop.remove_reader(first)
        assert loop.remove_writer(first)
        assert not loop.remove_reader(first)


@shows("add_signal_handler", "remove_signal_handler")
async def signals(loop):
    arrived = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, arrived.set_result, "arrived")
    os.kill(os.getpid(), signal.SIGUSR1)
    assert await arrived == "arrived"
    assert loop.remove_signal_handler(signal.SIGUSR1)
    assert not loop.remove_signal_handler(signal.SIGUSR1)


@shows("getaddrinfo", "getnameinfo")
async def names(loop):
    found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    assert found[0][4] == ("127.0.0.1", 80)
    assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == (
        "127.0.0.1",
        "80",
    )


@shows("sock_recv", "sock_recv_into", "sock_sendall")
async def socket_streams(loop):
    first, second = pair()
    with first, second:
        data, room = bytes(range(256)) * 20_000, bytearray(1 << 16)
        sending = loop.create_task(loop.sock_sendall(first, data))
        received = bytearray(await loop.sock_recv(second, 1000))
        while len(received) < len(data):
            received += room[: await loop.sock_recv_into(second, room)]
        await sending
        assert received == data


@shows("sock_recvfrom", "sock_recvfrom_into", "sock_sendto")
async def socket_datagrams(loop):
    with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
        for sock in (first, second):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        waiting = loop.create_task(loop.sock_recvfrom(second, 100))
        await asyncio.sleep(0)
        assert await loop.sock_sendto(first, b"one", second.getsockname()) == 3
        assert await waiting == (b"one", first.getsockname())
        room = bytearray(10)
        await loop.sock_sendto(first, b"two", second.getsockname())
        assert await loop.sock_recvfrom_into(second, room) == (3, first.getsockname())
        assert room[:3] == b"two"


@shows("sock_accept", "sock_connect", "sock_sendfile")
async def socket_connections(loop):
    with socket.socket() as listening, socket.socket() as client, tempfile.TemporaryFile() as file:
        for sock in (listening, client):
            sock.setblocking(False)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        accepting = loop.create_task(loop.sock_accept(listening))
        await loop.sock_connect(client, listening.getsockname())
        served, address = await accepting
        with served:
            assert address == client.getsockname()
            assert not served.getblocking()
            data = bytes(range(256)) * 4000
            file.write(data)
            file.flush()
            sending = loop.create_task(loop.sock_sendfile(served, file, 256, len(data) - 256))
            received = bytearray()
            while len(received) < len(data) - 256:
                received += await loop.sock_recv(client, 1 << 16)
            assert await sending == len(data) - 256
            assert received == data[256:]


@shows("create_server", "create_connection", "sendfile")
async def connections(loop):
    keepers = []

    def keeper():
        keepers.append(Keeper())
        return keepers[-1]

    server = await loop.create_server(keeper, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        transport, client = await loop.create_connection(
            Keeper,
            host,
            port,
            happy_eyeballs_delay=0.1,
            interleave=1,
            **({"all_errors": True} if sys.version_info >= (3, 12) else {}),
        )
        with tempfile.TemporaryFile() as file:
            file.write(b"from a file")
            file.flush()
            assert await loop.sendfile(transport, file, 5) == 6
        transport.write(b", written")
        while not keepers:
            await asyncio.sleep(0.001)
        assert await keepers[0].heard(b"a file, written")
        transport.close()
        assert await client.lost is None
        assert await keepers[0].lost is None


@shows("create_unix_server", "create_unix_connection", "connect_accepted_socket")
async def local_connections(loop):
    with tempfile.TemporaryDirectory() as folder:
        served = loop.create_future()
        server = await loop.create_unix_server(lambda: keep(served), folder + "/socket")
        async with server:
            transport, _protocol = await loop.create_unix_connection(Keeper, folder + "/socket")
            transport.write(b"local")
            assert await (await served).heard(b"local")
            transport.close()
    first, second = pair()
    _transport, taken = await loop.connect_accepted_socket(Keeper, first)
    with second:
        await loop.sock_sendall(second, b"accepted")
        assert await taken.heard(b"accepted")
    assert await taken.lost is None


def keep(future):
    future.set_result(Keeper())
    return future.result()


@shows("start_tls")
async def tls(loop):
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder, "certificate.pem")
        if not make_certificate(certificate):
            pytest.skip("openssl is not installed")
        serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        serving.load_cert_chain(certificate)
        asking.load_verify_locations(certificate)
        asking.check_hostname = False
        first, second = pair()
        server, echo = await loop.create_connection(Keeper, sock=first)
        client, heard = await loop.create_connection(Keeper, sock=second)
        server, client = await asyncio.gather(
            loop.start_tls(server, echo, serving, server_side=True), loop.start_tls(client, heard, asking)
        )
        client.write(b"secret")
        assert await echo.heard(b"secret")
        assert client.get_extra_info("cipher")
        client.close()
        await heard.lost
        await echo.lost


def make_certificate(path):
    """Write a certificate and its key into one file."""
    try:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                *("-days", "2", "-subj", "/CN=threefold", "-keyout", f"{path}.key", "-out", str(path)),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )
    except FileNotFoundError:
        return False
    path.write_text(path.read_text() + Path(f"{path}.key").read_text())
    return True


@shows("create_datagram_endpoint")
async def endpoints(loop):
    served, server = await loop.create_datagram_endpoint(Keeper, ("127.0.0.1", 0))
    asked, _client = await loop.create_datagram_endpoint(Keeper, remote_addr=served.get_extra_info("sockname"))
    asked.sendto(b"datagram")
    assert await server.heard(b"datagram")
    asked.close()
    served.close()
    assert await server.lost is None


@shows("connect_read_pipe", "connect_write_pipe")
async def pipes(loop):
    reading, writing = os.pipe()
    source, keeper = await loop.connect_read_pipe(Keeper, os.fdopen(reading, "rb", 0))
    sink, _protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(writing, "wb", 0))
    sink.write(b"through")
    assert await keeper.heard(b"through")
    sink.close()
    assert await keeper.lost is None
    source.close()


class Reader(asyncio.SubprocessProtocol):
    """Keeps what a child says."""

    def __init__(self):
        self.said = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, _fd, data):
        self.said += data

    def connection_lost(self, _exc):
        self.ended.set_result(None)


@shows("subprocess_exec", "subprocess_shell")
async def children(loop):
    reading, writing = os.pipe()
    program = (
        "import os, sys; os.write(int(sys.argv[1]), b'passed');"
        "print(os.getcwd(), os.environ['HELLO'], os.getsid(0) == os.getpid(), os.getpriority(os.PRIO_PROCESS, 0))"
    )
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with tempfile.TemporaryDirectory() as folder:
        transport, child = await loop.subprocess_exec(
            Reader,
            *(sys.executable, "-c", program, str(writing)),
            pass_fds=(writing,),
            cwd=folder,
            env={**os.environ, "HELLO": "hello"},
            start_new_session=True,
            preexec_fn=lambda: os.nice(1),
        )
        await child.ended
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"passed"
    assert child.said.decode().split() == [folder, "hello", "True", str(min(nice + 1, 19))]
    assert transport.get_returncode() == 0
    transport.close()
    transport, child = await loop.subprocess_shell(Reader, "echo shell; exit 3", stdin=None)
    await child.ended
    assert (bytes(child.said), transport.get_returncode()) == (b"shell\n", 3)
    transport.close()


PUBLIC = sorted(
    name for name, _ in inspect.getmembers(asyncio.AbstractEventLoop, inspect.isfunction) if not name.startswith("_")
)


def test_no_method_is_left_out():
    assert sorted(PROGRAMS) == PUBLIC
    for name in PUBLIC:
        assert getattr(EventLoop, name) is not getattr(asyncio.AbstractEventLoop, name), name


@pytest.mark.parametrize("program", sorted({program.__name__ for program in PROGRAMS.values()}))
def test_a_method_does_what_it_is_for(program):
    (function,) = {function for function in PROGRAMS.values() if function.__name__ == program}
    assert isinstance(function, types.FunctionType)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(asyncio.wait_for(function(runner.get_loop()), LIMIT_S))

"""Bad calls of connections, sockets and children: the same exception as the standard library's loop, for each of a table."""

import asyncio
import concurrent.futures
import io
import os
import socket
import ssl
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loop_differential import LOOPS, forget_what_is_left, outcome

# Bad calls leave behind what nobody awaits or closes, on both loops; it is collected during a later test.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def leave_nothing():
    yield
    forget_what_is_left()


def differences(program, *, debug=False):
    ours, standard = (outcome(program, loop_class, debug=debug).comparable() for loop_class in LOOPS)
    assert ours == standard


def with_pair(call):
    """Await the call with one end of a connected pair of sockets that do not wait."""

    async def program(loop):
        first, second = socket.socketpair()
        with first, second:
            first.setblocking(False)
            return await call(loop, first)

    return program


def with_closed(call):
    """Await the call with a socket that is closed."""

    async def program(loop):
        sock = socket.socket()
        sock.close()
        return await call(loop, sock)

    return program


def with_blocking(call):
    """Await the call with a socket that waits: an error in debug mode only."""

    async def program(loop):
        first, second = socket.socketpair()
        with first, second:
            second.send(b"x")
            first.setblocking(True)
            return await call(loop, first)

    return program


def with_wrapped(call):
    """Await the call with a socket of TLS."""

    async def program(loop):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        with socket.socket() as plain, context.wrap_socket(plain, do_handshake_on_connect=False) as sock:
            sock.setblocking(False)
            return await call(loop, sock)

    return program


def with_transport(call):
    """Make the call with a transport of a connected pair, and let the loop turn."""

    async def program(loop):
        first, second = socket.socketpair()
        with second:
            transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=first)
            try:
                value = call(transport)
                await asyncio.sleep(0)
                return value
            finally:
                transport.abort()
                await asyncio.sleep(0)

    return program


def with_endpoint(call):
    """Make the call with a transport for datagrams."""

    async def program(loop):
        transport, _protocol = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
        try:
            value = call(transport)
            await asyncio.sleep(0)
            return value
        finally:
            transport.abort()
            await asyncio.sleep(0)

    return program


def plain(call):
    """Await the call."""

    async def program(loop):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, tempfile.TemporaryFile() as file:
            value = await call(loop, {"tcp": tcp, "udp": udp, "file": file})
            return type(value).__name__

    return program


def connect(**keywords):
    return plain(lambda loop, _: loop.create_connection(asyncio.Protocol, **keywords))


def serve(**keywords):
    return plain(lambda loop, _: loop.create_server(asyncio.Protocol, **keywords))


def endpoint(**keywords):
    return plain(lambda loop, _: loop.create_datagram_endpoint(asyncio.DatagramProtocol, **keywords))


def execute(*arguments, **keywords):
    return plain(lambda loop, _: loop.subprocess_exec(asyncio.SubprocessProtocol, *arguments, **keywords))


def shell(command, **keywords):
    return plain(lambda loop, _: loop.subprocess_shell(asyncio.SubprocessProtocol, command, **keywords))


OPERATIONS = {
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 10),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(10)),
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 10),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(10)),
    "sock_sendall": lambda loop, sock: loop.sock_sendall(sock, b"x"),
    "sock_sendto": lambda loop, sock: loop.sock_sendto(sock, b"x", ("127.0.0.1", 9)),
    "sock_accept": lambda loop, sock: loop.sock_accept(sock),
    "sock_connect": lambda loop, sock: loop.sock_connect(sock, ("127.0.0.1", 9)),
    "sock_sendfile": lambda loop, sock: loop.sock_sendfile(sock, io.BytesIO(b"x")),
}

CALLS = {
    "sock_recv of a text": with_pair(lambda loop, sock: loop.sock_recv(sock, "x")),
    "sock_recv of less than nothing": with_pair(lambda loop, sock: loop.sock_recv(sock, -1)),
    "sock_recv of far too much": with_pair(lambda loop, sock: loop.sock_recv(sock, 1 << 62)),
    "sock_recv of more than a number holds": with_pair(lambda loop, sock: loop.sock_recv(sock, 1 << 70)),
    "sock_recv from None": with_pair(lambda loop, _: loop.sock_recv(None, 1)),
    "sock_recv from a number": with_pair(lambda loop, sock: loop.sock_recv(sock.fileno(), 1)),
    "sock_recv_into bytes": with_pair(lambda loop, sock: loop.sock_recv_into(sock, b"read only")),
    "sock_recv_into a list": with_pair(lambda loop, sock: loop.sock_recv_into(sock, [1])),
    "sock_recv_into None": with_pair(lambda loop, sock: loop.sock_recv_into(sock, None)),
    "sock_recvfrom of less than nothing": with_pair(lambda loop, sock: loop.sock_recvfrom(sock, -1)),
    "sock_recvfrom_into too little": with_pair(lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(2), 5)),
    "sock_recvfrom_into bytes": with_pair(lambda loop, sock: loop.sock_recvfrom_into(sock, b"xx")),
    "sock_sendall of a text": with_pair(lambda loop, sock: loop.sock_sendall(sock, "text")),
    "sock_sendall of None": with_pair(lambda loop, sock: loop.sock_sendall(sock, None)),
    "sock_sendall of every second byte": with_pair(
        lambda loop, sock: loop.sock_sendall(sock, memoryview(b"abcd")[::2])
    ),
    "sock_sendto of a text": with_pair(lambda loop, sock: loop.sock_sendto(sock, "text", ("127.0.0.1", 9))),
    "sock_sendto to nowhere": with_pair(lambda loop, sock: loop.sock_sendto(sock, b"x", "nowhere\0" * 40)),
    "sock_accept of what does not listen": with_pair(lambda loop, sock: loop.sock_accept(sock)),
    "sock_connect to a bad address": plain(lambda loop, it: loop.sock_connect(it["udp"], 5)),
    "sock_sendfile of a text file": with_pair(lambda loop, sock: loop.sock_sendfile(sock, io.StringIO("text"))),
    "sock_sendfile from before": with_pair(lambda loop, sock: loop.sock_sendfile(sock, io.BytesIO(b"x"), -1)),
    "sock_sendfile of nothing": with_pair(lambda loop, sock: loop.sock_sendfile(sock, io.BytesIO(b"x"), 0, 0)),
    "sock_sendfile of None": with_pair(lambda loop, sock: loop.sock_sendfile(sock, None)),
    "write of a text": with_transport(lambda transport: transport.write("text")),
    "write of None": with_transport(lambda transport: transport.write(None)),
    "write of a number": with_transport(lambda transport: transport.write(5)),
    "write of a list": with_transport(lambda transport: transport.write([1])),
    "writelines of None": with_transport(lambda transport: transport.writelines(None)),
    "write_eof twice": with_transport(lambda transport: (transport.write_eof(), transport.write_eof())),
    "write after write_eof": with_transport(lambda transport: (transport.write_eof(), transport.write(b"x"))),
    "writelines after write_eof": with_transport(
        lambda transport: (transport.write_eof(), transport.writelines([b"x"]))
    ),
    "write after abort": with_transport(lambda transport: (transport.abort(), transport.write(b"x"))),
    "close twice": with_transport(lambda transport: (transport.close(), transport.close(), transport.is_closing())),
    "pause after close": with_transport(lambda transport: (transport.close(), transport.pause_reading())),
    "resume without a pause": with_transport(lambda transport: transport.resume_reading()),
    "pause twice": with_transport(lambda transport: (transport.pause_reading(), transport.pause_reading())),
    "water marks upside down": with_transport(lambda transport: transport.set_write_buffer_limits(1, 2)),
    "a water mark below zero": with_transport(lambda transport: transport.set_write_buffer_limits(-5)),
    "a water mark of a text": with_transport(lambda transport: transport.set_write_buffer_limits("x")),
    "what there is no information of": with_transport(lambda transport: transport.get_extra_info("spam", 5)),
    "sendto of a text": with_endpoint(lambda transport: transport.sendto("text", ("127.0.0.1", 9))),
    "sendto of None": with_endpoint(lambda transport: transport.sendto(None, ("127.0.0.1", 9))),
    "sendto to nobody": with_endpoint(lambda transport: transport.sendto(b"x")),
    "sendto to a bad address": with_endpoint(lambda transport: transport.sendto(b"x", 5)),
    "sendto to a bad port": with_endpoint(lambda transport: transport.sendto(b"x", ("127.0.0.1", 1 << 20))),
    "sendto of too much": with_endpoint(lambda transport: transport.sendto(bytes(70000), ("127.0.0.1", 9))),
    "sendto to another family": with_endpoint(lambda transport: transport.sendto(b"x", ("::1", 9))),
    "connect to nobody": connect(),
    "connect to a host and a socket": connect(host="127.0.0.1", port=9, sock=socket),
    "connect a socket for datagrams": plain(lambda loop, it: loop.create_connection(asyncio.Protocol, sock=it["udp"])),
    "connect with a bad context": connect(host="127.0.0.1", port=9, ssl="yes"),
    "connect with a name and no TLS": connect(host="127.0.0.1", port=9, server_hostname="x"),
    "connect with TLS and no name": plain(
        lambda loop, it: loop.create_connection(asyncio.Protocol, sock=it["tcp"], ssl=True)
    ),
    "connect with a handshake's limit and no TLS": connect(host="127.0.0.1", port=9, ssl_handshake_timeout=1),
    "connect with a shutdown's limit and no TLS": connect(host="127.0.0.1", port=9, ssl_shutdown_timeout=1),
    "connect to a port that is none": connect(host="127.0.0.1", port=1 << 20),
    "connect to a port that is a text": connect(host="127.0.0.1", port="no such service"),
    "connect to a closed port": connect(host="127.0.0.1", port=1),
    "connect from an address of others": connect(host="127.0.0.1", port=1, local_addr=("192.0.2.1", 0)),
    "connect with every error": connect(host="localhost", port=1, all_errors=True, family=socket.AF_INET),
    "connect with an unknown keyword": connect(spam=1),
    "serve a host and a socket": serve(host="127.0.0.1", port=0, sock=socket),
    "serve nothing": serve(),
    "serve with a bad context": serve(host="127.0.0.1", port=0, ssl=True),
    "serve a socket for datagrams": plain(lambda loop, it: loop.create_server(asyncio.Protocol, sock=it["udp"])),
    "serve an address of others": serve(host="192.0.2.1", port=0),
    "serve with a handshake's limit and no TLS": serve(host="127.0.0.1", port=0, ssl_handshake_timeout=1),
    "serve a path that is not there": plain(
        lambda loop, _: loop.create_unix_server(asyncio.Protocol, "/no/such/folder/x")
    ),
    "serve no path": plain(lambda loop, _: loop.create_unix_server(asyncio.Protocol)),
    "connect to a path that is not there": plain(
        lambda loop, _: loop.create_unix_connection(asyncio.Protocol, "/no/such")
    ),
    "connect to no path": plain(lambda loop, _: loop.create_unix_connection(asyncio.Protocol)),
    "connect a path and a socket": plain(
        lambda loop, it: loop.create_unix_connection(asyncio.Protocol, "/no/such", sock=it["tcp"])
    ),
    "connect a path by a socket of another family": plain(
        lambda loop, it: loop.create_unix_connection(asyncio.Protocol, sock=it["tcp"])
    ),
    "take a socket that is for datagrams": plain(
        lambda loop, it: loop.connect_accepted_socket(asyncio.Protocol, it["udp"])
    ),
    "datagrams of no address": endpoint(),
    "datagrams of another family": endpoint(local_addr=("::1", 0), family=socket.AF_INET),
    "datagrams of a socket and an address": plain(
        lambda loop, it: loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0), sock=it["udp"])
    ),
    "datagrams of a socket for streams": plain(
        lambda loop, it: loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=it["tcp"])
    ),
    "datagrams to an address that is none": endpoint(remote_addr="nowhere"),
    "a pipe that is a file": plain(lambda loop, it: loop.connect_read_pipe(asyncio.Protocol, it["file"])),
    "a pipe to write to that is a file": plain(
        lambda loop, it: loop.connect_write_pipe(asyncio.BaseProtocol, it["file"])
    ),
    "a pipe that is None": plain(lambda loop, _: loop.connect_read_pipe(asyncio.Protocol, None)),
    "a program that is not there": execute("/no/such/program"),
    "a program that is a number": execute(5),
    "a program with text": execute("/bin/true", universal_newlines=True),
    "a program with an encoding": execute("/bin/true", encoding="utf-8"),
    "a program with a buffer": execute("/bin/true", bufsize=5),
    "a program by a shell": execute("/bin/true", shell=True),
    "a program in no folder": execute("/bin/true", cwd="/no/such/folder"),
    "a program with an unknown keyword": execute("/bin/true", spam=1),
    "a command that is a number": shell(5),
    "a command without a shell": shell("true", shell=False),
    "TLS by a bad context": plain(lambda loop, _: loop.start_tls(None, asyncio.Protocol(), "context")),
    "TLS on no transport": plain(
        lambda loop, _: loop.start_tls(None, asyncio.Protocol(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    ),
    "a host that is not there": plain(lambda loop, _: loop.getaddrinfo("host.invalid.", 80, family=socket.AF_INET)),
    "a host that is a number": plain(lambda loop, _: loop.getaddrinfo(5, 80)),
    "the name of a bad address": plain(lambda loop, _: loop.getnameinfo(("127.0.0.1",))),
}


if sys.version_info < (3, 12):
    # There the pieces are joined and written, which says it in other words.
    del CALLS["writelines of None"], CALLS["writelines after write_eof"]


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize("name", CALLS)
def test_a_bad_call_is_answered_as_by_the_standard_loop(name, debug):
    differences(CALLS[name], debug=debug)


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_closed_socket_is_refused_as_by_the_standard_loop(name, debug):
    differences(with_closed(OPERATIONS[name]), debug=debug)


@pytest.mark.parametrize("name", OPERATIONS)
def test_in_debug_mode_a_socket_that_waits_is_refused_as_by_the_standard_loop(name):
    differences(with_blocking(OPERATIONS[name]), debug=True)


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_socket_of_tls_is_refused_as_by_the_standard_loop(name, debug):
    differences(with_wrapped(OPERATIONS[name]), debug=debug)


@pytest.mark.parametrize("name", [*OPERATIONS, "add_reader", "add_writer", "remove_reader", "remove_writer"])
def test_a_socket_of_a_transport_is_refused_as_by_the_standard_loop(name):
    async def program(loop):
        first, second = socket.socketpair()
        second.setblocking(False)
        with second:
            transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=first)
            try:
                if name in OPERATIONS:
                    return await asyncio.wait_for(OPERATIONS[name](loop, first), 10)
                return getattr(loop, name)(first, *([print] if name.startswith("add") else []))
            finally:
                transport.abort()
                await asyncio.sleep(0)

    differences(program)


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_a_transport_that_is_used_after_its_loop_was_closed_is_refused_as_by_the_standard_one(debug):
    def program(loop):
        first, second = socket.socketpair()
        with second:
            transport, _protocol = loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=first))
            loop.close()
            said = []
            for call in (lambda: transport.write(b"x"), transport.pause_reading, transport.is_closing, transport.close):
                try:
                    said.append(call())
                except RuntimeError as error:
                    said.append(str(error))
            first.close()
            return said

    differences(program, debug=debug)


def test_a_transport_from_another_thread_is_refused_in_debug_mode_as_by_the_standard_one():
    async def program(loop):
        first, second = socket.socketpair()
        with second:
            transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=first)
            try:
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    return await loop.run_in_executor(pool, transport.close)
            finally:
                transport.abort()
                await asyncio.sleep(0)

    differences(program, debug=True)


def test_a_number_that_another_file_has_meanwhile_is_watched_as_by_the_standard_loop():
    async def program(loop):
        heard = []
        reading, writing = os.pipe()
        os.write(writing, b"first")
        loop.add_reader(reading, lambda: heard.append(os.read(reading, 10)))
        await asyncio.sleep(0.01)
        loop.remove_reader(reading)
        os.close(reading)
        os.close(writing)
        again, writing = os.pipe()
        assert again == reading
        os.write(writing, b"second")
        loop.add_reader(again, lambda: heard.append(os.read(again, 10)))
        await asyncio.sleep(0.01)
        loop.remove_reader(again)
        os.close(again)
        os.close(writing)
        return heard

    differences(program)

"""The two ways of a TLS record, through OpenSSL itself and by the interpreter's calls: a program sees no difference."""

import asyncio
import gc
import os
import shutil
import ssl
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stream_rig import Recorder, run, tcp_pair
from tls_rig import PlainTls, both_ends, certificate, client_context, close_both, server_context

from threefold.asyncio import _tls_protocol

WAYS = ["direct", "by calls"]
SIZES = [1, 2, 1000, 4095, 4096, 16383, 16384, 16385, 32768, 100_000, 1_000_000]
# OpenSSL's; the `ssl` module has no name for it.
OP_ALLOW_CLIENT_RENEGOTIATION = 1 << 8


def can_be_direct() -> bool:
    import _ssl

    is_locked = not sysconfig.get_config_var("Py_GIL_DISABLED")
    is_known = sys.implementation.name == "cpython" and sys.version_info < (3, 16)
    return is_locked and is_known and hasattr(_ssl, "__file__") and ssl.OPENSSL_VERSION.startswith("OpenSSL ")


def go(way: str, patch: pytest.MonkeyPatch) -> None:
    """Have connections use one of the ways from now on."""
    if way == "direct" and not can_be_direct():
        pytest.skip("this interpreter's OpenSSL cannot be called")
    patch.setattr(_tls_protocol, "_CALLS_OPENSSL", way == "direct")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    go(request.param, monkeypatch)
    return str(request.param)


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


async def with_plain_peer(**options: Any) -> tuple[Any, PlainTls]:
    """Return a client's protocol, and the server at its other end that is not ours."""
    near, far = tcp_pair()
    peer = PlainTls(far, options.pop("server", None) or server_context(), server_side=True)
    shaking = asyncio.ensure_future(peer.do(peer.tls.do_handshake))
    context = options.pop("client", None) or client_context()
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Recorder, sock=near, ssl=context, server_hostname="localhost")
    await shaking
    return client, peer


def core_of(end: Any) -> Any:
    return end.transport._core


def test_a_connection_goes_the_way_that_it_can(way: str) -> None:
    async def main() -> None:
        client, server = await both_ends()
        assert core_of(client).is_direct is core_of(server).is_direct is (way == "direct")
        await close_both(client, server)

    run(main())


def test_messages_of_any_length_come_back(way: str) -> None:
    async def main() -> None:
        client, server = await both_ends(server=Echo)
        total = 0
        for size in SIZES:
            data = os.urandom(size)
            client.transport.write(memoryview(data) if size % 2 else data)
            total += size
            await client.until(lambda each, total=total: len(each.data) >= total)
            assert bytes(client.data[-size:]) == data
        assert server.data == client.data
        await close_both(client, server)

    run(main())


def test_records_may_arrive_in_pieces_of_any_length(way: str) -> None:
    async def main() -> None:
        client, peer = await with_plain_peer()
        data = os.urandom(50_000)
        for step in (1, 3, 4, 17_000):
            client.data.clear()
            length = 300 if step < 5 else len(data)
            peer.tls.write(data[:length])
            rest = peer.outgoing.read()
            while rest:
                await asyncio.get_running_loop().sock_sendall(peer.sock, rest[:step])
                rest = rest[step:]
                await asyncio.sleep(0)
            await client.until(lambda each, length=length: len(each.data) >= length)
            assert client.data == data[:length]
        await peer.do(peer.tls.write, b"last")
        await client.until(lambda each: each.data.endswith(b"last"))
        client.transport.abort()
        await client.lost
        peer.sock.close()

    run(main())


def test_a_paused_reader_loses_nothing_of_what_openssl_has(way: str) -> None:
    class Pausing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    async def main() -> None:
        client, server = await both_ends(server=Pausing)
        data = os.urandom(1_500_000)
        for begin in range(0, len(data), 7_001):
            client.transport.write(data[begin : begin + 7_001])
        await server.until(lambda each: len(each.data) >= len(data))
        assert server.data == data
        await close_both(client, server)

    run(main())


def test_an_end_is_heard_behind_the_data_before_it(way: str) -> None:
    async def main() -> None:
        client, peer = await with_plain_peer()
        peer.tls.write(b"last words")
        unwrapping = asyncio.ensure_future(peer.do(peer.tls.unwrap))
        assert await client.lost is None
        assert client.heard == ["made", "data", "eof", "lost"]
        assert client.data == b"last words"
        await unwrapping
        peer.sock.close()

    run(main())


async def end_of(sent: bytes, of_record: int | None) -> tuple[Any, ...]:
    """Return what a client hears of bytes that are no record, or of the first ones of a record, and then the end."""
    client, peer = await with_plain_peer()
    peer.tls.write(b"good")
    good = peer.outgoing.read()
    if of_record is not None:
        peer.tls.write(bytes(1000))
        record = bytearray(peer.outgoing.read())
        record[-1] ^= of_record == -1
        sent = bytes(record[:of_record] if of_record > 0 else record)
    await asyncio.get_running_loop().sock_sendall(peer.sock, good + sent)
    await client.until(lambda each: bool(each.data))
    # Not before: what follows is not delivered otherwise where the end is heard of together with it.
    peer.sock.close()
    error = await client.lost
    found = (getattr(error, "library", None), getattr(error, "reason", None))
    return type(error), getattr(error, "args", None), *found, bytes(client.data), client.heard


WRONG = {
    "no TLS": (b"GET / HTTP/1.1\r\n\r\n", None),
    "too long": (b"\x17\x03\x03\xff\xff" + bytes(50), None),
    "no record of this connection": (b"\x17\x03\x03\x00\x20" + bytes(32), None),
    "changed on the way": (b"", -1),
    "no more than a header": (b"", 5),
    "a part of a record": (b"", 700),
    "nothing": (b"", None),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_the_same_error_in_the_same_words(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for way in WAYS:
        go(way, monkeypatch)
        found.append(run(end_of(*WRONG[wrong])))
    assert found[0] == found[1]
    is_error = wrong in ("no TLS", "too long", "no record of this connection", "changed on the way")
    assert issubclass(found[0][0], ssl.SSLError) is is_error


def test_an_error_that_openssl_remembers_of_something_else_harms_nobody(way: str) -> None:
    async def main() -> None:
        client, server = await both_ends(server=Echo)
        for name in (b"one", b"two"):
            # A program's own use of TLS on this thread goes wrong.
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            other = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
            incoming.write(b"nothing that is TLS")
            with pytest.raises(ssl.SSLError):
                other.do_handshake()
            client.transport.write(name)
            await client.until(lambda each, name=name: each.data.endswith(name))
        await close_both(client, server)
        assert client.error is server.error is None

    run(main())


@pytest.mark.parametrize(("command", "options"), [(b"K\n", ["-tls1_3"]), (b"k\n", ["-tls1_3"]), (b"R\n", ["-tls1_2"])])
def test_keys_may_change_at_any_time(command: bytes, options: list[str], way: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no program openssl")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ends: list[Echo] = []
        came = asyncio.Event()

        def accept() -> Echo:
            ends.append(Echo())
            came.set()
            return ends[-1]

        context = server_context()
        context.options &= ~getattr(ssl, "OP_NO_RENEGOTIATION", 0)
        context.options |= OP_ALLOW_CLIENT_RENEGOTIATION
        server = await loop.create_server(accept, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        arguments = ["s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", certificate("localhost"), *options]
        client = await asyncio.create_subprocess_exec(
            "openssl", *arguments, stdin=-1, stdout=-1, stderr=asyncio.subprocess.STDOUT
        )
        assert client.stdin is not None
        assert client.stdout is not None
        await came.wait()
        client.stdin.write(b"before\n")
        await client.stdout.readuntil(b"before\n")
        client.stdin.write(command)
        # It says so when it does it; what is written to it earlier would be a part of the command.
        await client.stdout.readuntil({b"R\n": b"RENEGOTIATING\n"}.get(command, b"KEYUPDATE\n"))
        for count in range(3):
            word = b"after %d %s\n" % (count, b"x" * 8000)
            client.stdin.write(word)
            await client.stdout.readuntil(word)
        ends[0].transport.write(b"the last\n")
        await client.stdout.readuntil(b"the last\n")
        client.stdin.close()
        await client.wait()
        assert await ends[0].lost is None
        assert ends[0].data.startswith(b"before\nafter 0")
        server.close()

    run(main())


@pytest.mark.skipif(not ssl.HAS_TLSv1_3, reason="it is a part of TLS 1.3")
def test_a_client_may_be_asked_for_its_certificate_later(way: str) -> None:
    async def main() -> None:
        asking, asked = server_context(), client_context()
        asking.load_verify_locations(certificate("localhost"))
        asking.verify_mode = ssl.CERT_REQUIRED
        asking.post_handshake_auth = asked.post_handshake_auth = True
        asked.load_cert_chain(certificate("localhost"))
        client, peer = await with_plain_peer(server=asking, client=asked)
        assert peer.tls.getpeercert() is None
        peer.tls.verify_client_post_handshake()
        await peer.do(peer.tls.write, b"who are you?")
        await client.until(lambda each: bool(each.data))
        client.transport.write(b"me")
        assert await peer.do(peer.tls.read, 10) == b"me"
        assert dict(peer.tls.getpeercert()["subject"][0])["commonName"] == "localhost"
        client.transport.abort()
        await client.lost
        peer.sock.close()

    run(main())


class Proxy:
    """Stands before an `_ssl._SSLSocket`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(self.inner, name)


class WrappingContext(ssl.SSLContext):
    def wrap_bio(self, *arguments: Any, **keywords: Any) -> ssl.SSLObject:
        made = super().wrap_bio(*arguments, **keywords)
        made._sslobj = Proxy(made._sslobj)  # type: ignore[attr-defined]
        return made


def test_a_tls_object_of_another_kind_is_called() -> None:
    async def main() -> None:
        context = WrappingContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate("localhost"))
        client, server = await both_ends(server=Echo, contexts=(context, server_context()))
        assert not core_of(client).is_direct
        client.transport.write(b"x" * 100_000)
        await client.until(lambda each: len(each.data) == 100_000)
        await close_both(client, server)

    run(main())


def test_the_tls_object_outlives_its_connection(way: str) -> None:
    async def main() -> ssl.SSLObject:
        client, server = await both_ends(server=Echo)
        found = client.transport.get_extra_info("ssl_object")
        assert isinstance(found, ssl.SSLObject)
        client.transport.abort()
        await client.lost
        server.transport.abort()
        await server.lost
        return found

    left = run(main())
    gc.collect()
    assert left.version() is not None
    assert left.write(b"to nobody") == len(b"to nobody")
    with pytest.raises(ssl.SSLWantReadError):
        left.read(1)

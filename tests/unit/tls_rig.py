"""What the tests of TLS share: certificates, contexts, connections of two ends on one loop of ours, and plain peers."""

import asyncio
import functools
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stream_rig import Recorder, tcp_pair

SETTINGS = """
[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = {name}
[extensions]
subjectAltName = DNS:{name}
basicConstraints = critical, CA:TRUE
"""


@functools.cache
def certificate(name: str = "localhost") -> str:
    """Make a key and a self-signed certificate, once; returns the file of both."""
    if shutil.which("openssl") is None:
        pytest.skip("a certificate needs the program openssl")
    folder = Path(tempfile.mkdtemp(prefix="threefold-tls-"))
    settings, key, own = (folder / each for each in ("settings", "key", "certificate"))
    settings.write_text(SETTINGS.format(name=name))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-config", str(settings), "-keyout", str(key), "-out", str(own)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    both = folder / "both.pem"
    both.write_text(key.read_text() + own.read_text())
    return str(both)


def server_context(name: str = "localhost") -> ssl.SSLContext:
    """Return a server's context with a certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(name))
    return context


def client_context(name: str = "localhost") -> ssl.SSLContext:
    """Return a client's context that trusts one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate(name))
    return context


async def both_ends(
    client: Callable[[], Any] = Recorder,
    server: Callable[[], Any] = Recorder,
    pair: tuple[socket.socket, socket.socket] | None = None,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    hostname: str = "localhost",
    **options: Any,
) -> tuple[Any, Any]:
    """Connect a client with a server on this loop; returns both protocols after the handshake."""
    loop = asyncio.get_running_loop()
    near, far = pair or tcp_pair()
    of_client, of_server = contexts or (client_context(), server_context())
    accepting = asyncio.ensure_future(loop.connect_accepted_socket(server, far, ssl=of_server, **options))
    connecting = loop.create_connection(client, sock=near, ssl=of_client, server_hostname=hostname, **options)
    (_, client_end), (_, server_end) = await asyncio.gather(connecting, accepting)
    return client_end, server_end


async def close_both(*ends: Any) -> None:
    """Close and wait until both protocols have heard of the end."""
    for end in ends:
        end.transport.close()
    for end in ends:
        await end.lost


class PlainTls:
    """The other end as plain `ssl` over a socket of which the loop does not know; it does its part when it is told to."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, **options: Any) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, **options)

    async def send(self) -> None:
        """Send what is to go out."""
        await asyncio.get_running_loop().sock_sendall(self.sock, self.outgoing.read())

    async def do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step of TLS, and wait for the other end where it must be heard first."""
        while True:
            try:
                result = work(*arguments)
            except ssl.SSLWantReadError:
                await self.send()
                data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            else:
                await self.send()
                return result

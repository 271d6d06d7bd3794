"""What transports do when the interpreter ends: the ends of objects may still close them and write to them."""

import subprocess
import sys
import textwrap

import pytest


@pytest.mark.parametrize(
    ("kind", "write"), [("connection", "transport.write(b'x')"), ("datagrams", "transport.sendto(b'x')")]
)
def test_an_object_that_ends_with_the_interpreter_may_use_its_transport(kind, write):
    program = f"""
        import asyncio, os, socket, sys
        import threefold.asyncio

        class Keeper:
            def __init__(self, transport):
                self.transport = transport
                self.itself = self

            def __del__(self, tell=os.write):
                tell(1, b"at the end")
                transport = self.transport
                # What it needs may be gone by then, as of the standard library's transports.
                {write}
                transport.close()

        async def main():
            loop = asyncio.get_running_loop()
            if {kind!r} == "connection":
                near, sys.far = socket.socketpair()
                transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            else:
                sys.far = socket.socket(type=socket.SOCK_DGRAM)
                sys.far.bind(("127.0.0.1", 0))
                address = sys.far.getsockname()
                transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
            sys.keeper = Keeper(transport)

        sys.loop = threefold.asyncio.new_event_loop()
        sys.loop.run_until_complete(main())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=40)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert done.stdout == "at the end"
    assert "panicked" not in done.stderr

"""A chat over WebSocket: what one says all hear; it ends at SIGTERM and says good-bye to each connection."""

import asyncio
import signal

from websockets.asyncio.server import broadcast, serve

present = set()


async def talk(connection):
    """Hand on what a connection says to all that are there."""
    present.add(connection)
    try:
        async for message in connection:
            broadcast(present, message)
    finally:
        present.remove(connection)


async def main():
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    async with serve(talk, "127.0.0.1", 0) as server:
        loop.add_signal_handler(signal.SIGTERM, server.close)
        kind = type(loop)
        print(f"on {kind.__module__}.{kind.__qualname__}", flush=True)
        print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
        await server.wait_closed()
    print(f"{len(present)} are left", flush=True)


asyncio.run(main())

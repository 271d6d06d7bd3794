"""A web application on aiohttp: echoes, streams, sends files, speaks WebSocket."""

import asyncio
import os
import sys

from aiohttp import WSMsgType, web

routes = web.RouteTableDef()


@routes.get("/loop")
async def loop(request):
    """Say which class the running loop has."""
    kind = type(asyncio.get_running_loop())
    return web.Response(text=f"{kind.__module__}.{kind.__qualname__}")


@routes.post("/echo")
async def echo(request):
    """Send the body back piece by piece, as it comes."""
    answer = web.StreamResponse(headers={"X-Number": request.headers.get("X-Number", "")})
    await answer.prepare(request)
    async for piece in request.content.iter_any():
        await answer.write(piece)
    await answer.write_eof()
    return answer


@routes.get("/file")
async def file(request):
    """Send the file that the variable FILE names."""
    return web.FileResponse(os.environ["FILE"])


@routes.get("/slow")
async def slow(request):
    """Take half a second."""
    print("a slow request has come", flush=True)
    await asyncio.sleep(0.5)
    return web.Response(text="done all the same")


@routes.get("/endless")
async def endless(request):
    """Wait until the client goes away."""
    print("an endless request has come", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("the endless request has been given up", flush=True)
        raise


@routes.get("/ws")
async def converse(request):
    """Send each message back; count down when asked to; close at `bye`."""
    connection = web.WebSocketResponse(max_msg_size=0)
    await connection.prepare(request)
    async for message in connection:
        if message.type is WSMsgType.BINARY:
            await connection.send_bytes(message.data)
        elif message.data == "bye":
            await connection.close(code=4001)
        elif message.data.startswith("count "):
            for number in range(int(message.data.split()[1])):
                await connection.send_str(str(number))
        else:
            await connection.send_str(message.data)
    return connection


async def announce(app):
    """Say when it has ended."""
    yield
    print("ended", flush=True)


def make():
    """Make the application."""
    app = web.Application(client_max_size=0)
    app.add_routes(routes)
    app.cleanup_ctx.append(announce)
    return app


if __name__ == "__main__":
    options = {}
    if sys.argv[1:] == ["ours"]:
        import threefold.asyncio

        options["loop"] = threefold.asyncio.new_event_loop()
    # `run_app` names the port that it was given, not one that the system has chosen.
    web.run_app(make(), host="127.0.0.1", port=int(os.environ["PORT"]), handler_cancellation=True, **options)

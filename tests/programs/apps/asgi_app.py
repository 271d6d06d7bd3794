"""A web application for any ASGI server: echoes, streams, counts, and speaks WebSocket."""

import asyncio
import os


def say(line):
    """Print a line in one piece: several processes may do so at once."""
    os.write(1, f"{line}\n".encode())


def name_of_loop():
    """Say which class the running loop has."""
    kind = type(asyncio.get_running_loop())
    return f"{kind.__module__}.{kind.__qualname__}"


async def app(scope, receive, send):
    """Serve one connection's request, WebSocket or lifespan."""
    await {"lifespan": live, "http": answer, "websocket": converse}[scope["type"]](scope, receive, send)


async def live(scope, receive, send):
    """Say when the application has started and ended."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            say(f"started on {name_of_loop()}")
            await send({"type": "lifespan.startup.complete"})
        else:
            say("ended")
            await send({"type": "lifespan.shutdown.complete"})
            return


async def body_of(receive):
    """Return the whole body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def answer(scope, receive, send):
    """Answer a request by its path."""
    body = await body_of(receive)
    path = scope["path"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", path.encode())]})
    if path.startswith("/stream/"):
        for number in range(int(path.rpartition("/")[2])):
            await send({"type": "http.response.body", "body": b"%08d" % number * 512, "more_body": True})
        await send({"type": "http.response.body"})
    elif path == "/slow":
        say("a slow request has come")
        await asyncio.sleep(0.5)
        await send({"type": "http.response.body", "body": b"done all the same"})
    elif path == "/endless":
        say("an endless request has come")
        while (await receive())["type"] != "http.disconnect":
            pass
        say("the endless request has been given up")
    elif path == "/loop":
        await send({"type": "http.response.body", "body": name_of_loop().encode()})
    else:
        await send({"type": "http.response.body", "body": body})


async def converse(scope, receive, send):
    """Send each message back, count down when asked to, and close at `bye`."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text == "bye":
            await send({"type": "websocket.close", "code": 4001})
            return
        if text and text.startswith("count "):
            for number in range(int(text.split()[1])):
                await send({"type": "websocket.send", "text": str(number)})
        else:
            await send({key: value for key, value in message.items() if key != "type"} | {"type": "websocket.send"})

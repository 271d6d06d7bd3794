"""A web application on Tornado, which makes its loop by `asyncio` like any other program."""

import asyncio
import signal

import tornado.web
import tornado.websocket


class Loop(tornado.web.RequestHandler):
    """Says which class the running loop has."""

    def get(self):
        """Answer with the class's name."""
        kind = type(asyncio.get_running_loop())
        self.write(f"{kind.__module__}.{kind.__qualname__}")


class Echo(tornado.web.RequestHandler):
    """Sends the body back in pieces."""

    async def post(self):
        """Answer with the body."""
        body = self.request.body
        for start in range(0, len(body), 10_000):
            self.write(body[start : start + 10_000])
            await self.flush()


class Conversation(tornado.websocket.WebSocketHandler):
    """Sends each message back."""

    def on_message(self, message):
        """Send it back."""
        self.write_message(message, binary=isinstance(message, bytes))


async def main():
    """Serve until SIGTERM."""
    app = tornado.web.Application([("/loop", Loop), ("/echo", Echo), ("/ws", Conversation)])
    server = app.listen(0, "127.0.0.1")
    ports = [each.getsockname()[1] for each in server._sockets.values()]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(f"port {ports[0]}", flush=True)
    await ended.wait()
    server.stop()
    await server.close_all_connections()
    print("ended", flush=True)


asyncio.run(main())

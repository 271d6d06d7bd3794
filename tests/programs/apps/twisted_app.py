"""A program on Twisted's asyncio reactor: an echo server and clients of it, deferreds, threads, a child, and tasks of asyncio."""

import asyncio
import sys

from twisted.internet import asyncioreactor

if sys.argv[1:] == ["ours"]:
    import threefold.asyncio

    asyncioreactor.install(threefold.asyncio.new_event_loop())
else:
    asyncioreactor.install()

from twisted.internet import defer, endpoints, protocol, task, threads, utils

CLIENTS, MESSAGES = 20, 30


class Echo(protocol.Protocol):
    """Sends back what it gets."""

    def dataReceived(self, data):  # noqa: N802 - Twisted's name
        """Send it back."""
        self.transport.write(data)


class Client(protocol.Protocol):
    """Sends the next message when the last one is back, and is done after some."""

    def __init__(self, name):
        self.name = name
        self.count = 0
        self.received = b""
        self.done = defer.Deferred()

    def connectionMade(self):  # noqa: N802 - Twisted's name
        """Send the first message."""
        self.send()

    def send(self):
        """Send a message."""
        self.message = b"%d.%d " % (self.name, self.count) * (1 + self.count * 100)
        self.transport.write(self.message)

    def dataReceived(self, data):  # noqa: N802 - Twisted's name
        """Compare what comes."""
        self.received += data
        assert self.message.startswith(self.received)
        if self.received == self.message:
            self.received = b""
            self.count += 1
            if self.count < MESSAGES:
                self.send()
            else:
                self.transport.loseConnection()

    def connectionLost(self, reason):  # noqa: N802 - Twisted's name
        """Be done."""
        self.done.callback(self.count)


async def sleep_in_asyncio():
    """Sleep as a task of asyncio."""
    await asyncio.sleep(0.01)
    kind = type(asyncio.get_running_loop())
    return f"{kind.__module__}.{kind.__qualname__}"


async def main(reactor):
    """Do everything once."""
    server = await endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        protocol.Factory.forProtocol(Echo)
    )
    where = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", server.getHost().port)
    clients = [Client(name) for name in range(CLIENTS)]
    for client in clients:
        await endpoints.connectProtocol(where, client)
    counts = await defer.gatherResults([client.done for client in clients])
    assert counts == [MESSAGES] * CLIENTS
    await server.stopListening()
    assert await threads.deferToThread(sum, range(10)) == 45
    output = await utils.getProcessOutput(sys.executable, ["-c", "print('from a child')"])
    assert output == b"from a child\n"
    beats = []
    heart = task.LoopingCall(lambda: beats.append(reactor.seconds()) if len(beats) < 5 else heart.stop())
    await heart.start(0.001)
    assert len(beats) == 5
    print(f"on {await defer.Deferred.fromFuture(asyncio.ensure_future(sleep_in_asyncio()))}")
    print("done", flush=True)
    if "stay" in sys.argv:
        await defer.Deferred()


task.react(main)

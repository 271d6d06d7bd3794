"""A gRPC service without generated code: one method of each kind, on bytes."""

import asyncio
import signal
import sys

import grpc


async def echo(request, context):
    """Return what came; refuse `no`."""
    if request == b"no":
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no is no answer")
    return request


async def count(request, context):
    """Send as many numbers as asked for, and for ever when asked for `all`."""
    number = 0
    try:
        while request == b"all" or number < int(request):
            yield b"%d" % number
            number += 1
            await asyncio.sleep(0)
    finally:
        print("the counting is over", flush=True)


async def add(requests, context):
    """Add up the numbers that come."""
    return b"%d" % sum([int(request) async for request in requests])


async def converse(requests, context):
    """Answer each message with its reverse."""
    async for request in requests:
        yield request[::-1]


async def slow(request, context):
    """Take half a second."""
    print("a slow call has come", flush=True)
    await asyncio.sleep(0.5)
    return b"done all the same"


METHODS = {
    "echo": grpc.unary_unary_rpc_method_handler(echo),
    "count": grpc.unary_stream_rpc_method_handler(count),
    "add": grpc.stream_unary_rpc_method_handler(add),
    "converse": grpc.stream_stream_rpc_method_handler(converse),
    "slow": grpc.unary_unary_rpc_method_handler(slow),
}


def make():
    """Make the server."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Example", METHODS)])
    return server


async def main():
    """Serve until a signal comes, and let the calls that run end."""
    loop = asyncio.get_running_loop()
    server = make()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    kind = type(loop)
    print(f"on {kind.__module__}.{kind.__qualname__}", flush=True)
    print(f"port {port}", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    await server.stop(10)
    print("ended", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["ours"]:
        import threefold.asyncio

        threefold.asyncio.run(main())
    else:
        asyncio.run(main())

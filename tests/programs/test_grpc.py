"""grpc.aio on our loop, both ends: calls of all four kinds, errors, deadlines, cancellation, TLS, and its ending."""

import asyncio
import signal
from contextlib import asynccontextmanager

import grpc
import grpc_app
import pytest
from own_loop import run
from program import OURS, Program


@asynccontextmanager
async def serving(certificate=None):
    """A server in this process and a channel to it."""
    server = grpc_app.make()
    if certificate is None:
        port = server.add_insecure_port("localhost:0")
        channel = grpc.aio.insecure_channel(f"localhost:{port}")
    else:
        pair = (certificate.key.read_bytes(), certificate.chain.read_bytes())
        port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
        trusted = grpc.ssl_channel_credentials(certificate.authority.read_bytes())
        channel = grpc.aio.secure_channel(f"localhost:{port}", trusted)
    await server.start()
    try:
        async with channel:
            yield channel
    finally:
        await server.stop(None)


def test_every_call_gets_its_own_answer():
    async def main():
        async with serving() as channel:
            echo = channel.unary_unary("/Example/echo")
            bodies = [b"%d:" % number * (1 + number * 50) for number in range(300)]
            assert await asyncio.gather(*map(echo, bodies)) == bodies

    run(main())


def test_streams_carry_messages_in_order_in_each_direction_and_in_both():
    numbers = [b"%d" % number for number in range(200)]

    async def each():
        for number in numbers:
            yield number

    async def main():
        async with serving() as channel:
            assert [message async for message in channel.unary_stream("/Example/count")(b"200")] == numbers
            assert await channel.stream_unary("/Example/add")(each()) == b"19900"
            conversation = channel.stream_stream("/Example/converse")()
            for number in numbers:
                await conversation.write(number)
                assert await conversation.read() == number[::-1]
            await conversation.done_writing()
            assert await conversation.read() is grpc.aio.EOF
            assert await conversation.code() is grpc.StatusCode.OK

    run(main())


def test_an_error_and_a_deadline_reach_the_client():
    async def main():
        async with serving() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary("/Example/echo")(b"no")
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert refused.value.details() == "no is no answer"
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await channel.unary_unary("/Example/slow")(b"", timeout=0.05)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert await channel.unary_unary("/Example/echo")(b"yes") == b"yes"

    run(main())


def test_a_cancelled_stream_ends_on_both_ends(capfd):
    async def main():
        async with serving() as channel:
            call = channel.unary_stream("/Example/count")(b"all")
            for number in range(20):
                assert await call.read() == b"%d" % number
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call.read()
            while "is over" not in capfd.readouterr().out:
                await asyncio.sleep(0.001)

    run(main())


def test_tls_on_both_ends(certificate):
    async def main():
        async with serving(certificate) as channel:
            echo = channel.unary_unary("/Example/echo")
            assert await asyncio.gather(*(echo(b"x" * size) for size in range(0, 200_000, 7919))) == [
                b"x" * size for size in range(0, 200_000, 7919)
            ]

    run(main())


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("way", ["run", "chosen", "standard"])
def test_a_signal_ends_a_server_after_the_last_answer(way, signal_number):
    async def main(program):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{program.find('port (.*)')[1]}") as channel:
            call = asyncio.ensure_future(channel.unary_unary("/Example/slow")(b""))
            await asyncio.to_thread(program.find, "a slow call has come")
            program.process.send_signal(signal_number)
            assert await call == b"done all the same"

    with Program(way, "-m", "grpc_app", *(["ours"] if way == "chosen" else [])) as program:
        assert (program.find("on (.*)")[1] == OURS) is (way != "standard")
        run(main(program))
        assert program.end() == 0
        assert program.lines[2:] == ["a slow call has come", "ended"]

"""websockets on our loop, both ends: messages of all sizes, broadcasts, pings, TLS, cancellation, and its ending."""

import asyncio
import signal

import pytest
from own_loop import run
from program import OURS, Program
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK


async def echo(connection):
    async for message in connection:
        await connection.send(message)


def address(server, scheme="ws"):
    return f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"


def test_every_message_of_many_connections_comes_back_to_its_own():
    async def talk(uri, name):
        async with connect(uri) as connection:
            for number in range(50):
                await connection.send(f"{name}.{number}" * number)
                assert await connection.recv() == f"{name}.{number}" * number

    async def main():
        async with serve(echo, "localhost", 0) as server:
            await asyncio.gather(*(talk(address(server), name) for name in range(16)))

    run(main())


@pytest.mark.parametrize("compression", ["deflate", None])
def test_large_messages_arrive_whole_also_in_fragments(compression):
    message = bytes(range(256)) * 16_000

    async def main():
        async with serve(echo, "localhost", 0, max_size=None, compression=compression) as server:
            async with connect(address(server), max_size=None, compression=compression) as connection:
                await connection.send(message)
                assert await connection.recv() == message
                await connection.send(message[start : start + 99_999] for start in range(0, len(message), 99_999))
                assert await connection.recv() == message

    run(main())


def test_messages_flow_both_ways_at_once_with_pings_between_them():
    async def count(connection):
        for number in range(300):
            await connection.send(str(number))
        assert [await connection.recv() for _ in range(300)] == [str(number) for number in range(300)]

    async def count_and_stay(connection):
        await count(connection)
        await connection.wait_closed()

    async def main():
        async with serve(count_and_stay, "localhost", 0) as server:
            async with connect(address(server)) as connection:
                counting = asyncio.create_task(count(connection))
                for _ in range(20):
                    await (await connection.ping())
                await counting

    run(main())


def test_tls_on_both_ends(certificate):
    async def main():
        async with serve(echo, "localhost", 0, ssl=certificate.server, max_size=None) as server:
            async with connect(address(server, "wss"), ssl=certificate.client, max_size=None) as connection:
                for size in (0, 1, 1000, 16384, 70_000, 1_000_000):
                    await connection.send(b"x" * size)
                    assert await connection.recv() == b"x" * size

    run(main())


def test_a_cancelled_recv_loses_no_message():
    async def main():
        async with serve(echo, "localhost", 0) as server:
            async with connect(address(server)) as connection:
                received = []
                for number in range(100):
                    waiting = asyncio.create_task(connection.recv())
                    await connection.send(str(number))
                    await asyncio.sleep(0)
                    waiting.cancel()
                    try:
                        received.append(await waiting)
                    except asyncio.CancelledError:
                        received.append(await connection.recv())
        assert received == [str(number) for number in range(100)]

    run(main())


def test_both_ends_learn_how_a_connection_has_ended():
    async def main():
        endings = asyncio.Queue()

        async def listen(connection):
            try:
                await connection.recv()
            except ConnectionClosed as error:
                endings.put_nowait((type(error), error.rcvd and error.rcvd.reason))

        async with serve(listen, "localhost", 0) as server:
            connection = await connect(address(server))
            await connection.close(reason="enough")
            assert await endings.get() == (ConnectionClosedOK, "enough")
            connection = await connect(address(server))
            connection.transport.abort()
            assert await endings.get() == (ConnectionClosedError, None)
            await connection.wait_closed()

    run(main())


@pytest.mark.parametrize("way", ["run", "standard"])
def test_a_program_says_goodbye_to_each_connection_at_sigterm(way):
    async def main(program):
        uri = f"ws://127.0.0.1:{program.find('port (.*)')[1]}"
        connections = [await connect(uri) for _ in range(10)]
        for number, connection in enumerate(connections):
            await connection.send(str(number))
            assert [await each.recv() for each in connections] == [str(number)] * 10
        program.process.send_signal(signal.SIGTERM)
        for connection in connections:
            with pytest.raises(ConnectionClosedOK) as ended:
                await connection.recv()
            assert ended.value.rcvd.code == 1001

    with Program(way, "-m", "websocket_app") as program:
        assert (program.find("on (.*)")[1] == OURS) is (way == "run")
        run(main(program))
        assert program.end() == 0
        assert program.lines[2:] == ["0 are left"]

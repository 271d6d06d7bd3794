"""Tornado on our loop: its server unmodified under `threefold run`, its HTTP and WebSocket clients on a loop of ours."""

import asyncio
import signal

import pytest
from own_loop import run
from program import OURS, Program
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect


async def use(port, is_ours):
    client = AsyncHTTPClient()
    base = f"http://127.0.0.1:{port}"
    assert ((await client.fetch(f"{base}/loop")).body.decode() == OURS) is is_ours

    async def echo(number):
        body = b"%d:" % number * (1 + number * number)
        assert (await client.fetch(f"{base}/echo", method="POST", body=body)).body == body

    async def talk(name):
        connection = await websocket_connect(f"ws://127.0.0.1:{port}/ws")
        for number in range(30):
            await connection.write_message(f"{name}.{number}")
            assert await connection.read_message() == f"{name}.{number}"
        await connection.write_message(bytes(200_000), binary=True)
        assert await connection.read_message() == bytes(200_000)
        connection.close()
        assert await connection.read_message() is None

    await asyncio.gather(*map(echo, range(120)), *map(talk, "abcd"))
    client.close()


@pytest.mark.parametrize("way", ["run", "standard"])
def test_every_request_and_message_gets_its_own_answer_and_sigterm_ends_it(way):
    with Program(way, "-m", "tornado_app") as program:
        run(use(int(program.find("port (.*)")[1]), way == "run"))
        assert program.end(signal.SIGTERM) == 0
        assert program.lines[1:] == ["ended"]

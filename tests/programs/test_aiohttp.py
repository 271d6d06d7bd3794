"""aiohttp on our loop, server and client: requests, streams, files, WebSockets, TLS, cancellation, and its ending."""

import asyncio
import signal
from contextlib import asynccontextmanager

import aiohttp
import aiohttp_app
import pytest
from aiohttp import web
from own_loop import run
from program import OURS, Program, without_numbers

from servers import free_port


@asynccontextmanager
async def serving(tls=None):
    """A server in this process, and a client's session whose addresses begin there."""
    runner = web.AppRunner(aiohttp_app.make())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "localhost", 0, ssl_context=tls and tls.server)
        await site.start()
        port = runner.addresses[0][1]
        base = f"{'https' if tls else 'http'}://localhost:{port}/"
        connector = aiohttp.TCPConnector(limit=8, ssl=tls.client if tls else True)
        async with aiohttp.ClientSession(base, connector=connector) as session:
            yield session
    finally:
        await runner.cleanup()


@pytest.fixture(params=["plain", "TLS"])
def tls(request):
    return request.getfixturevalue("certificate") if request.param == "TLS" else None


async def echo(session, number):
    body = f"{number}:".encode() * (1 + number * number)
    async with session.post("/echo", data=body, headers={"X-Number": str(number)}) as answer:
        assert answer.headers["X-Number"] == str(number)
        assert await answer.read() == body


def test_every_request_gets_its_own_answer(tls):
    async def main():
        async with serving(tls) as session:
            async with session.get("/loop") as answer:
                assert await answer.text() == OURS
            await asyncio.gather(*(echo(session, number) for number in range(200)))

    run(main())


def test_a_body_may_be_sent_and_taken_at_once(tls):
    async def pieces():
        for number in range(500):
            yield b"%08d" % number * 512

    async def main():
        received = bytearray()
        async with serving(tls) as session:
            async with session.post("/echo", data=pieces()) as answer:
                async for piece in answer.content.iter_any():
                    received += piece
        assert received == b"".join([piece async for piece in pieces()])

    run(main())


def test_a_file_arrives_whole(tls, tmp_path, monkeypatch):
    content = bytes(range(256)) * 20_000
    (tmp_path / "file").write_bytes(content)
    monkeypatch.setenv("FILE", str(tmp_path / "file"))

    async def main():
        async with serving(tls) as session:
            async with session.get("/file") as answer:
                assert await answer.read() == content
            async with session.get("/file", headers={"Range": "bytes=100-70000"}) as answer:
                assert await answer.read() == content[100:70001]

    run(main())


def test_websockets_carry_messages_both_ways(tls):
    async def talk(session, name):
        async with session.ws_connect("/ws", max_msg_size=0) as connection:
            for number in range(40):
                await connection.send_str(f"{name}.{number}")
                assert await connection.receive_str() == f"{name}.{number}"
            await connection.send_bytes(bytes(300_000))
            assert await connection.receive_bytes() == bytes(300_000)
            await connection.send_str("count 200")
            assert [await connection.receive_str() for _ in range(200)] == [str(number) for number in range(200)]
            await connection.send_str("bye")
            assert (await connection.receive()).data == 4001

    async def main():
        async with serving(tls) as session:
            await asyncio.gather(*(talk(session, name) for name in range(6)))

    run(main())


def test_a_request_that_takes_too_long_is_given_up_on_both_ends(capfd):
    async def main():
        app = aiohttp_app.make()
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "localhost", 0).start()
        async with aiohttp.ClientSession(f"http://localhost:{runner.addresses[0][1]}") as session:
            with pytest.raises(asyncio.TimeoutError):
                await session.get("/endless", timeout=aiohttp.ClientTimeout(total=0.1))
            request = asyncio.create_task(session.get("/endless"))
            heard = capfd.readouterr().out
            while heard.count("has come") < 2:
                await asyncio.sleep(0.001)
                heard += capfd.readouterr().out
            request.cancel()
            while heard.count("has been given up") < 2:
                await asyncio.sleep(0.001)
                heard += capfd.readouterr().out
            await echo(session, 7)
        await runner.cleanup()

    run(main())


def test_a_server_that_refuses_or_breaks_off_is_an_error():
    async def break_off(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nno more")
        writer.close()

    async def main():
        server = await asyncio.start_server(break_off, "localhost", 0)
        port = server.sockets[0].getsockname()[1]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://localhost:{port}/") as answer:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()
            server.close()
            await server.wait_closed()
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"http://localhost:{port}/")

    run(main())


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_as_on_the_standard_loop(signal_number):
    async def use(base):
        async with aiohttp.ClientSession(base) as session:
            async with session.get("/loop") as answer:
                assert (await answer.text() == OURS) is (way != "standard")
            await asyncio.gather(*(echo(session, number) for number in range(50)))

    endings = {}
    for way in ("standard", "run", "chosen"):
        port = free_port()
        arguments = ["-m", "aiohttp_app", *(["ours"] if way == "chosen" else [])]
        with Program(way, *arguments, variables={"PORT": str(port)}) as program:
            program.find("Running on")
            run(use(f"http://127.0.0.1:{port}"))
            code = program.end(signal_number)
            endings[way] = code, without_numbers(program.output)
    assert endings["run"] == endings["standard"]
    assert endings["chosen"] == endings["standard"]
    assert endings["run"][0] == 0
    assert endings["run"][1].endswith("ended")

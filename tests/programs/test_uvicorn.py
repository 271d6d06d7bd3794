"""uvicorn on our loop: with httptools and with h11, plain and with TLS, its WebSockets, and its ending."""

import asyncio
import signal

import aiohttp
import httptools
import pytest
import uvicorn
import websockets
from own_loop import run
from program import OURS, Program, without_numbers

RUNNING = r"running on https?://127\.0\.0\.1:(\d+)"


def serve(way, *options):
    loop = ["--loop", "threefold.asyncio:EventLoop"] if way == "chosen" else []
    loop = ["--loop", "asyncio"] if way == "standard" else loop
    return Program(way, "-m", "uvicorn", "asgi_app:app", "--port", 0, "--no-access-log", *loop, *options)


@pytest.fixture(params=["httptools", "h11"])
def parser(request):
    return request.param


@pytest.mark.parametrize("way", ["run", "chosen"])
def test_every_request_gets_its_own_answer(way, parser):
    async def ask(session, base, number):
        body = f"{number}:".encode() * (1 + number * number)
        async with session.post(f"{base}/echo/{number}", data=body) as answer:
            assert answer.headers["x-path"] == f"/echo/{number}"
            assert await answer.read() == body

    async def main(base):
        connector = aiohttp.TCPConnector(limit=8)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(f"{base}/loop") as answer:
                assert await answer.text() == OURS
            await asyncio.gather(*(ask(session, base, number) for number in range(200)))

    with serve(way, "--http", parser) as server:
        assert server.find("started on (.*)")[1] == OURS
        run(main(f"http://127.0.0.1:{server.find(RUNNING)[1]}"))
        assert server.end(signal.SIGTERM) in (0, -signal.SIGTERM)
        assert "Traceback" not in server.output


def test_a_stream_arrives_in_order_at_a_client_that_takes_its_time(parser):
    async def main(base):
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{base}/stream/1000") as answer:
                received = bytearray()
                async for piece in answer.content.iter_chunked(30_000):
                    received += piece
                    await asyncio.sleep(0)
        assert received == b"".join(b"%08d" % number * 512 for number in range(1000))

    with serve("chosen", "--http", parser) as server:
        run(main(f"http://127.0.0.1:{server.find(RUNNING)[1]}"))


def test_a_client_that_goes_away_is_noticed(parser):
    async def main(port):
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /endless HTTP/1.1\r\nHost: here\r\n\r\n")
        await asyncio.to_thread(server.find, "an endless request has come")
        writer.transport.abort()
        await asyncio.to_thread(server.find, "the endless request has been given up")

    with serve("chosen", "--http", parser) as server:
        run(main(int(server.find(RUNNING)[1])))


def test_tls_serves_every_request(certificate, parser):
    async def main(base):
        async with aiohttp.ClientSession() as session:

            async def ask(number):
                async with session.post(
                    f"{base}/{number}", data=b"%d" % number * 5000, ssl=certificate.client
                ) as answer:
                    return await answer.read()

            answers = await asyncio.gather(*map(ask, range(60)))
        assert answers == [b"%d" % number * 5000 for number in range(60)]

    files = ["--ssl-keyfile", certificate.key, "--ssl-certfile", certificate.chain]
    with serve("run", "--http", parser, *files) as server:
        run(main(f"https://127.0.0.1:{server.find(RUNNING)[1]}"))
        server.end(signal.SIGINT)
        assert "Traceback" not in server.output


@pytest.mark.parametrize("implementation", ["websockets", "websockets-sansio", "wsproto"])
def test_websockets_carry_messages_both_ways(implementation):
    async def talk(port, name):
        async with websockets.connect(f"ws://127.0.0.1:{port}/ws", max_size=None) as connection:
            for number in range(40):
                await connection.send(f"{name}.{number}")
                assert await connection.recv() == f"{name}.{number}"
            await connection.send(bytes(300_000))
            assert await connection.recv() == bytes(300_000)
            await connection.send("count 200")
            assert [await connection.recv() for _ in range(200)] == [str(number) for number in range(200)]
            await connection.send("bye")
            with pytest.raises(websockets.ConnectionClosed) as ended:
                await connection.recv()
            assert ended.value.rcvd.code == 4001

    async def main(port):
        await asyncio.gather(*(talk(port, name) for name in range(8)))

    with serve("chosen", "--ws", implementation) as server:
        run(main(int(server.find(RUNNING)[1])))
        server.end(signal.SIGTERM)
        assert "Traceback" not in server.output


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_as_on_the_standard_loop_after_the_last_answer(signal_number):
    async def slow(base, server):
        async with aiohttp.ClientSession() as session:
            asked = asyncio.create_task(session.get(f"{base}/slow"))
            await asyncio.to_thread(server.find, "a slow request has come")
            server.process.send_signal(signal_number)
            async with await asked as answer:
                return await answer.text()

    endings = {}
    for way in ("standard", "run", "chosen"):
        with serve(way) as server:
            assert run(slow(f"http://127.0.0.1:{server.find(RUNNING)[1]}", server)) == "done all the same"
            code = server.end()
            text = server.output.replace(OURS, "LOOP").replace("asyncio.unix_events._UnixSelectorEventLoop", "LOOP")
            endings[way] = code, without_numbers(text)
    assert endings["run"] == endings["standard"]
    assert endings["chosen"] == endings["standard"]
    assert "Traceback" not in endings["run"][1]


def test_a_program_that_starts_uvicorn_itself_has_our_loop(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import uvicorn\nfrom asgi_app import app\nuvicorn.run(app, port=0)\n")
    with Program("run", program) as server:
        assert server.find("started on (.*)")[1] == OURS
        server.find(RUNNING)
        assert server.end(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_the_versions_are_those_that_are_meant():
    assert uvicorn.Config("asgi_app:app", http="httptools").http == "httptools"
    assert httptools.HttpRequestParser

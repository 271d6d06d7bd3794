"""FastAPI, Starlette's test client and httpx on our loop: in one process, and under uvicorn."""

import asyncio
import signal

import fastapi_app
import httpx
import httpx2
import pytest
from fastapi.testclient import TestClient
from own_loop import run
from program import OURS, Program

from threefold.asyncio import EventLoop


async def use(client):
    """Ask everything that the application answers, and check it."""

    async def item(number):
        answer = await client.post("/item", json={"name": f"item {number}", "number": number})
        assert answer.json() == {"name": f"item {number}", "number": 2 * number}

    async def thread(number):
        assert (await client.get(f"/thread/{number}")).json() == {"number": number, "is_main": False}

    assert (await client.get("/loop")).json() == OURS
    await asyncio.gather(*map(item, range(60)), *map(thread, range(40)))
    async with client.stream("GET", "/stream") as answer:
        assert [line async for line in answer.aiter_lines()] == [str(number) for number in range(100)]
    assert (await client.post("/item", json={"name": "no number"})).status_code == 422
    for number in range(5):
        assert (await client.get(f"/later/{number}")).json() == number
    while len(found := (await client.get("/written")).json()) < 5:
        await asyncio.sleep(0.001)
    assert sorted(found) == list(range(5))


def test_httpx_asks_the_application_in_its_own_process(monkeypatch):
    monkeypatch.setattr(fastapi_app, "written", [])

    async def main():
        transport = httpx.ASGITransport(app=fastapi_app.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            await use(client)

    run(main())


@pytest.mark.parametrize("way", ["run", "chosen"])
@pytest.mark.parametrize("httpx", [httpx, httpx2], ids=lambda module: module.__name__)
def test_httpx_asks_the_application_under_uvicorn(way, httpx, certificate):
    async def main(port):
        limits = httpx.Limits(max_connections=8)
        base = f"https://localhost:{port}"
        async with httpx.AsyncClient(base_url=base, limits=limits, verify=certificate.client, timeout=30) as client:
            await use(client)

    options = ["--port", 0, "--ssl-keyfile", certificate.key, "--ssl-certfile", certificate.chain]
    loop = ["--loop", "threefold.asyncio:EventLoop"] if way == "chosen" else []
    with Program(way, "-m", "uvicorn", "fastapi_app:app", *options, *loop) as server:
        run(main(int(server.find(r"running on https://127\.0\.0\.1:(\d+)")[1])))
        server.end(signal.SIGTERM)
        assert "Traceback" not in server.output


def test_the_test_client_has_our_loop_in_its_thread():
    with TestClient(fastapi_app.app, backend_options={"loop_factory": EventLoop}) as client:
        assert client.get("/loop").json() == OURS
        for number in range(40):
            answer = client.post("/item", json={"name": "item", "number": number})
            assert answer.json() == {"name": "item", "number": 2 * number}
        with client.websocket_connect("/ws") as connection:
            for number in range(40):
                connection.send_text(str(number))
                assert connection.receive_text() == str(number)

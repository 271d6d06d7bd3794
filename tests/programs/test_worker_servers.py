"""Servers of several processes on our loop: gunicorn with uvicorn's worker, and hypercorn."""

import asyncio
import signal

import aiohttp
import gunicorn
import hypercorn
import pytest
from own_loop import run
from program import OURS, Program

from servers import free_port


async def use(base, tls=None):
    """Ask for many echoes, and which loops answer."""
    async with aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=8, ssl=tls or True)) as session:

        async def echo(number):
            body = b"%d:" % number * (1 + number * 100)
            async with session.post("/echo", data=body) as answer:
                assert await answer.read() == body

        await asyncio.gather(*map(echo, range(150)))
        async with session.get("/loop") as answer:
            return await answer.text()


def command_of(server, way, port):
    """Return what starts a server with two workers that choose no loop, or ours."""
    if server == "gunicorn":
        worker = "gunicorn_worker.OurWorker" if way == "chosen" else "uvicorn.workers.UvicornWorker"
        arguments = [f"--bind=127.0.0.1:{port}", "--workers=2", f"--worker-class={worker}", "--worker-tmp-dir=/dev/shm"]
    else:
        arguments = [f"--bind=127.0.0.1:{port}", "--workers=2"]
    return ["-W", "ignore", "-m", server, "asgi_app:app", *arguments]


# What gunicorn does at Ctrl-C is the same on the standard loop, too: it gives its workers 30 seconds before it kills them.
@pytest.mark.parametrize(
    ("server", "way", "signal_number"),
    [
        ("gunicorn", "run", signal.SIGTERM),
        ("gunicorn", "chosen", signal.SIGTERM),
        ("hypercorn", "run", signal.SIGTERM),
        ("hypercorn", "run", signal.SIGINT),
        ("hypercorn", "standard", signal.SIGINT),
    ],
)
def test_its_workers_serve_on_our_loop_and_a_signal_ends_them_all(server, way, signal_number):
    port = free_port()
    with Program(way, *command_of(server, way, port)) as program:
        # gunicorn listens before its workers are there, hypercorn's say when they do.
        program.find("started on .*" if server == "gunicorn" else "Running on", count=2)
        loop = run(use(f"http://127.0.0.1:{port}"))
        assert (loop == OURS) is (way != "standard")
        assert program.end(signal_number) == 0, program.output
        assert program.output.count(f"started on {loop}") == 2
        # Hypercorn may end a worker before that one has said so, on the standard loop too.
        assert program.output.count("ended") >= (2 if server == "gunicorn" else 1), program.output
        assert "Traceback" not in program.output


def test_the_servers_are_installed():
    assert gunicorn.__version__
    assert hypercorn.__name__

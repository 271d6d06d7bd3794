"""The guide on services: its programs print what it shows, and its commands start servers on our loop."""

import itertools
import re
import shlex
import sys
from pathlib import Path

import aiohttp
import anyio
import fastapi
import gunicorn
import pytest
import pytest_asyncio
import uvicorn
from own_loop import run
from program import Program

from servers import free_port

NEEDED = (aiohttp, anyio, fastapi, gunicorn, pytest_asyncio, uvicorn)
GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "services.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
# A program's first line is the name of its file, where it has one.
PROGRAMS = {text.split()[1]: text for language, text in BLOCKS if language == "python" and ".py\n" in text[:20]}
SHOWN = [
    (program.split()[1], text) for (_, program), (language, text) in itertools.pairwise(BLOCKS) if language == "text"
]
COMMANDS = re.findall(r"^\$ (.*)$", GUIDE, re.MULTILINE)


@pytest.fixture
def folder(tmp_path):
    """A folder with all programs of the page."""
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_page_has_what_is_tested():
    assert sorted(PROGRAMS) == ["conftest.py", "groups.py", "pages.py", "service.py", "worker.py"]
    assert len(SHOWN) == 2
    assert len(COMMANDS) == 4


@pytest.mark.parametrize(("name", "output"), SHOWN)
def test_a_program_of_the_guide_prints_what_the_guide_shows(name, output, folder):
    with Program("standard", name, cwd=folder) as program:
        assert program.end() == 0, program.output
        assert program.output + "\n" == output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_starts_a_service_on_our_loop(command, folder):
    async def ask(port):
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/loop") as answer:
                assert await answer.json() == "threefold.asyncio._event_loop"

    words = shlex.split(command)
    way = "run" if words[:3] == ["threefold", "run", "-m"] else "chosen"
    server, *arguments = words[3:] if way == "run" else words
    port = free_port()
    address = ["--port", port] if server == "uvicorn" else ["--bind", f"127.0.0.1:{port}"]
    # gunicorn listens before its workers are there, uvicorn afterwards.
    ready = "running on" if server == "uvicorn" else "startup complete"
    with Program(way, "-W", "ignore", "-m", server, *arguments, *address, cwd=folder) as program:
        program.find(ready)
        run(ask(port))


def test_the_conftest_of_the_guide_gives_tests_our_loop(folder):
    (folder / "test_loop.py").write_text(
        "import asyncio, pytest\n"
        "@pytest.mark.asyncio\n"
        "async def test_loop():\n"
        "    assert type(asyncio.get_running_loop()).__module__ == 'threefold.asyncio._event_loop'\n"
    )
    with Program("standard", "-m", "pytest", "-q", "test_loop.py", cwd=folder) as tests:
        assert tests.end() == 0, f"{sys.version}: {tests.output}"

"""Programs that end while the threads of a crawl or of a request tell of their end: none of these takes the process with it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

import threefold

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import crawl_rig

STREAM = """
        async for page in crawl.stream(sys.argv[1], per_host=1, delay=30, robots=False):
            print("page", flush=True)"""
REQUESTS = """
        gets = [asyncio.create_task(http.aget(sys.argv[1])) for _ in range(20)]
        await gets[0]
        print("page", flush=True)
        await asyncio.sleep(30)"""
# What runs the tasks, and what they do.
WAYS = {
    "a crawl on asyncio": ("import asyncio", STREAM),
    "a crawl on our loop": ("from threefold import asyncio", STREAM),
    "requests": ("import asyncio", REQUESTS),
}

PROGRAM = """
import sys
from threefold import crawl, http
{loop}

async def main():{work}

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def site() -> Generator[crawl_rig.Site]:
    with crawl_rig.serve() as running:
        yield running


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_a_program_that_is_interrupted_ends_in_order(site: crawl_rig.Site, way: str, full_stress: bool) -> None:
    loop, work = WAYS[way]
    text = PROGRAM.format(loop=loop, work=work)
    environment = os.environ | {"PYTHONPATH": str(Path(threefold.__file__).parents[1])}
    for _ in range(60 if full_stress else 6):
        with contextlib.ExitStack() as stack:
            # Several at a time: the threads are late then.
            children = [stack.enter_context(started(text, site.url, environment)) for _ in range(6)]
            for child in children:
                assert child.stdout is not None
                assert child.stdout.readline() == "page\n"
                child.send_signal(signal.SIGINT)
            ends = [(child.communicate(timeout=60)[0], child.returncode) for child in children]
        assert ends == [("interrupted\n", 0)] * 6


@contextlib.contextmanager
def started(text: str, url: str, environment: dict[str, str]) -> Generator[subprocess.Popen[str]]:
    """Run a program, and leave nothing of it behind."""
    command = [sys.executable, "-c", text, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            yield child
        finally:
            child.kill()

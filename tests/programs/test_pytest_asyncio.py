"""pytest-asyncio's tests on our loop: by its fixture, its hook, `threefold run -m pytest` and `pytest -p threefold`."""

import sys

import pytest
import pytest_asyncio
from program import OURS, Program

TESTS = f'''
import asyncio

import pytest
import pytest_asyncio


def is_ours():
    kind = type(asyncio.get_running_loop())
    return f"{{kind.__module__}}.{{kind.__qualname__}}" == "{OURS}"


@pytest_asyncio.fixture
async def server():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(echo, "localhost", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def queue():
    yield asyncio.Queue()


@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(40))
async def test_the_server_answers(server, number):
    assert is_ours()
    reader, writer = await asyncio.open_connection("localhost", server)
    writer.write(b"%d\\n" % number)
    assert await reader.read() == b"%d\\n" % number
    writer.close()
    await writer.wait_closed()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_loop_may_serve_several_tests(queue):
    assert is_ours()
    queue.put_nowait(asyncio.get_running_loop())


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_the_same_one(queue):
    assert await queue.get() is asyncio.get_running_loop()


@pytest.mark.asyncio
async def test_a_failure_is_one():
    await asyncio.sleep(0)
    assert not is_ours()
'''

# pytest-asyncio's former and its newer way.
POLICY = """
import pytest
import threefold.asyncio


@pytest.fixture(scope="session")
def event_loop_policy():
    return threefold.asyncio.EventLoopPolicy()
"""
FACTORIES = """
import threefold.asyncio


def pytest_asyncio_loop_factories(config, item):
    return {"threefold": threefold.asyncio.EventLoop}
"""

OPTIONS = """
[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings =
  error
  ignore:Overriding the .event_loop_policy.
"""

HAS_FACTORIES = hasattr(pytest_asyncio.plugin, "PytestAsyncioSpecs") and hasattr(
    pytest_asyncio.plugin.PytestAsyncioSpecs, "pytest_asyncio_loop_factories"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test_program.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(OPTIONS)
    return tmp_path


def outcome(way, folder, *arguments):
    options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", *arguments]
    # The other plugins that are installed take most of the time of a start.
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with Program(way, "-m", "pytest", *options, cwd=folder, variables=variables) as tests:
        code = tests.end()
        return code, tests.output


@pytest.mark.parametrize("way", ["run", "plugin", "policy", "factories"])
def test_the_tests_have_our_loop(folder, way):
    arguments = []
    if way == "plugin":
        arguments = ["-p", "threefold.pytest_plugin", "--threefold"]
    elif way == "policy":
        if sys.version_info >= (3, 14):
            pytest.skip("this Python chooses loops without policies")
        (folder / "conftest.py").write_text(POLICY)
    elif way == "factories":
        if not HAS_FACTORIES:
            pytest.skip(f"pytest-asyncio {pytest_asyncio.__version__} has no hook for loop factories")
        (folder / "conftest.py").write_text(FACTORIES)
    code, output = outcome("run" if way == "run" else "chosen", folder, *arguments)
    assert "1 failed, 42 passed" in output, output
    assert code == 1

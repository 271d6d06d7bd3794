"""Starts real clusters on this machine for the tests, and sees to it that nothing of them is left."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from threefold.cluster import open_backend

# The workers of Dask get the path, those of Ray the environment, of the process that starts the cluster.
FOLDER = str(Path(__file__).parent)
sys.path.insert(0, FOLDER)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [FOLDER, os.environ.get("PYTHONPATH")]))
running = importlib.import_module("cluster_running")


@pytest.fixture(scope="session")
def opened():
    """The backends of the session, one for each engine, opened when a test first needs it."""
    before = running.children()
    backends = {}
    yield backends
    for backend in backends.values():
        backend.close()
    running.wait_until(lambda: not running.children() - before)


@pytest.fixture(params=running.ENGINES)
def engine(request):
    """The name of each engine that is installed."""
    running.require(request.param)
    return request.param


@pytest.fixture
def runner(engine, opened):
    """Runs chunks on a cluster of two workers that the session shares."""
    if engine not in opened:
        opened[engine] = open_backend(engine, processes=2)
    return running.Runner(engine, opened[engine])

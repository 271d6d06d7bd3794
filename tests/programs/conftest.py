"""Gives the tests of programs their certificate and, once for all, the database servers that some of them talk to."""

import importlib
import importlib.util
import os
import ssl
import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent)
sys.path[:0] = [FOLDER, str(Path(FOLDER, "apps"))]
servers = importlib.import_module("servers")

NEEDED = "python scripts/develop.py --group build --group test --group programs"


def pytest_ignore_collect(collection_path):
    """Leave out what needs a package that is not here; the gate's own step must have them all."""
    if not collection_path.name.startswith("test_"):
        return None
    missing = servers.missing_packages(collection_path)
    if missing and servers.is_gate():
        raise pytest.UsageError(f"{collection_path.name} needs {', '.join(missing)}: {NEEDED}")
    return True if missing else None


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for this machine, and the contexts of both ends."""
    return servers.Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def redis_server():
    """A Redis that listens on a port and on a path."""
    with servers.Redis() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(certificate):
    """A PostgreSQL that listens on a port, with and without TLS, and on a path."""
    with servers.Postgres(certificate) as server:
        yield server

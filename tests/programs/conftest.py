"""Gives the tests of programs their certificate and, once for all, the database servers that some of them talk to."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent)
sys.path[:0] = [FOLDER, str(Path(FOLDER, "apps"))]
# Where the servers are that other tests use, too.
sys.path.append(str(Path(FOLDER).parent))
servers = importlib.import_module("servers")

INSTALLED_BY = "scripts/develop.py --tools-only --group test --group programs"


class Unable(pytest.Module):
    """A file of tests whose packages are not all here: skipped with that reason, and an error in the gate."""

    def collect(self):
        """Say what is missing."""
        sentence = f"not installed: {', '.join(servers.missing_packages(self.path))}; {INSTALLED_BY} installs it"
        if servers.is_gate():
            raise self.CollectError(sentence)
        pytest.skip(sentence, allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Put a file aside that cannot be imported here."""
    missing = servers.missing_packages(module_path)
    return Unable.from_parent(parent, path=module_path) if missing else None


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

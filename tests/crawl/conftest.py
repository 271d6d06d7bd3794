"""Gives the tests of crawls their sites."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = str(Path(__file__).parent)
sys.path[:0] = [FOLDER]
# Where the servers are that other tests use, too.
sys.path.append(str(Path(FOLDER).parent))
site_server = importlib.import_module("site_server")


@pytest.fixture(scope="session")
def postgresql_manual() -> Iterator[Any]:
    """The manual of PostgreSQL: 1,169 pages, none of them dead."""
    with site_server.Site(
        site_server.package_folder("postgresql-doc-15", "usr/share/doc/postgresql-doc-15/html")
    ) as site:
        yield site


@pytest.fixture(scope="session")
def python_manual() -> Iterator[Any]:
    """The documentation of Python: large pages, many links on each, one of them dead."""
    with site_server.Site(site_server.package_folder("python3.11-doc", "usr/share/doc/python3.11/html")) as site:
        yield site

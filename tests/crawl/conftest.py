"""Gives the tests of crawls their sites."""

from collections.abc import Iterator

import pytest
from site_server import Site, package_folder


@pytest.fixture(scope="session")
def postgresql_manual() -> Iterator[Site]:
    """The manual of PostgreSQL: 1,169 pages, none of them dead."""
    with Site(package_folder("postgresql-doc-15", "usr/share/doc/postgresql-doc-15/html")) as site:
        yield site


@pytest.fixture(scope="session")
def python_manual() -> Iterator[Site]:
    """The documentation of Python: large pages, many links on each, one of them dead."""
    with Site(package_folder("python3.11-doc", "usr/share/doc/python3.11/html")) as site:
        yield site

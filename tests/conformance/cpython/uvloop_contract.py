"""Chooses the tests of uvloop's suite for one of its two contracts: what holds for asyncio, and what holds for uvloop."""

from __future__ import annotations

import unittest
from typing import Any


def belongs(test: unittest.TestCase, package: str) -> bool:
    """Tell whether a test is run for one of the contracts.

    Args:
        test: of a class of uvloop's suite.
        package: `asyncio` or `uvloop`; a test without a binding makes its loops by uvloop's names.
    """
    helpers = _helpers()
    if isinstance(test, helpers.AIOTestCase):
        # The suite goes by the name of the loop's module, which is another one for each loop under test.
        helpers.AIOTestCase.is_asyncio_loop = _yes
        return package == "asyncio"
    return package == "uvloop"


def _helpers() -> Any:
    from uvloop import _testbase  # the stand-in's, or the one of uvloop itself

    return _testbase


def _yes(_: object) -> bool:
    return True

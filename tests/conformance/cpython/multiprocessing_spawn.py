"""CPython's multiprocessing tests for the start method `spawn`, also where the module that binds them to it is missing."""

from __future__ import annotations

from test._test_multiprocessing import install_tests_in_module_dict

install_tests_in_module_dict(globals(), "spawn")

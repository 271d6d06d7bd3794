"""Runs a suite; being a package's `__main__`, it is not imported once more by each child that multiprocessing spawns."""

from __future__ import annotations

import sys

from .runner import main

if __name__ == "__main__":
    main(sys.argv[1])

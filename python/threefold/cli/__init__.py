"""The command line: `threefold run`, `threefold status`, `threefold waits`."""

from threefold.cli.main import main

__all__ = ["main"]

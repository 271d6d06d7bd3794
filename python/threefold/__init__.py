"""Threads, processes and async tasks on one engine written in Rust, behind the standard library's own API.

    from threefold import threading, queue, futures

or, for a program as it is: `threefold run app.py`, or `threefold.install()`.
"""

from threefold._activate import install, is_active, uninstall
from threefold._threefold import Wait, __version__

__all__ = ["Wait", "__version__", "install", "is_active", "uninstall"]

"""How much of a process is in memory."""

import resource
from pathlib import Path


def resident_bytes(process: int | str = "self") -> int:
    """Return how much of a process is in memory: of whatever allocator, Python's or Rust's.

    Args:
        process: its id; this one by default.
    """
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize()

"""What the tests of the event loop measure of their process."""

from pathlib import Path


def descriptor_count() -> int:
    """Return how many descriptors are open, without that of the process's wait table, which its first wait opens for good."""
    return sum(1 for each in Path("/proc/self/fd").iterdir() if not _target(each).endswith(".waits"))


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        # The one by which the folder was read.
        return ""


def resident_kib() -> int:
    """Return how much memory of its own the process has."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))

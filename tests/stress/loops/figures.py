"""What the long runs measure of their process, and what they run on."""

import ctypes
import gc
import importlib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTINGS = """
[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost
basicConstraints = critical, CA:FALSE
"""


def loop_factory(address: str) -> Callable[[], Any]:
    """Return what makes a loop.

    Args:
        address: "module:name".
    """
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def open_descriptors() -> int:
    """Return how many descriptors this process has open, without that of its wait table, which its first wait opens for good."""
    return sum(1 for each in Path("/proc/self/fd").iterdir() if not _target(each).endswith(".waits"))


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        # The one by which the folder was read.
        return ""


def resident_kib() -> int:
    """Return how much memory of its own this process has, after all that can go has gone."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


class Curve:
    """Memory and descriptors in the course of a run."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, int, int]] = []

    def sample(self, part: float) -> None:
        """Take a sample.

        Args:
            part: how much of the run is over, from 0 to 1.
        """
        self.samples.append((part, resident_kib(), open_descriptors()))

    def at(self, part: float) -> tuple[float, int, int]:
        """Return the sample that is nearest to a part of the run: the part, KiB, descriptors."""
        return min(self.samples, key=lambda sample: abs(sample[0] - part))

    def points(self) -> dict[str, str]:
        """Return memory and descriptors at 10 %, 50 % and 100 % of the run."""
        return {f"{part:.0%}": "{1} KiB, {2} descriptors".format(*self.at(part)) for part in (0.1, 0.5, 1.0)}


def certificate_contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for "localhost"; return the context of its server and that of a client who trusts it.

    Args:
        folder: where its files go.

    Raises:
        FileNotFoundError: there is no program `openssl`.
    """
    settings, key, own = (str(folder / name) for name in ("settings", "key.pem", "certificate.pem"))
    Path(settings).write_text(SETTINGS)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-config", settings, "-keyout", key, "-out", own]
    subprocess.run(command, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own, key)
    return server, ssl.create_default_context(cafile=own)

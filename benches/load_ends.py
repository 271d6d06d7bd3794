"""The program that loads servers, and the servers: built, started on a processor of their own, ended."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness import IS_QUICK, UnavailableError

FOLDER = Path(__file__).resolve().parent
TARGET = FOLDER.parent / os.environ.get("CARGO_TARGET_DIR", "target") / "load"
LOAD = TARGET / "release" / "threefold-load"
BUILD_LIMIT_S = 900
CLIENT_LIMIT_S = 40

# An address may end in this: the loop runs with a malloc that takes large blocks from its heap, too.
NO_MMAP = "!no mmap"
NO_MMAP_SETTINGS = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
# The address of the server that does nothing else.
PLAIN = "plain epoll"

CERTIFICATE_SETTINGS = """
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


class LoadError(Exception):
    """The client found fault with the server, or the server has gone; the text says how."""


def build() -> None:
    """Build the program, if it is not there or has changed; without cargo its rows are not available."""
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", str(TARGET)]
    try:
        subprocess.run(command, cwd=FOLDER / "load", check=True, timeout=BUILD_LIMIT_S)
    except (OSError, subprocess.SubprocessError) as reason:
        print(f"the load program cannot be built: {reason}", file=sys.stderr)


def processors() -> tuple[int, int]:
    """Return the processors of the server and of the client.

    Raises:
        UnavailableError: if there is but one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise UnavailableError("server and client need a processor each")
    return allowed[0], allowed[-1]


@contextlib.contextmanager
def serving(peer: str, kind: str, message_bytes: int, pem: Path | None = None) -> Iterator[tuple[int, int]]:
    """Run a server in a process of its own; yields its port and its process's id.

    Args:
        peer: the loop's address, or `PLAIN`.
        kind: of `echo_servers.py`.
        message_bytes: what the client will send at once.
        pem: key and certificate; with them it speaks TLS.

    Raises:
        UnavailableError: if the loop has no such thing, or the load program is not built.
    """
    if not LOAD.exists():
        raise UnavailableError("benches/load is not built")
    for_server, for_client = processors()
    address, _, mode = peer.partition("!")
    if peer == PLAIN:
        command = [str(LOAD), "echo", "udp" if kind == "udp" else "tcp"]
    else:
        script = str(FOLDER / "echo_servers.py")
        command = [sys.executable, script, address, kind, str(message_bytes), *([str(pem)] if pem else [])]
    # Children take over where this process may run.
    os.sched_setaffinity(0, {for_server})
    environment = os.environ | (NO_MMAP_SETTINGS if mode else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        os.sched_setaffinity(0, {for_client})
        try:
            assert server.stdout is not None
            word, _, rest = server.stdout.readline().strip().partition(" ")
            if word == "UNAVAILABLE":
                raise UnavailableError(rest)
            if word != "READY":
                raise LoadError(f"the server did not start: exit code {server.wait()}")
            yield int(rest), server.pid
        finally:
            server.kill()


def exchange(transport: str, port: int, **options: object) -> dict[str, float]:
    """Load a server and return the client's figures by name.

    Args:
        transport: "tcp", "udp" or "tls".
        port: of the server.
        options: what the program calls so.

    Raises:
        LoadError: if a byte was wrong, or a connection got no answer.
    """
    words = [f"{name}={value}" for name, value in options.items() if value is not None]
    command = [str(LOAD), "exchange", transport, str(port), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_LIMIT_S, check=False)
    if done.returncode:
        raise LoadError(done.stderr.strip())
    pairs = (line.split() for line in done.stdout.splitlines())
    return {name: float(value) for name, value in pairs}


def for_a_while() -> dict[str, object]:
    """Return the options for how long to load a server."""
    return {"warm_up_ms": 50, "ms": 100} if IS_QUICK else {"warm_up_ms": 200, "ms": 600}


@contextlib.contextmanager
def holding(port: int, connection_count: int, message_bytes: int) -> Iterator[None]:
    """Hold idle connections meanwhile; each is answered once before and once after.

    Raises:
        LoadError: if one was not, or with other bytes.
    """
    command = [str(LOAD), "hold", str(port), str(connection_count), str(message_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            if holder.stdout.readline().strip() != "HOLDING":
                raise LoadError("the idle connections could not be opened")
            yield
            rest, _errors = holder.communicate(timeout=CLIENT_LIMIT_S)
            if rest.strip() != "ANSWERED":
                raise LoadError("an idle connection was not answered at the end")
        finally:
            holder.kill()


@contextlib.contextmanager
def certificate() -> Iterator[tuple[Path, Path]]:
    """Make a certificate for "localhost", which lasts as long as this; yields the server's file and the client's.

    Raises:
        UnavailableError: without the program `openssl`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings, key, own = (folder / each for each in ("settings", "key.pem", "certificate.pem"))
        settings.write_text(CERTIFICATE_SETTINGS)
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-config", str(settings), "-keyout", str(key), "-out", str(own)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError:
            raise UnavailableError("a certificate needs the program openssl") from None
        both = folder / "both.pem"
        both.write_text(key.read_text() + own.read_text())
        yield both, own


@contextlib.contextmanager
def counting_calls(process: int, counts: dict[str, int]) -> Iterator[None]:
    """Count the system calls of a process and its threads by name.

    Args:
        process: its id.
        counts: where they are put at the end.

    Raises:
        UnavailableError: where there is no strace, or it may not trace.
    """
    with tempfile.NamedTemporaryFile("r") as output:
        command = ["strace", "--follow-forks", "--summary-only", "--output", output.name, "--attach", str(process)]
        try:
            tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise UnavailableError("there is no strace") from None
        with tracer:
            assert tracer.stderr is not None
            first = tracer.stderr.readline()
            if "attached" not in first:
                raise UnavailableError(f"strace: {first.strip()}")
            try:
                yield
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.wait(CLIENT_LIMIT_S)
        # % time, seconds, usecs/call, calls, errors (may be empty), name.
        rows = [line.split() for line in output if re.match(r"\s*\d+[.,]\d+\s", line)]
        counts.update({row[-1]: int(row[3]) for row in rows if row[-1] != "total"})

"""What tests stand on that use other programs: which packages are there, a certificate, a Redis and a PostgreSQL of their own."""

import ast
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

LIMIT_S = 60.0


def is_gate():
    """True where nothing may be skipped."""
    return os.environ.get("CI", "") not in ("", "0", "false")


def missing_packages(path):
    """Return the packages that a file of tests imports and that are not installed."""
    imported = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    roots = {name.partition(".")[0] for name in imported}
    return sorted(root for root in roots if importlib.util.find_spec(root) is None)


def command(name, package, *folders):
    """Return the path of a program, or skip the test; in the gate it fails.

    Args:
        name: the program.
        package: what `apt-get install` installs it by.
        folders: where else to look than in `PATH`.
    """
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))
    if found:
        return found
    sentence = f"the program {name} is not installed: apt-get install {package}"
    if is_gate():
        pytest.fail(sentence)
    pytest.skip(sentence)


class Certificate:
    """A certificate authority's certificate for localhost and 127.0.0.1, in files and as contexts.

    Args:
        folder: where the files go.
    """

    def __init__(self, folder):
        import trustme

        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        self.key = folder / "key.pem"
        self.chain = folder / "chain.pem"
        self.authority = folder / "authority.pem"
        issued.private_key_pem.write_to_path(self.key)
        self.chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        authority.cert_pem.write_to_path(self.authority)
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.load_cert_chain(self.chain, self.key)
        self.client = ssl.create_default_context(cafile=self.authority)


def free_port():
    """Return a port that nobody has at the moment, from below those that the kernel gives to connections."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Server:
    """A database server in a folder of its own, which goes away with it."""

    def __init__(self):
        # In the system's own folder, since the path of a Unix socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="threefold-"))
        self.port = free_port()
        self.process = None

    def start(self, arguments, is_ready, **options):
        """Start the server and wait until it answers.

        Args:
            arguments: its command.
            is_ready: asks it.
            **options: as for `subprocess.Popen`.
        """
        log = self.folder / "log"
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, process_group=0, **options
            )
        end = time.monotonic() + LIMIT_S
        while not is_ready():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < end, f"not ready after {LIMIT_S} s: {log.read_text()}"
            time.sleep(0.02)

    def __exit__(self, *_):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(LIMIT_S)
            finally:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis(Server):
    """A Redis without a file, on `port` and on the Unix socket `path`."""

    def __enter__(self):
        program = command("redis-server", "redis-server")
        self.path = self.folder / "socket"
        options = {"bind": "127.0.0.1", "port": self.port, "unixsocket": self.path, "save": "", "dir": self.folder}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.start([program, *arguments], self.answers)
        return self

    def answers(self):
        """True when it answers on its Unix socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.path))
                probe.sendall(b"PING\r\n")
                return probe.recv(64) == b"+PONG\r\n"
            except OSError:
                return False


class Postgres(Server):
    """A PostgreSQL with a new, empty cluster, on `port` of localhost and on a Unix socket in `folder`.

    Args:
        certificate: the server's, which has TLS then; None for a server without.
    """

    def __init__(self, certificate=None):
        super().__init__()
        self.certificate = certificate

    def __enter__(self):
        self.find = functools.partial(
            self.program, sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
        )
        cluster = self.folder / "cluster"
        tls = {}
        if self.certificate is not None:
            tls = {"ssl": "on", "ssl_key_file": self.folder / "key.pem", "ssl_cert_file": self.folder / "chain.pem"}
            for source, name in ((self.certificate.key, "key.pem"), (self.certificate.chain, "chain.pem")):
                shutil.copy(source, self.folder / name)
                (self.folder / name).chmod(0o600)
        options = {}
        if os.geteuid() == 0:
            # It refuses to run as root.
            owner = next(
                user.pw_name for name in ("postgres", "nobody") for user in pwd.getpwall() if user.pw_name == name
            )
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, owner)
            options = {"user": owner, "group": pwd.getpwnam(owner).pw_gid, "extra_groups": []}
        quick = [
            "--no-sync",
            "--no-instructions",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
        ]
        made = subprocess.run(
            [self.find("initdb"), f"--pgdata={cluster}", *quick],
            capture_output=True,
            text=True,
            cwd=self.folder,
            **options,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        settings = {
            "port": self.port,
            "listen_addresses": "localhost",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            **tls,
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.start([self.find("postgres"), "-D", str(cluster), *arguments], self.answers, cwd=self.folder, **options)
        return self

    @staticmethod
    def program(folders, name):
        """Return the path of one of PostgreSQL's programs, which Debian keeps in folders by version."""
        return command(name, "postgresql", *folders)

    def answers(self):
        """True when it takes connections."""
        asked = [self.find("pg_isready"), "--quiet", f"--host={self.folder}", f"--port={self.port}"]
        return subprocess.run(asked).returncode == 0

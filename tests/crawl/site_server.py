"""Sites for the crawls of the tests: folders that nginx serves on loopback, with a log that tells when each request ran."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from servers import command, free_port

CACHE = Path(os.environ.get("THREEFOLD_TEST_SITES", Path(tempfile.gettempdir(), "threefold-test-sites")))

CONFIGURATION = """\
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit; {user}
events {{ worker_connections 4096; }}
http {{
  types {{ text/html html htm; text/plain txt py c h; text/css css; application/javascript js; image/svg+xml svg;
           application/xml xml; image/png png; }}
  default_type application/octet-stream;
  log_format requests escape=json
    '{{"host": "$host", "path": "$request_uri", "status": $status, "end": $msec, '
    '"seconds": $request_time, "agent": "$http_user_agent"}}';
  access_log {folder}/requests.jsonl requests;
  sendfile on; tcp_nodelay on; keepalive_requests 1000000;
  {temporaries}
  server {{ {addresses} root {root}; {more} }}
}}
"""
TEMPORARIES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Site:
    """A folder that nginx serves on 127.0.0.1.

    Args:
        root: the folder.
        more: more lines of nginx's `server` block.
        hosts: on how many addresses it is served, from 127.0.0.1 on.
    """

    def __init__(self, root: Path, more: str = "", hosts: int = 1) -> None:
        self.root = root
        self.more = more
        self.hosts = [f"127.0.0.{number}" for number in range(1, hosts + 1)]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> "Site":
        self.folder = Path(tempfile.mkdtemp(prefix="threefold-nginx-"))
        configuration = CONFIGURATION.format(
            folder=self.folder,
            addresses="".join(f"listen {host}:{self.port} backlog=1024;" for host in self.hosts),
            root=self.root,
            more=self.more,
            # The worker would be somebody who may not read the tests' folders.
            user="user root;" if os.geteuid() == 0 else "",
            temporaries=" ".join(f"{name}_temp_path {self.folder}/{name};" for name in TEMPORARIES),
        )
        path = self.folder / "nginx.conf"
        path.write_text(configuration)
        nginx = command("nginx", "nginx-light", "/usr/sbin", "/sbin")
        self.process = subprocess.Popen([nginx, "-p", self.folder, "-c", path], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(self.url + "robots.txt", timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    raise RuntimeError(f"nginx did not start: {self.process.stderr.read()!r}") from None
                time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.process.stderr.close()
        shutil.rmtree(self.folder)

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests so far, in the order in which they ended: host, path, status, start and end in seconds."""
        rows = [json.loads(line) for line in (self.folder / "requests.jsonl").read_text().splitlines()]
        for row in rows:
            row["start"] = row["end"] - row.pop("seconds")
        return [row for row in rows if not row["agent"].startswith("Python-urllib")]


def package_folder(package: str, folder: str) -> Path:
    """Return a folder of a Debian package's files, which are fetched and unpacked once.

    Args:
        package: the package's name.
        folder: the folder within it.
    """
    unpacked = CACHE / package
    if not (unpacked / "complete").exists():
        apt, dpkg = command("apt-get", "apt"), command("dpkg-deb", "dpkg")
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        fetch = [apt, "download", "-q", package]
        if subprocess.run(fetch, cwd=unpacked, capture_output=True, timeout=300).returncode != 0:
            # A new machine has no lists of packages yet.
            subprocess.run([apt, "update", "-q"], capture_output=True, timeout=300)
            subprocess.run(fetch, cwd=unpacked, check=True, capture_output=True, timeout=300)
        (archive,) = unpacked.glob("*.deb")
        subprocess.run([dpkg, "-x", archive, unpacked], check=True, timeout=300)
        archive.unlink()
        (unpacked / "complete").touch()
    (found,) = unpacked.glob(folder)
    return found


def tree(folder: Path, count: int) -> Path:
    """Make a site of pages that each lead to two more, to a few earlier ones and to themselves.

    Args:
        folder: where to.
        count: how many pages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        ahead = [child for child in (2 * number + 1, 2 * number + 2) if child < count]
        earlier = {number // 3, number // 7, number}
        anchors = "".join(f'<p><a href="{other}.html">{other}</a></p>' for other in (*ahead, *earlier))
        (folder / f"{number}.html").write_text(f"<!doctype html><title>Page {number}</title><h1>{number}</h1>{anchors}")
    return folder

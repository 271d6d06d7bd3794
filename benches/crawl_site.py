"""The site that crawlers are measured on: pages made from a seed, served by an nginx with a processor of its own."""

import contextlib
import os
import random
import shutil
import string
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from harness import UnavailableError

PAGES = 5_000
PAGE_BYTES = 20 * 1024
LINKS = 18
PORT = 8910
FOLDER = Path(tempfile.gettempdir(), "threefold-bench-sites")

CONFIGURATION = """\
worker_processes 1; worker_cpu_affinity {mask}; daemon off; pid {folder}/nginx.pid; error_log stderr crit; {user}
events {{ worker_connections 4096; }}
http {{
  types {{ text/html html; }} access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 100000000; keepalive_timeout 60; open_file_cache max=40000 inactive=1h; open_file_cache_valid 1h;
  {temporaries}
  server {{ listen 127.0.0.1:{port} backlog=1024; root {root}; }}
}}
"""


def page(number: int, count: int, chance: random.Random, words: list[str]) -> str:
    """Return one page: links to its two children, so that all are reachable, to others, and to some awkward places."""
    children = [child for child in (2 * number + 1, 2 * number + 2) if child < count]
    targets = children + [chance.randrange(count) for _ in range(LINKS)]
    forms = ("./{}.html", "/{}.html", "{}.html")
    anchors = [forms[index % 3].format(target) for index, target in enumerate(targets)]
    anchors += [f"/{targets[0]}.html#top", "#here", "mailto:somebody@example.com", anchors[-1]]
    words_each = PAGE_BYTES // len(anchors) // 7
    parts = [f"<!doctype html><html><head><meta charset=utf-8><title>Page {number}</title></head><body>"]
    for index, anchor in enumerate(anchors):
        text = " ".join(chance.choices(words, k=words_each))
        parts.append(
            f'<div class="part{index % 5}" id="part-{index}"><h2>Part {index}</h2><p>{text}</p>'
            f'<a class="link" href="{anchor}">{words[index]} &amp; more</a></div>'
        )
    return "\n".join([*parts, "</body></html>"])


def generated() -> Path:
    """Return the folder of the site, which is made once."""
    folder = FOLDER / f"tree-{PAGES}"
    if not folder.exists():
        chance = random.Random(1)
        words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(2_000)]
        making = Path(tempfile.mkdtemp(dir=_made(FOLDER)))
        for number in range(PAGES):
            (making / f"{number}.html").write_text(page(number, PAGES, chance, words))
        making.chmod(0o755)
        with contextlib.suppress(OSError):  # another sample was first
            making.rename(folder)
    return folder


def package(name: str, inner: str) -> Path:
    """Return a folder of a Debian package, which is fetched once.

    Args:
        name: the package.
        inner: the folder in it.
    """
    folder = FOLDER / name
    if not folder.exists():
        if shutil.which("apt-get") is None:
            raise UnavailableError("there is no apt-get to fetch the site with")
        making = Path(tempfile.mkdtemp(dir=_made(FOLDER)))
        subprocess.run(["apt-get", "download", "-q", name], cwd=making, check=True, capture_output=True)
        (archive,) = making.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, making], check=True)
        archive.unlink()
        making.chmod(0o755)
        with contextlib.suppress(OSError):
            making.rename(folder)
    return folder / inner


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve a folder, and give its address.

    Args:
        root: the folder.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if nginx is None:
        raise UnavailableError("nginx is not installed")
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "nginx.conf")
        last = os.cpu_count() or 1
        temporaries = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        configuration.write_text(
            CONFIGURATION.format(
                mask="1" + "0" * (last - 1),
                folder=folder,
                user="user root;" if os.geteuid() == 0 else "",
                temporaries=" ".join(f"{name}_temp_path {folder}/{name};" for name in temporaries),
                port=PORT,
                root=root,
            )
        )
        server = subprocess.Popen([nginx, "-p", folder, "-c", configuration])
        try:
            _wait_for(server)
            yield f"http://127.0.0.1:{PORT}/"
        finally:
            server.terminate()
            server.wait()


def _wait_for(server: "subprocess.Popen[bytes]") -> None:
    for _ in range(500):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/robots.txt").close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if server.poll() is not None:
                raise RuntimeError("nginx did not start") from None
            time.sleep(0.01)
        else:
            return
    raise RuntimeError("nginx does not answer")

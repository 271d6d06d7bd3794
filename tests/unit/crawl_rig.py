"""A small web site on this machine, for the tests of the crawler's Python side."""

import contextlib
import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Leaves of the tree of pages have no links to pages.
TREE_SIZE = 40


@dataclass
class Site:
    """A running site.

    Args:
        url: where it begins.
        requests: the paths that were asked for, in order.
    """

    url: str = ""
    requests: list[str] = field(default_factory=list)
    handlers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=dict)

    def at(self, path: str) -> str:
        """The address of a path."""
        return self.url.rstrip("/") + path

    @property
    def pages(self) -> set[str]:
        """The addresses of the tree's pages."""
        return {self.at("/")} | {self.at(f"/{number}.html") for number in range(1, TREE_SIZE)}


def send(handler: http.server.BaseHTTPRequestHandler, body: str | bytes, status: int = 200, **headers: str) -> None:
    """Answer a request."""
    content = body.encode() if isinstance(body, str) else body
    handler.send_response(status)
    names = {"content_type": "text/html; charset=utf-8"} | headers
    for name, value in names.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def tree_page(number: int) -> str:
    """A page of the tree: two links to pages further down."""
    links = [f'<a href="/{child}.html">{child}</a>' for child in (2 * number + 1, 2 * number + 2) if child < TREE_SIZE]
    return f"<html><head><title>Page {number}</title></head><body><h1 id=top>Nº {number}</h1>{''.join(links)}</body></html>"


class Server(http.server.ThreadingHTTPServer):
    """A server whose clients may leave in the middle of an answer."""

    daemon_threads = True
    # Many programs may connect at once; beyond the usual five they are turned away.
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextlib.contextmanager
def serve() -> Iterator[Site]:
    """Serve a tree of pages, and what a test adds to `handlers` by path."""
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            site.requests.append(path)
            number = path.strip("/").removesuffix(".html") or "0"
            if path in site.handlers:
                site.handlers[path](self)
            elif number.isdigit() and int(number) < TREE_SIZE:
                send(self, tree_page(int(number)))
            else:
                send(self, "no such page", 404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            send(self, json.dumps({"method": "POST", "body": body.decode()}), content_type="application/json")

        def log_message(self, *_arguments: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

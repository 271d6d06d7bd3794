"""A small HTTP server that can do everything wrong: what serves the areas of the hostile site, and logs each request."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

HEAD_LIMIT = 64 * 1024
IDLE_S = 60.0


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    host: str
    """The address that it was sent to: 127.0.0.x."""
    port: int
    method: str
    path: str
    """Path and query, as sent."""
    headers: dict[str, str]
    """Names in lower case."""
    count: int
    """How often this path of this host has been asked for, this time included."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def gone(self) -> None:
        """Wait until the other end has closed the connection."""
        while await self.reader.read(1):
            pass

    def url(self, path: str, host: int | None = None) -> str:
        """Return the address of a path of this host or of another."""
        return f"http://{self.host if host is None else f'127.0.0.{host}'}:{self.port}{path}"


@dataclass(frozen=True)
class Reply:
    """One proper answer."""

    body: bytes = b""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    type: str | None = "text/html; charset=utf-8"

    def encode(self, *, with_body: bool = True) -> bytes:
        """Return the answer's bytes."""
        lines = [f"HTTP/1.1 {self.status} Hostile", f"content-length: {len(self.body)}"]
        if self.type is not None:
            lines.append(f"content-type: {self.type}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head + self.body if with_body and self.status != 304 else head


Handler = Callable[[Request], Awaitable[Reply | None]]
"""Answers a request, or writes to the connection itself and returns None, after which it is closed."""


@dataclass(frozen=True)
class Area:
    """A part of the site with one kind of trouble, and what a good crawler makes of it."""

    path: str
    """Where it begins, with a slash at its end."""
    handler: Handler
    trouble: str
    """What is wrong there."""
    pages: frozenset[str] = frozenset()
    """The paths that must be visited and answer 200."""
    never: frozenset[str] = frozenset()
    """The beginnings of paths that must never be asked for."""
    refusals: frozenset[str] = frozenset()
    """The reasons of which at least one refusal must be counted."""
    errors: frozenset[str] = frozenset()
    """The kinds of errors that pages of it may end with; at least one must be counted where it is not empty."""
    failing: frozenset[str] = frozenset()
    """The paths that are asked for and may not end as good pages."""


def page(title: str, links: Iterable[str] = (), more: str = "", head: str = "") -> Reply:
    """Return a page with a title and links."""
    anchors = "".join(f'<a href="{link}">{number}</a>\n' for number, link in enumerate(links))
    start = f"<!doctype html><html><head><title>{title}</title>{head}</head><body><h1>{title}</h1>\n"
    return Reply(f"{start}{more}{anchors}</body></html>".encode())


def redirect(location: str, status: int = 302, **headers: str) -> Reply:
    """Return a redirect."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Reply(b"", status, [("location", location), *fields])


def missing() -> Reply:
    """Return a proper 404."""
    return Reply(b"<title>missing</title>", 404)


class Server:
    """Serves hosts, each on its own loopback address and all on one port.

    Args:
        hosts: the last number of each address, with what answers there.
        log: where each request goes as one JSON line when it has ended.
    """

    def __init__(self, hosts: dict[int, Handler], log: Path) -> None:
        self.hosts = hosts
        self.log_path = log
        self.counts: dict[tuple[str, str], int] = {}
        self.port = 0
        self.log: TextIO

    async def run(self, port_file: Path) -> None:
        """Listen, write the port to the file, and serve until cancelled."""
        self.log = self.log_path.open("a", buffering=1)
        servers: list[asyncio.Server] = []
        for number in self.hosts:
            server = await asyncio.start_server(
                self.connected, f"127.0.0.{number}", self.port, limit=HEAD_LIMIT, backlog=1024
            )
            self.port = server.sockets[0].getsockname()[1]
            servers.append(server)
        new = port_file.with_suffix(".new")
        new.write_text(f"{self.port}\n")
        new.rename(port_file)
        await asyncio.gather(*(server.serve_forever() for server in servers))

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while await self.one_request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            pass
        finally:
            writer.close()

    async def one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; return whether the connection stays open."""
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_S)
        request = self.parse(head, reader, writer)
        await reader.readexactly(int(request.headers.get("content-length", "0")))
        start, status = time.time(), 0
        try:
            reply = await self.hosts[int(request.host.rpartition(".")[2])](request)
            if reply is None:
                return False
            status = reply.status
            writer.write(reply.encode(with_body=request.method != "HEAD"))
            await writer.drain()
            return request.headers.get("connection") != "close"
        finally:
            self.record(request, start, status)

    def parse(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        """Read the head of a request."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        fields = [line.partition(":") for line in lines if line]
        host = writer.get_extra_info("sockname")[0]
        count = self.counts[host, path] = self.counts.get((host, path), 0) + 1
        headers = {name.lower(): value.strip() for name, _, value in fields}
        return Request(host, self.port, method, path, headers, count, reader, writer)

    def record(self, request: Request, start: float, status: int) -> None:
        """Log a request that has ended: `status` is 0 where there was no proper answer."""
        row: dict[str, Any] = {"host": request.host, "path": request.path, "start": start, "end": time.time()}
        row |= {"status": status, "method": request.method, "agent": request.headers.get("user-agent", "")}
        self.log.write(json.dumps(row) + "\n")


def dispatch(areas: Iterable[Area], index: Handler) -> Handler:
    """Return a handler that gives each area the requests for what is below its path."""
    by_name = {area.path.strip("/"): area.handler for area in areas}

    async def handler(request: Request) -> Reply | None:
        name = request.path.lstrip("/").partition("/")[0].partition("?")[0].partition(";")[0]
        return await by_name.get(name, index)(request)

    return handler

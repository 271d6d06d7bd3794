"""Areas that break HTTP: too slow, without end, with lying lengths, with broken framing, with dropped connections."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from .server import Area, Reply, Request, missing, page

HTML = b"content-type: text/html\r\n"
SLOW_S = 0.5

Writes = Callable[[Request], Awaitable[None]]


def raw(*pieces: bytes) -> Writes:
    """Return what writes these pieces and closes the connection."""

    async def write(request: Request) -> None:
        for piece in pieces:
            request.writer.write(piece)
            await request.writer.drain()

    return write


def endless(start: bytes, piece: bytes, pause_s: float = 0.0) -> Writes:
    """Return what writes a start, and then a piece again and again until the other end has had enough."""

    async def write(request: Request) -> None:
        request.writer.write(start)
        while not (request.writer.is_closing() or request.reader.at_eof()):
            request.writer.write(piece)
            await request.writer.drain()
            await asyncio.sleep(pause_s)

    return write


def reset(start: bytes) -> Writes:
    """Return what writes a start and resets the connection."""

    async def write(request: Request) -> None:
        request.writer.write(start)
        await request.writer.drain()
        connection: socket.socket = request.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.writer.transport.abort()

    return write


def area(name: str, trouble: str, real: list[str], raws: Mapping[str, Writes], *errors: str) -> Area:
    """Return an area whose index links to proper pages and to answers that are none.

    Args:
        name: its folder.
        trouble: what is wrong there.
        real: the names of its proper pages.
        raws: its answers that are none, by their names.
        *errors: the kinds of errors that these may end with.
    """
    leaves = {f"/{name}/{leaf}.html" for leaf in real}

    async def handler(request: Request) -> Reply | None:
        if request.path == f"/{name}/":
            return page(name, [*sorted(leaves), *raws])
        if request.path in leaves:
            return page(request.path)
        write = raws.get(request.path.removeprefix(f"/{name}/"))
        if write is None:
            return missing()
        await write(request)
        return None

    failing = frozenset(f"/{name}/{path}" for path in raws)
    pages = frozenset({f"/{name}/", *leaves})
    return Area(f"/{name}/", handler, trouble, pages, errors=frozenset(errors), failing=failing)


def slow(real: list[str]) -> Area:
    """Answers that come a byte at a time, for ever."""
    head = b"HTTP/1.1 200 OK\r\n"
    raws = {
        "status": endless(b"", b"H", SLOW_S),
        "headers": endless(head, b"x-wait: a\r\n", SLOW_S),
        "body": endless(head + HTML + b"content-length: 1000000\r\n\r\n", b"<p>", SLOW_S),
        "chunks": endless(head + HTML + b"transfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n", SLOW_S),
        "silent": Request.gone,
    }
    return area(
        "slow",
        "a byte every half second: of the status, the headers, the body; or none at all",
        real,
        raws,
        "timeout",
        "too_slow",
    )


def no_end(real: list[str]) -> Area:
    """Answers without end, as fast as they are taken."""
    head = b"HTTP/1.1 200 OK\r\n"
    block = b"<p>more</p>" * 6000
    chunk = f"{len(block):x}\r\n".encode() + block + b"\r\n"
    raws = {
        "until-close": endless(head + HTML + b"\r\n", block),
        "chunked": endless(head + HTML + b"transfer-encoding: chunked\r\n\r\n", chunk),
        "declared": endless(head + HTML + b"content-length: 9007199254740991\r\n\r\n", block),
        "headers": endless(head, b"x-more: and more\r\n" * 100),
    }
    return area("endless", "bodies and headers without end", real, raws, "too_large", "protocol")


def length(real: list[str]) -> Area:
    """Content-Length headers that lie. What follows a body that is too long must not be taken for the next answer."""
    poison = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"

    def answer(declared: bytes, body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\n" + HTML + declared + b"\r\n" + body

    raws = {
        "long": raw(answer(b"content-length: 10000\r\n", b"<p>no more than this</p>")),
        "negative": raw(answer(b"content-length: -5\r\n", b"<p>")),
        "words": raw(answer(b"content-length: many\r\n", b"<p>")),
        "two": raw(answer(b"content-length: 3\r\ncontent-length: 30\r\n", b"<p>" * 10)),
        "short": raw(answer(b"content-length: 10\r\n", b"<p>ten</p>" + poison)),
    }
    made = area(
        "length",
        "longer than the body, negative, no number, two of them, shorter than the body",
        real,
        raws,
        "closed",
        "protocol",
    )
    # `short` is cut where it says, which makes it a page.
    failing = made.failing - {"/length/short"}
    return Area(made.path, made.handler, made.trouble, made.pages, errors=made.errors, failing=failing)


def chunks(real: list[str]) -> Area:
    """Chunked bodies that are not."""
    head = b"HTTP/1.1 200 OK\r\n" + HTML + b"transfer-encoding: chunked\r\n\r\n5\r\n<p>a\n\r\n"
    raws = {
        "size": raw(head + b"zz\r\n<p>\r\n0\r\n\r\n"),
        "huge": raw(head + b"fffffffffffffffff\r\n<p>\r\n0\r\n\r\n"),
        "cut": raw(head),
        "between": raw(head + b"5\r\n<p>abMORE\r\n0\r\n\r\n"),
    }
    return area(
        "chunks",
        "sizes that are none, an end that does not come, a chunk longer than it says",
        real,
        raws,
        "closed",
        "protocol",
    )


def dropped(real: list[str]) -> Area:
    """Connections that end too early; one of them only the first time."""
    head = b"HTTP/1.1 200 OK\r\n" + HTML
    raws = {
        "at-once": raw(),
        "reset": reset(b""),
        "in-headers": raw(head),
        "in-body": reset(head + b"content-length: 1000\r\n\r\n<p>"),
    }
    made = area(
        "dropped",
        "connections closed and reset at once, in the headers, in the body; once, or always",
        real,
        raws,
        "closed",
        "protocol",
    )
    flaky = "/dropped/flaky.html"

    async def handler(request: Request) -> Reply | None:
        if request.path == flaky:
            return None if request.count == 1 else page(flaky)
        reply = await made.handler(request)
        if reply is not None and request.path == "/dropped/":
            return page("dropped", [*sorted(made.pages - {"/dropped/"}), *raws, flaky])
        return reply

    return Area(made.path, handler, made.trouble, made.pages | {flaky}, errors=made.errors, failing=made.failing)


def protocol(real: list[str]) -> Area:
    """Answers that are no HTTP, or hardly any."""
    raws = {
        "no-status": raw(b"<html><a href='/protocol/never'>x</a></html>"),
        "words": raw(b"HTTP/1.1 OK 200\r\n\r\n<p>"),
        "number": raw(b"HTTP/1.1 9999 Much\r\ncontent-length: 0\r\n\r\n"),
        "header": raw(b"HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 0\r\n\r\n"),
        "large-header": raw(b"HTTP/1.1 200 OK\r\nx-large: ", *[b"a" * 65536] * 32, b"\r\ncontent-length: 0\r\n\r\n"),
        "random": raw(bytes(range(256)) * 16),
    }
    made = area(
        "protocol",
        "no status line, a status of 9999, a header without colon or of 2 MiB, bytes",
        real,
        raws,
        "protocol",
        "closed",
        "too_large",
    )
    early = "/protocol/early.html"

    async def handler(request: Request) -> Reply | None:
        if request.path == early:
            request.writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")
            return page(early)
        reply = await made.handler(request)
        if reply is not None and request.path == "/protocol/":
            return page("protocol", [*sorted(made.pages - {"/protocol/"}), *raws, early])
        return reply

    never = frozenset({"/protocol/never"})
    # Browsers pass over a line that is no header, and so may a crawler.
    failing = made.failing - {"/protocol/header"}
    return Area(made.path, handler, made.trouble, made.pages | {early}, never, errors=made.errors, failing=failing)


def areas(real: list[str]) -> list[Area]:
    """Return the areas of this file; `real`: the names of the pages that each of them really has."""
    return [make(real) for make in (slow, no_end, length, chunks, dropped, protocol)]

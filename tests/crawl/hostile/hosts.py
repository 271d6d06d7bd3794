"""Hosts that differ in their robots.txt, one address of 127.0.0.x each, and the pages that may be visited on each."""

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass

from .server import Handler, Reply, Request, missing, page, redirect

MAIN, LANDING, FAILING, SILENT, FIVE, SIX, LARGE, DENIED, CUT, LIMITED, BUSY, PAGE_FOR_RULES = range(1, 13)
RULES = b"User-agent: *\nDisallow: /secret.html\n"
LIMIT_BYTES = 500 * 1024

Robots = Callable[[Request], "Reply | None"]


@dataclass(frozen=True)
class Host:
    """One address, and what a good crawler makes of it."""

    robots: Robots
    trouble: str
    pages: frozenset[str]
    """The paths that must be visited and answer 200."""
    never: frozenset[str] = frozenset()
    """The paths that must never be asked for, as they are and not as beginnings."""
    refusal: str | None = None
    """The reason under which its other pages are refused."""


OPEN = frozenset({"/", "/open.html"})
SECRET = frozenset({"/secret.html"})
ALL = OPEN | SECRET


def text(body: bytes) -> Reply:
    """Return a robots.txt."""
    return Reply(body, type="text/plain")


def status(number: int, **headers: str) -> Robots:
    """Return a robots.txt that answers with a status, and with rules that must not count."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda request: Reply(b"User-agent: *\nDisallow: /open.html\n", number, fields, "text/plain")


def chain(length: int) -> Robots:
    """Return a robots.txt that is so many redirects away, the last of which leads to another host."""

    def robots(request: Request) -> Reply:
        name = request.path.removeprefix("/robots").removesuffix(".txt")
        hop = int(name) if name.isdigit() else 0
        return redirect(request.url("/rules.txt", LANDING) if hop == length - 1 else f"/robots{hop + 1}.txt", 301)

    return robots


def large() -> Robots:
    """Return a robots.txt of 700 KiB, with a rule within the first 500 KiB and one behind."""
    filler = b"# " + b"filler " * 10 + b"\n"
    first = RULES + filler * (LIMIT_BYTES // len(filler) + 1)
    body = first + b"Disallow: /open.html\n" + filler * (200 * 1024 // len(filler))
    return lambda request: text(body)


def limited() -> Robots:
    """Return a robots.txt that is there at the second time; the first time the server has too much to do."""

    def robots(request: Request) -> Reply:
        if request.count == 1:
            return Reply(b"", 429, [("retry-after", "1")])
        return text(RULES)

    return robots


HOSTS = {
    LANDING: Host(lambda request: missing(), "robots.txt: 404, so that all is allowed", ALL | {"/landing.html"}),
    FAILING: Host(status(500), "robots.txt: 500, so that nothing is allowed", frozenset(), ALL, "robots_unreachable"),
    SILENT: Host(lambda request: None, "robots.txt: no answer in time", frozenset(), ALL, "robots_unreachable"),
    FIVE: Host(chain(5), "robots.txt: five redirects away; the rules are this host's", OPEN, SECRET, "robots"),
    SIX: Host(chain(6), "robots.txt: six redirects away, which counts as none", ALL),
    LARGE: Host(large(), "robots.txt: 700 KiB; what is behind 500 KiB does not count", OPEN, SECRET, "robots"),
    DENIED: Host(status(403), "robots.txt: 403, which counts as none", ALL),
    CUT: Host(lambda request: None, "robots.txt: the connection is closed", frozenset(), ALL, "robots_unreachable"),
    LIMITED: Host(limited(), "robots.txt: 429 with Retry-After, then rules", OPEN, SECRET, "robots"),
    PAGE_FOR_RULES: Host(
        lambda request: page("Not found"), "robots.txt: a page of HTML with status 200: no rules", ALL
    ),
}


def handler_of(number: int) -> Handler:
    """Return what answers for one of `HOSTS`."""
    host = HOSTS[number]

    async def handler(request: Request) -> Reply | None:
        path = request.path
        if path.startswith("/robots") and path.endswith(".txt"):
            if number == SILENT:
                await request.gone()
            return host.robots(request)
        if path == "/rules.txt" and number == LANDING:
            return text(RULES)
        if path == "/":
            return page(f"Host {number}", ["/open.html", "/secret.html"])
        return page(path) if path in ALL | host.pages else missing()

    return handler


def retry_after(name: str) -> str:
    """Return the Retry-After header of a busy page."""
    if name == "date":
        return email.utils.formatdate(time.time() + 2, usegmt=True)
    return {"seconds": "2", "negative": "-5", "huge": "1000000000", "words": "later"}.get(name, "1")


BUSY_NAMES = ["seconds", "date", "negative", "huge", "words"]


async def busy(request: Request) -> Reply:
    """Answer for the host that says at each page's first request that it has too much to do."""
    name = request.path.strip("/").removesuffix(".html")
    if name == "":
        return page("Busy", [f"/{name}.html" for name in BUSY_NAMES])
    if name not in BUSY_NAMES:
        return missing()
    if request.count == 1:
        return Reply(b"", 503 if name == "date" else 429, [("retry-after", retry_after(name))])
    return page(name)

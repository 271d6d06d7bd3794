"""A site that does to a crawler what sites do to crawlers: `python hostile_site.py PORT_FILE SEED [LOG]`.

It listens on 127.0.0.1 to 127.0.0.12, on one port that it writes into PORT_FILE when it is ready, and writes each request
that has ended as one JSON line (host, path, start, end, status, method, agent; times in seconds since 1970) into LOG, which
is PORT_FILE with `.requests.jsonl` behind it where it is not given. `hostile/README.md` says what is where.

A test that imports this file gets from `expected` what a good crawler makes of the site.
"""

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

from hostile import bodies, hosts, links, redirects, traps, wire
from hostile.server import Area, Reply, Request, Server, dispatch, missing, page

WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "inlet",
    "juniper",
    "kelp",
    "lagoon",
    "maple",
    "north",
    "ocean",
    "pine",
    "quartz",
    "river",
]
PAGES_PER_AREA = 5

ROBOTS = b"""User-agent: *
Disallow: /forbidden/
Allow: /forbidden/open/
Allow: /*.html$
User-agent: another-robot
Disallow: /
"""


def areas(seed: int) -> list[Area]:
    """Return the areas of the main host, each with pages whose names the seed decides."""
    source = random.Random(seed)
    found: list[Area] = []
    for make in (traps.areas, redirects.areas, wire.areas, bodies.areas, links.areas):
        found += make(source.sample(WORDS, PAGES_PER_AREA))
    return found


def seeds(port: int) -> list[str]:
    """Return the addresses where a crawl of all hosts begins."""
    return [f"http://127.0.0.{number}:{port}/" for number in (hosts.MAIN, *hosts.HOSTS, hosts.BUSY)]


def expected(port: int, seed: int) -> dict[str, Any]:
    """Say what a good crawler makes of the site.

    Args:
        port: the site's port.
        seed: the site's seed.

    Returns:
        `pages`: the addresses that must be visited and answer 200 (those of `/session/` under any session). `never`: the
        beginnings of addresses that must not be asked for. `failing`: the addresses that must not count as good pages.
        `refusals`: the reasons that must be counted. `errors`: for each area with errors, the kinds that they may have.
        `titles`: the titles of pages whose charset is hard to find out.
    """
    main = f"http://127.0.0.1:{port}"
    found = areas(seed)
    pages = {f"{main}/"} | {main + path for area in found for path in area.pages}
    never = {main + path for area in found for path in area.never}
    refusals = {reason for area in found for reason in area.refusals}
    for number, host in hosts.HOSTS.items():
        origin = f"http://127.0.0.{number}:{port}"
        pages |= {origin + path for path in host.pages if path != "/landing.html"}
        never |= {origin + path for path in host.never}
        refusals |= {host.refusal} if host.refusal else set()
    pages |= {
        f"http://127.0.0.{hosts.BUSY}:{port}/{name}" for name in ["", *(f"{name}.html" for name in hosts.BUSY_NAMES)]
    }
    return {
        "pages": sorted(pages),
        "never": sorted(never),
        "failing": sorted(main + path for area in found for path in area.failing),
        "refusals": sorted(refusals),
        "errors": {area.path: sorted(area.errors) for area in found if area.errors},
        "titles": {main + path: title for path, title in bodies.TITLES.items()},
    }


def main_host(seed: int) -> Any:
    """Return what answers on 127.0.0.1."""
    found = areas(seed)
    secret = [f"{links.FORBIDDEN}secret.html", f"{links.FORBIDDEN}%73ecret.html"]

    async def index(request: Request) -> Reply:
        match request.path:
            case "/":
                entries = [area.path for area in found if area.path != links.FORBIDDEN]
                opened = next(sorted(area.pages) for area in found if area.path == links.FORBIDDEN)
                return page("The hostile site", [*entries, *opened, *secret])
            case "/robots.txt":
                return Reply(ROBOTS, type="text/plain")
        return missing()

    return dispatch(found, index)


async def serve(port_file: Path, seed: int, log: Path) -> None:
    """Serve all hosts until the process is killed."""
    handlers = {hosts.MAIN: main_host(seed)} | {number: hosts.handler_of(number) for number in hosts.HOSTS}
    await Server(handlers | {hosts.BUSY: hosts.busy}, log).run(port_file)


def main() -> None:
    """Run the command."""
    port_file, seed = Path(sys.argv[1]), int(sys.argv[2])
    log = Path(sys.argv[3]) if len(sys.argv) > 3 else port_file.with_name(port_file.name + ".requests.jsonl")
    try:
        asyncio.run(serve(port_file, seed, log))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()

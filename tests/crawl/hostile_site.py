"""A site that does to a crawler what sites do to crawlers: `python hostile_site.py PORT_FILE SEED [LOG]`.

It listens on 127.0.0.1 to 127.0.0.12, on one port that it writes into PORT_FILE when it is ready, and writes each request
that has ended as one JSON line (host, path, start, end, status, method, agent; times in seconds since 1970) into LOG, which
is PORT_FILE with `.requests.jsonl` behind it where it is not given. `hostile/README.md` says what is where.

A test that imports this file gets from `expected` what a good crawler makes of the site.
"""

import asyncio
import random
import re
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
        addresses that must not be asked for; those that end in a slash stand for all that begins with them, but for the roots
        of hosts. `failing`: the addresses that must not count as good pages. `refusals`: the reasons that must be counted.
        `errors`: for each area with errors, the kinds that they may have (`too_large` may be counted as a refusal). `titles`:
        the titles of pages whose charset is hard to find out.
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


def shortcomings(
    port: int, seed: int, pages: list[dict[str, Any]], requests: list[dict[str, Any]], report: dict[str, Any]
) -> list[str]:
    """Hold a crawl of all hosts against what is expected of a good one.

    Args:
        port: the site's port.
        seed: the site's seed.
        pages: the rows of the crawl's output, with `url`, `status`, `title` and `error`.
        requests: the rows of the site's log.
        report: the crawl's report, with `refusals` and `errors` by kind.

    Returns:
        One sentence for each thing that is wrong.
    """
    wanted = expected(port, seed)
    good = {without_session(row["url"]): row for row in pages if row["status"] == 200 and not row.get("error")}
    asked = {f"http://{row['host']}:{port}{row['path']}" for row in requests}
    roots = set(seeds(port))
    never = [url for url in wanted["never"] if url in roots or not url.endswith("/")]
    folders = tuple(url for url in wanted["never"] if url not in roots and url.endswith("/"))
    kinds = {*report["errors"], *report["refusals"]}
    titles = {url: good[url].get("title") for url in wanted["titles"] if url in good}
    return [
        *(f"{url} was not visited" for url in wanted["pages"] if url not in good),
        *(f"{url} was asked for" for url in sorted(asked) if url in never or url.startswith(folders)),
        *(f"{url} counts as a good page" for url in wanted["failing"] if url in good),
        *(f"no refusal is counted as {reason}" for reason in wanted["refusals"] if not report["refusals"].get(reason)),
        *(
            f"nothing of {area} is counted as an error"
            for area, some in wanted["errors"].items()
            if kinds.isdisjoint(some)
        ),
        *(f"the title of {url} is {title!r}" for url, title in titles.items() if title != wanted["titles"][url]),
        *(f"{path} was asked for again too soon" for path in too_soon(requests)),
    ]


def too_soon(requests: list[dict[str, Any]]) -> list[str]:
    """Give the pages of the busy host that were asked for again before the time that they named."""
    host = f"127.0.0.{hosts.BUSY}"
    found = []
    # A date has whole seconds, the last of which may have begun already.
    for path, least_s in (("/seconds.html", 2.0), ("/date.html", 1.0)):
        first, *later = sorted((row for row in requests if (row["host"], row["path"]) == (host, path)), key=by_start)
        found += [path for row in later[:1] if row["start"] - first["end"] < least_s]
    return found


def by_start(row: dict[str, Any]) -> float:
    """Return when a request of the log started."""
    return float(row["start"])


def without_session(url: str) -> str:
    """Return an address of `/session/` without the session that is in it."""
    return re.sub(r"[?;](PHPSESSID|jsessionid|sid)=\w+$", "", url)


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

"""The options of `threefold crawl`, each declared once: its word, its name in Python, and how its value is read."""

from __future__ import annotations

import argparse
import re
from typing import Any
from urllib.parse import urlsplit

from threefold.cli.usage import Parser

EXIT_FINISHED = 0
EXIT_USAGE = 2
EXIT_NO_SEED = 3
EXIT_STATE = 4
EXIT_STORE = 5
EXIT_BYTES = 14
EXIT_TIME = 15
EXIT_PAGES = 16
EXIT_INTERRUPTED = 130

_EXAMPLES = """\
examples:
  threefold crawl https://example.org/
  threefold crawl https://example.org/docs/ --scope prefix --output pages.jsonl
  threefold crawl https://example.org/ --fields title="h1::text" --fields next="a.next::attr(href)" --output items.csv
  threefold crawl https://example.org/ --pages 1000 --time 10m --delay 1 --per-host 1
  threefold crawl https://example.org/ --resume
  threefold crawl https://example.org/ --frontier postgres://user@host/crawls
  threefold crawl --explain https://example.org/private/

The state is kept in a folder, in one SQLite file: --state, or ./crawl-HOST. A crawl that was stopped, or killed, goes on with
--resume; each item is in the output once. Ctrl-C finishes what is in flight and stops; a second one stops at once.
Times are seconds, or 90s, 10m, 2h; sizes are bytes, or 500k, 20M, 1G.

exit code: 0 finished, 2 a wrong argument, 3 no seed could be fetched, 4 the state can't be used, 5 the state or the output
can't be written (resume it), 14 --bytes reached, 15 --time reached, 16 --pages reached, 130 interrupted
"""


def parser() -> Parser:
    """The parser of the command's words."""
    made = Parser("threefold crawl", "Crawl web sites, politely, and without losing or repeating work.", _EXAMPLES)
    made.add_argument("seeds", metavar="URL", nargs="*", help="where to begin")
    _add_scope(made)
    _add_limits(made)
    _add_politeness(made)
    _add_requests(made)
    _add_results(made)
    return made


def _add_scope(made: Parser) -> None:
    group = made.add_argument_group("which pages")
    group.add_argument(
        "--depth", type=_count, default=argparse.SUPPRESS, metavar="N", help="links from a URL (default: 50)"
    )
    group.add_argument(
        "--scope",
        default=argparse.SUPPRESS,
        metavar="SCOPE",
        help="which links belong to the crawl: host (default), domain, prefix, or regex:PATTERN",
    )
    group.add_argument(
        "--include",
        action="append",
        default=argparse.SUPPRESS,
        metavar="REGEX",
        help="only addresses that match (repeatable)",
    )
    group.add_argument(
        "--exclude",
        action="append",
        default=argparse.SUPPRESS,
        metavar="REGEX",
        help="no addresses that match (repeatable)",
    )
    group.add_argument("--sitemaps", action="store_true", default=argparse.SUPPRESS, help="read the sitemaps, too")
    group.add_argument(
        "--no-follow",
        dest="follow",
        action="store_false",
        default=argparse.SUPPRESS,
        help="follow no links: only the URLs and sitemaps",
    )
    group.add_argument(
        "--allow-private",
        action="store_true",
        default=argparse.SUPPRESS,
        help="links may lead to private addresses, also where no URL is one",
    )
    group.add_argument(
        "--explain",
        metavar="ADDRESS",
        help="say whether an address would be fetched, and why; crawl nothing (without a URL, it is the URL)",
    )


def _add_limits(made: Parser) -> None:
    group = made.add_argument_group("limits")
    group.add_argument("--pages", type=_count, default=argparse.SUPPRESS, metavar="N", help="stop after N pages")
    group.add_argument("--time", type=_seconds, default=argparse.SUPPRESS, metavar="TIME", help="stop after TIME")
    group.add_argument(
        "--bytes", type=_size, default=argparse.SUPPRESS, metavar="SIZE", help="stop after SIZE of bodies"
    )
    group.add_argument(
        "--pages-per-host", type=_count, default=argparse.SUPPRESS, metavar="N", help="at most N pages of one host"
    )
    group.add_argument(
        "--body-bytes",
        type=_size,
        default=argparse.SUPPRESS,
        metavar="SIZE",
        help="refuse larger bodies (default: 16M)",
    )


def _add_politeness(made: Parser) -> None:
    group = made.add_argument_group("politeness")
    group.add_argument(
        "--concurrency", type=_count, default=argparse.SUPPRESS, metavar="N", help="requests at a time (default: 64)"
    )
    group.add_argument(
        "--per-host",
        type=_count,
        default=argparse.SUPPRESS,
        metavar="N",
        help="of them to one host (default: 8; on this machine all)",
    )
    group.add_argument(
        "--delay",
        type=_seconds,
        default=argparse.SUPPRESS,
        metavar="TIME",
        help="between two requests to one host (default: 0)",
    )
    group.add_argument(
        "--rate", type=_number, default=argparse.SUPPRESS, metavar="N", help="requests per second, in all"
    )
    group.add_argument(
        "--robots",
        type=_switch,
        default=argparse.SUPPRESS,
        metavar="on|off",
        help="obey robots.txt (default: on)",
    )
    group.add_argument(
        "--no-throttle",
        dest="throttle",
        action="store_false",
        default=argparse.SUPPRESS,
        help="don't ask slow servers less often",
    )
    group.add_argument(
        "--retries",
        type=_count,
        default=argparse.SUPPRESS,
        metavar="N",
        help="after failures that may pass (default: 2)",
    )


def _add_requests(made: Parser) -> None:
    group = made.add_argument_group("requests")
    add_request_options(group)
    group.add_argument(
        "--resolve",
        action="append",
        default=argparse.SUPPRESS,
        metavar="HOST:ADDRESS",
        help="the address of a host, or of all under *.HOST (repeatable)",
    )


def add_request_options(group: Any) -> None:
    """Add the options that `threefold fetch` has, too.

    Args:
        group: a parser, or a group of one.
    """
    group.add_argument("--user-agent", default=argparse.SUPPRESS, metavar="TEXT", help="the User-Agent header")
    group.add_argument(
        "--header",
        dest="headers",
        type=_header,
        action="append",
        default=argparse.SUPPRESS,
        metavar="NAME:VALUE",
        help="one more header (repeatable)",
    )
    group.add_argument(
        "--cookie",
        dest="cookies",
        action="append",
        default=argparse.SUPPRESS,
        metavar="NAME=VALUE",
        help="a cookie (repeatable)",
    )
    group.add_argument(
        "--proxy",
        action="append",
        default=argparse.SUPPRESS,
        metavar="URL",
        help="http, https or socks5 proxy (repeatable)",
    )
    group.add_argument(
        "--insecure",
        dest="verify_tls",
        action="store_false",
        default=argparse.SUPPRESS,
        help="accept certificates that can't be verified",
    )
    group.add_argument(
        "--timeout",
        dest="request_timeout",
        type=_seconds,
        default=argparse.SUPPRESS,
        metavar="TIME",
        help="for a whole request (default: 60s)",
    )


def _add_results(made: Parser) -> None:
    group = made.add_argument_group("results and state")
    group.add_argument(
        "--output",
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="pages, or their fields: .jsonl, .csv, .sqlite, .parquet, .warc or .warc.gz; - is standard output",
    )
    group.add_argument(
        "--fields",
        type=_field,
        action="append",
        default=argparse.SUPPRESS,
        metavar="NAME=SELECTOR",
        help='a field: title="h1::text", next="a.next::attr(href)" (repeatable)',
    )
    group.add_argument("--state", metavar="FOLDER", help="where the state is kept (default: ./crawl-HOST)")
    group.add_argument("--resume", action="store_true", help="go on with the crawl that is there")
    group.add_argument(
        "--revisit", action="store_true", help="ask again for pages that are done, and take what has changed"
    )
    group.add_argument("--durable", action="store_true", help="survive a power failure, too")
    group.add_argument(
        "--frontier", metavar="PLACE", help="memory, sqlite (default), or postgres://..., which many crawls share"
    )
    group.add_argument("--json-report", metavar="FILE", help="write the report as JSON; - is standard output")
    group.add_argument("--quiet", action="store_true", help="show no progress and no report")


OWN = ("seeds", "explain", "json_report", "quiet")


def options_of(words: argparse.Namespace) -> dict[str, Any]:
    """The crawl's options, as Python's function takes them.

    Args:
        words: what was parsed.
    """
    options = {name: value for name, value in vars(words).items() if name not in OWN}
    frontier = options["frontier"]
    if options["state"] is None and frontier in (None, "sqlite"):
        options["state"] = default_state(words.seeds[0])
    return options


def default_state(seed: str) -> str:
    """The folder that is named after a seed's host.

    Args:
        seed: an address.
    """
    try:
        host = urlsplit(seed).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return "crawl-" + (re.sub(r"[^\w.-]+", "-", host).strip("-.") or "state")


def _count(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise ValueError(word)
    return int(word)


def _number(word: str) -> float:
    return float(word)


def _seconds(word: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", word, re.ASCII)
    if match is None:
        raise ValueError(word)
    return float(match[1]) * {"ms": 0.001, None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _size(word: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgGtT])?(?:i?[bB])?", word, re.ASCII)
    if match is None:
        raise ValueError(word)
    return int(float(match[1]) * 1024 ** " kmgt".index((match[2] or " ").lower()))


def _switch(word: str) -> bool:
    if word not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"must be on or off, not {word!r}")
    return word == "on"


def _header(word: str) -> tuple[str, str]:
    name, colon, value = word.partition(":")
    if not colon or not name.strip():
        raise ValueError(word)
    return name.strip(), value.strip()


def _field(word: str) -> tuple[str, str]:
    name, equals, selector = word.partition("=")
    if not equals or not name.strip() or not selector.strip():
        raise ValueError(word)
    return name.strip(), selector.strip()


def _named(function: Any, name: str) -> Any:
    """Argparse names a function when it says that a value is none of its kind."""
    function.__name__ = name
    return function


_named(_count, "whole number")
_named(_number, "number")
_named(_seconds, "time")
_named(_size, "size")
_named(_header, "NAME:VALUE")
_named(_field, "NAME=SELECTOR")

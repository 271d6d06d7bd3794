"""`threefold fetch URL`: prints one response, as a crawl would get it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from threefold.cli.crawl_arguments import EXIT_INTERRUPTED, add_request_options
from threefold.cli.crawl_display import complain
from threefold.cli.output import show
from threefold.cli.usage import Parser

NO_ANSWER = 1
ERROR_STATUS = 3

_EXAMPLES = """\
examples:
  threefold fetch https://example.org/
  threefold fetch -i https://example.org/
  threefold fetch https://example.org/logo.png --output logo.png
  threefold fetch https://example.org/ --json
  threefold fetch https://example.org/search --data q=word

exit code: 0 fetched, 1 no answer, or the file can't be written, 2 a wrong argument, 3 the status is 400 or more, 130 interrupted
"""


def main(words: list[str]) -> int:
    """Fetch one address and print the answer.

    Args:
        words: the words after `threefold fetch`.

    Returns:
        The exit code; see `--help`.

    Raises:
        SystemExit: after help or a wrong argument.
    """
    parser = _parser()
    parsed = parser.parse_args(words)
    try:
        from threefold._threefold import _fetch_one
        from threefold.crawl import CrawlError
        from threefold.crawl._options import check
    except ImportError as error:
        complain(f"the engine is not built for this Python: {error}", parser.prog)
        return NO_ANSWER
    own = ("url", "include", "head", "method", "data", "no_redirects", "output", "json")
    options = {name: value for name, value in vars(parsed).items() if name not in own}
    try:
        checked = check(parsed.url, {**options, "allow_private": True}, parser.prog)
        method = parsed.method or ("HEAD" if parsed.head else "POST" if parsed.data is not None else "")
        body = b"" if parsed.data is None else parsed.data.encode("utf-8", "surrogateescape")
        headers = [("content-type", "application/x-www-form-urlencoded")] if parsed.data is not None else []
        page = _fetch_one(checked.engine, parsed.url, method, headers, body, not parsed.no_redirects)
    except (TypeError, ValueError) as error:
        parser.error(str(error))
    except CrawlError as error:
        complain(str(error), parser.prog)
        return NO_ANSWER
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return _print(page, parsed, parser.prog)


def _parser() -> Parser:
    parser = Parser("threefold fetch", "Print one response, as a crawl would get it.", _EXAMPLES)
    parser.add_argument("url", metavar="URL", help="what to fetch")
    parser.add_argument("-i", "--include", action="store_true", help="print the status and the headers before the body")
    parser.add_argument("-I", "--head", action="store_true", help="print the status and the headers alone")
    parser.add_argument("--method", metavar="METHOD", help="the request's method (default: GET)")
    parser.add_argument("--data", metavar="TEXT", help="a form to send; the method is POST then")
    parser.add_argument("--no-redirects", action="store_true", help="print a redirect as it is")
    parser.add_argument("--output", metavar="FILE", help="write the body to a file")
    parser.add_argument(
        "--json", action="store_true", help="print all that a crawl knows of the page as one JSON object"
    )
    add_request_options(parser)
    return parser


def _print(page: Any, parsed: argparse.Namespace, command: str) -> int:
    if page.error is not None and page.status == 0:
        complain(page.error, command)
        return NO_ANSWER
    if parsed.json:
        show(json.dumps(_described(page), indent=2))
    elif parsed.include or parsed.head:
        lines = [f"{page.status} {page.final_url}", *(f"{name}: {value}" for name, value in page.headers.pairs()), ""]
        show("\n".join(lines))
    if parsed.output is not None:
        try:
            with open(parsed.output, "wb") as file:
                file.write(page.body)
        except OSError as error:
            complain(f"{parsed.output!r} can't be written: {error.strerror}", command)
            return NO_ANSWER
    elif not parsed.json and not parsed.head:
        _write_body(page.body)
    if page.error is not None:
        complain(page.error, command)
    return ERROR_STATUS if page.status >= 400 else 0


def _described(page: Any) -> dict[str, Any]:
    names = ("url", "final_url", "status", "encoding", "title", "elapsed", "error", "error_kind", "links", "text")
    described = {name: getattr(page, name) for name in names}
    described["headers"] = page.headers.pairs()
    if page.encoding is None:
        described["text"] = None
    return described


def _write_body(body: bytes) -> None:
    try:
        sys.stdout.buffer.write(body)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; what is left must not be an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

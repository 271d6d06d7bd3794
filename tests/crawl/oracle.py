"""Which addresses a crawl of a static site must visit: a walk over its files that shares nothing with the crawler."""

import re
from collections import deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

# Where a link to another page may stand: element and attribute.
PLACES = {"a": "href", "area": "href", "iframe": "src", "frame": "src"}
# Relations of `link` that lead to pages.
RELATIONS = {"next", "prev", "previous", "first", "last", "start", "contents", "index", "up", "chapter", "section", "top",
             "copyright", "author", "help", "glossary", "alternate", "canonical", "home", "parent"}  # fmt: skip
REFRESH = re.compile(r"^\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?['\"]?([^'\"]*)", re.IGNORECASE)


class Links(HTMLParser):
    """Gathers where a page leads to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.base: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        values: dict[str, str] = {}
        for name, value in attributes:
            values.setdefault(name, value or "")
        if tag == "base" and self.base is None and "href" in values:
            self.base = values["href"]
        if "nofollow" in values.get("rel", "").lower().split():
            return
        if tag in PLACES and PLACES[tag] in values:
            self.found.append(values[PLACES[tag]])
        elif tag == "link" and "href" in values and RELATIONS & set(values.get("rel", "").lower().split()):
            self.found.append(values["href"])
        elif (
            tag == "meta"
            and values.get("http-equiv", "").lower() == "refresh"
            and (target := REFRESH.match(values.get("content", "")))
        ):
            self.found.append(target[1])


def links(text: str, url: str) -> list[str]:
    """Return the addresses a page leads to, absolute and without fragments.

    Args:
        text: the page.
        url: its own address.
    """
    parser = Links()
    parser.feed(text)
    parser.close()
    base = urljoin(url, parser.base or "")
    found = []
    for written in parser.found:
        reference = re.sub(r"[\t\n\r]", "", written.strip("\x00\x20\t\n\r\f"))
        address = urldefrag(urljoin(base, reference)).url
        if urlsplit(address).scheme in ("http", "https"):
            found.append(address.replace(" ", "%20"))
    return found


def file_of(root: Path, url: str) -> Path | None:
    """Return the file that a static server gives for an address, None where it has none."""
    path = root / unquote(urlsplit(url).path).lstrip("/")
    if path.is_dir():
        path /= "index.html"
    return path if path.is_file() else None


def walk(root: Path, start: str) -> tuple[set[str], set[str]]:
    """Return the addresses on a site that exist and those that don't, out of all that a crawl comes to.

    Args:
        root: the site's folder.
        start: the address that the crawl begins at.
    """
    host = urlsplit(start).netloc
    seen, queue = {start}, deque([start])
    there, missing = set(), set()
    while queue:
        url = queue.popleft()
        path = file_of(root, url)
        if path is None:
            missing.add(url)
            continue
        there.add(url)
        if path.suffix not in (".html", ".htm"):
            continue
        for link in links(path.read_text(encoding="utf-8", errors="replace"), url):
            if urlsplit(link).netloc == host and link not in seen:
                seen.add(link)
                queue.append(link)
    return there, missing

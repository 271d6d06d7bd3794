"""Functions for `parse` that processes can import."""

import os

from threefold.crawl import Request


def item_of(page):
    """One item."""
    return {"url": page.url, "title": page.title, "links": len(page.css("a")), "process": os.getpid()}


def dies_at_5(page):
    """Ends its process at one page."""
    if page.url.endswith("/5.html"):
        os._exit(3)
    return {"url": page.url}


def raises_at_5(page):
    """Raises at one page."""
    if page.url.endswith("/5.html"):
        raise ValueError("five")
    return {"url": page.url}


def items_of(pages):
    """One item for each page."""
    return [{"url": page.url} for page in pages]


def asks_for_more(page):
    """Requests the page's links itself."""
    yield from (Request(link) for link in page.links)

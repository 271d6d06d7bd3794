"""XPath over a page, by lxml where it is installed."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from threefold._threefold import Page

# A tree costs more than most questions about it.
_trees: WeakKeyDictionary[Page, Any] = WeakKeyDictionary()


def xpath(page: Page, expression: str, variables: dict[str, Any] | None) -> Any:
    """What an XPath expression finds in a page.

    Args:
        page: the page.
        expression: an XPath 1.0 expression.
        variables: what its variables stand for.

    Raises:
        ImportError: lxml is not installed.
        ValueError: it is no XPath expression.
    """
    try:
        from lxml import etree, html
    except ImportError:
        raise ImportError("Page.xpath() needs the package lxml; Page.css() needs nothing", name="lxml") from None
    tree = _trees.get(page)
    if tree is None:
        parser = html.HTMLParser(encoding="utf-8")
        text = page.text.encode("utf-8", "surrogatepass")
        tree = html.document_fromstring(text, parser=parser) if text.strip() else etree.Element("html")
        _trees[page] = tree
    try:
        return tree.xpath(expression, **(variables or {}))
    except etree.XPathError as error:
        raise ValueError(f"{expression!r} is no XPath expression: {error}") from None

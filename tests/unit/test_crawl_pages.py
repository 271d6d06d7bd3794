"""A page as a program gets it, and the loops that get pages."""

import asyncio
import gc
import pickle
import sys
from pathlib import Path

import pytest

from threefold import crawl

sys.path.insert(0, str(Path(__file__).parent))

import crawl_rig

HTML = """<html><head><title> A
 title </title><base href="/deep/"></head><body>
<h1 class="big first" id=top>One &amp; <b>two</b></h1><p>a</p><p data-x="1">b</p><a href="3.html">next</a></body></html>"""


@pytest.fixture
def site():
    with crawl_rig.serve() as running:
        yield running


def only(site, path, **options):
    """The page at a path."""
    (page,) = crawl(site.at(path), follow=False, robots=False, **options)
    return page


def test_a_page_says_what_it_is(site):
    def answer(handler):
        handler.send_response(200)
        for name, value in [("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(HTML)))
        handler.end_headers()
        handler.wfile.write(HTML.encode())

    site.handlers["/page"] = answer
    page = only(site, "/page")
    assert (page.url, page.final_url, page.status, page.ok) == (site.at("/page"), site.at("/page"), 200, True)
    assert page.body == HTML.encode()
    assert page.body is page.body
    assert page.text == HTML
    assert page.title == "A title"
    assert page.links == [site.at("/deep/3.html")]
    assert (page.depth, page.parent, page.error, page.error_kind, page.fields, page.data) == (
        0,
        None,
        None,
        None,
        None,
        None,
    )
    assert 0 < page.elapsed < 60
    assert page.headers["CONTENT-type"] == "text/html"
    assert page.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert page.headers.get("none") is None
    assert "set-COOKIE" in page.headers
    assert 3 not in page.headers
    assert dict(page.headers)["set-cookie"] == "a=1, b=2"
    assert repr(page) == f"<Page 200 {page.url}>"


def test_selectors_find_elements(site):
    site.handlers["/page"] = lambda handler: crawl_rig.send(handler, HTML)
    page = only(site, "/page")
    (head,) = page.css("h1")
    assert (head.name, head.text, head.attributes) == ("h1", "One & two", {"class": "big first", "id": "top"})
    assert head.html == '<h1 class="big first" id="top">One &amp; <b>two</b></h1>'
    assert [element.text for element in head.css("b")] == ["two"]
    assert [element.get("data-x", "none") for element in page.css("p")] == ["none", "1"]
    with pytest.raises(ValueError, match=r"is no CSS selector$"):
        page.css("p[")
    with pytest.raises(ValueError, match=r"an element has as `text`$"):
        page.css("h1::text")


def test_xpath_is_lxmls(site):
    pytest.importorskip("lxml")
    site.handlers["/page"] = lambda handler: crawl_rig.send(handler, HTML)
    page = only(site, "/page")
    assert page.xpath("//p/text()") == ["a", "b"]
    assert page.xpath("//p[@data-x=$x]/text()", x="1") == ["b"]
    with pytest.raises(ValueError, match="is no XPath expression"):
        page.xpath("//p[")


def test_xpath_without_lxml_is_one_sentence(site, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lxml", None)
    with pytest.raises(ImportError, match="needs the package lxml"):
        only(site, "/").xpath("//p")


def test_a_body_may_be_json(site):
    site.handlers["/data"] = lambda handler: crawl_rig.send(handler, '{"a": [1]}', content_type="application/json")
    site.handlers["/odd"] = lambda handler: crawl_rig.send(handler, "{", content_type="application/json")
    assert only(site, "/data").json() == {"a": [1]}
    with pytest.raises(ValueError):
        only(site, "/odd").json()


def test_a_text_is_decoded_as_browsers_do(site):
    body = "<meta charset=shift_jis><title>日本</title>".encode("shift_jis")
    site.handlers["/page"] = lambda handler: crawl_rig.send(handler, body, content_type="text/html")
    page = only(site, "/page")
    assert (page.encoding, page.title) == ("Shift_JIS", "日本")
    assert page.text == body.decode("shift_jis")


def test_a_page_can_be_pickled(site):
    page = only(site, "/")
    again = pickle.loads(pickle.dumps(page))
    for name in (
        "url",
        "final_url",
        "status",
        "body",
        "text",
        "encoding",
        "links",
        "title",
        "depth",
        "parent",
        "elapsed",
    ):
        assert getattr(again, name) == getattr(page, name), name
    assert again.headers == page.headers
    assert again.css("h1")[0].text == "Nº 0"


def test_declared_fields_come_with_the_page(site):
    page = only(site, "/", fields={"head": "h1::text", "next": "a::attr(href)*"})
    assert page.fields == {"head": "Nº 0", "next": ["/1.html", "/2.html"]}


def test_an_address_is_resolved_against_its_page(site):
    page = only(site, "/1.html")
    assert page.join("x#part") == site.at("/x")
    with pytest.raises(ValueError, match="is no address"):
        page.join("http://[")


def test_a_status_is_no_error(site):
    page = only(site, "/none")
    assert (page.status, page.ok, page.error) == (404, False, None)


def test_a_loop_gets_each_page_once(site):
    pages = crawl(site.url)
    assert pages.report is None
    assert sorted(page.url for page in pages) == sorted(site.pages)
    assert pages.report.ending == "finished"
    assert pages.report.pages == len(site.pages)


def test_depth_and_parent_are_known(site):
    found = {page.url: (page.depth, page.parent) for page in crawl(site.url, depth=2)}
    assert len(found) == 7
    assert found[site.at("/5.html")] == (2, site.at("/2.html"))


def test_a_limit_of_pages_is_exact(site):
    pages = crawl(site.url, pages=5)
    assert len(list(pages)) == 5
    assert pages.report.ending == "pages"


def test_leaving_a_loop_ends_the_crawl(site):
    for _page in crawl(site.url, per_host=1, delay=0.05):
        break
    gc.collect()
    count = len(site.requests)
    assert count < len(site.pages)
    assert len(list(crawl(site.url, depth=0))) == 1
    assert len(site.requests) - count <= 3


def test_a_loop_can_go_on_with_the_same_pages(site):
    with crawl(site.url) as pages:
        first = next(pages)
        rest = [page.url for page in pages]
    assert len({first.url, *rest}) == len(rest) + 1 == len(site.pages)


def test_a_loop_may_add_requests(site):
    pages = crawl(site.url, follow=False)
    found = []
    for page in pages:
        found.append((page.url, page.data))
        if len(found) == 1:
            pages.add(crawl.Request("/7.html", data={"a": [1]}), page=page)
            pages.add(site.at("/8.html"))
    assert sorted(found, key=str) == [(site.url, None), (site.at("/7.html"), {"a": [1]}), (site.at("/8.html"), None)]


def test_a_small_buffer_loses_nothing(site):
    assert len(list(crawl(site.url, buffer_bytes=1))) == len(site.pages)


def test_a_stream_gets_each_page_once(site):
    async def main():
        stream = crawl.stream(site.url)
        found = [page.url async for page in stream]
        return found, stream.report

    found, report = asyncio.run(main())
    assert sorted(found) == sorted(site.pages)
    assert report.pages == len(site.pages)


def test_two_streams_share_a_loop(site):
    async def count():
        return len([page async for page in crawl.stream(site.url)])

    async def main():
        return await asyncio.gather(count(), count())

    assert asyncio.run(main()) == [len(site.pages)] * 2


def test_a_stream_that_is_left_ends(site):
    async def main():
        async with crawl.stream(site.url, per_host=1, delay=0.05) as stream:
            async for _page in stream:
                break
            return stream.progress()

    assert asyncio.run(main()).pages < len(site.pages)


def test_a_cancelled_task_leaves_its_stream(site):
    async def main():
        async def read():
            async for _page in crawl.stream(site.url, per_host=1, delay=30, robots=False):
                pass

        task = asyncio.create_task(read())
        while not site.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_nothing_at_the_address_is_no_seed():
    pages = crawl("http://127.0.0.1:9/", retries=0)
    found = list(pages)
    assert pages.report.ending == "no_seed"
    assert not pages.report.ok
    assert all(page.error_kind == "connect" for page in found)

"""The crawler of threefold on a small site that it serves itself: a loop over pages, a function that makes items, a stream."""

import asyncio
import http.server
import threading

from threefold import crawl

# The site: each page and the pages it links to. Nobody wrote "/old".
PAGES = {
    "/": ["/bread", "/butter", "/coffee"],
    "/bread": ["/", "/flour", "/butter"],
    "/butter": ["/milk"],
    "/coffee": ["/milk", "/water", "/old"],
    "/flour": ["/water"],
    "/milk": [],
    "/water": ["/"],
}


class Site(http.server.BaseHTTPRequestHandler):
    """Serves PAGES, so that the crawler needs no network but this machine."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        links = PAGES.get(self.path)
        page = f"<title>{self.path}</title><h1>{self.path.strip('/') or 'home'}</h1>"
        page += "".join(f'<a href="{link}">{link}</a>' for link in links or [])
        self.send_response(404 if links is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *arguments):
        """Keep quiet; the program prints its own report."""


def loop_over_pages(url):
    for page in sorted(crawl(url), key=lambda page: page.url):
        print(page.status, page.title or page.url.removeprefix(url), f"{len(page.links)} links")


def parse(page):
    if page.ok:
        yield {"name": page.css("h1")[0].text, "depth": page.depth}


def make_items(url):
    report = crawl.run(url, parse)
    for item in sorted(report.collected, key=lambda item: item["name"]):
        print(item)


async def count_in_a_task(url):
    return len([page async for page in crawl.stream(url, depth=1)])


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    loop_over_pages(address)
    make_items(address)
    print(asyncio.run(count_in_a_task(address)), "pages at depth 0 and 1")
    server.shutdown()

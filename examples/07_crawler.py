"""A crawler of four threads that visits every page of a small site once."""

import http.server
import queue
import re
import threading
from urllib.parse import urljoin, urlsplit

import requests

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

    def do_GET(self):
        links = PAGES.get(self.path)
        page = "".join(f'<a href="{link}">{link}</a>' for link in links or []).encode()
        self.send_response(404 if links is None else 200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *arguments):
        """Keep quiet; the crawler prints its own report."""


class Crawler:
    """Visits every page that can be reached from a first one."""

    def __init__(self, first):
        self.urls = queue.Queue()  # found, and not yet visited
        self.seen = {first}
        self.seen_lock = threading.Lock()
        self.visited = {}  # url -> (status, or what went wrong; number of links)
        self.urls.put(first)

    def crawl(self, worker_count):
        workers = [threading.Thread(target=self.work) for _ in range(worker_count)]
        for worker in workers:
            worker.start()
        self.urls.join()  # until each url that was put has also been done
        for _ in workers:
            self.urls.put(None)  # one "go home" for each worker
        for worker in workers:
            worker.join()
        return self.visited

    def work(self):
        with requests.Session() as session:  # a session is for one thread
            session.trust_env = False  # straight to this machine, whatever proxy is set
            while (url := self.urls.get()) is not None:
                try:
                    self.visit(session, url)
                except requests.RequestException as error:  # a bad page must not end its worker
                    self.visited[url] = type(error).__name__, 0
                finally:
                    self.urls.task_done()

    def visit(self, session, url):
        answer = session.get(url, timeout=10)
        links = [urljoin(url, link) for link in re.findall(r'href="([^"]+)"', answer.text)]
        self.visited[url] = answer.status_code, len(links)
        with self.seen_lock:  # look and add in one go, or two workers visit the same page
            new = [link for link in dict.fromkeys(links) if link not in self.seen]
            self.seen.update(new)
        for link in new:
            self.urls.put(link)


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    visited = Crawler(f"http://127.0.0.1:{server.server_port}/").crawl(worker_count=4)
    server.shutdown()

for url, (status, link_count) in sorted(visited.items()):
    print(f"{status}  {urlsplit(url).path:<8} {link_count} links")

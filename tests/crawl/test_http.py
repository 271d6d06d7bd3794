"""`threefold.http` against a server of its own: what programs get, in threads, tasks, and forked children."""

import asyncio
import contextlib
import json
import os
import pickle
import signal
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from threefold import Error, http


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        body = self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        if path == "/echo":
            told = {
                "method": self.command,
                "query": query,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode("latin-1"),
            }
            self._answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})
        elif path.startswith("/redirect/"):
            status, _, where = path[len("/redirect/") :].partition("/")
            self._answer(int(status), b"", {"Location": f"/{where}" if where else "/loop"})
        elif path == "/loop":
            self._answer(302, b"", {"Location": "/loop"})
        elif path == "/cookie":
            self._answer(200, b"", {"Set-Cookie": "session=abc; Path=/"})
        elif path == "/latin":
            self._answer(200, "café".encode("latin-1"), {"Content-Type": "text/plain"})
        elif path == "/lines":
            self._answer(200, b"one\ntwo\r\nthree", {"Content-Type": "text/plain; charset=utf-8"})
        elif path == "/teapot":
            self._answer(418, b"short and stout", {}, "Out of tea")
        elif path == "/large":
            self._answer(200, b"x" * 3_000_000, {})
        elif path == "/hang":
            self.server.is_hung.wait(60)
        elif path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        else:
            self._answer(200, b"page", {})

    def _chunked(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def handle_one_request(self):
        # A client that gives up in the middle of its body is one of the tests.
        with contextlib.suppress(ValueError, ConnectionError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _answer(self, status, body, headers, reason=None):
        self.send_response(status, reason)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
    setattr(Handler, f"do_{method}", Handler.do_GET)


@pytest.fixture(scope="module")
def server():
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    served.is_hung = threading.Event()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}"
    served.is_hung.set()
    served.shutdown()
    thread.join()
    served.server_close()


def test_a_response_has_what_requests_responses_have(server):
    response = http.get(f"{server}/teapot?x=1")
    assert (response.status_code, response.reason, response.ok, bool(response)) == (418, "Out of tea", False, False)
    assert response.content == b"short and stout"
    assert response.text == "short and stout"
    assert response.headers["content-LENGTH"] == "15"
    assert "Server" in response.headers
    assert response.url == f"{server}/teapot?x=1"
    assert response.history == []
    assert response.elapsed.total_seconds() > 0
    assert response.request.method == "GET"
    with pytest.raises(http.HTTPError, match="418 Client Error: Out of tea for url") as raised:
        response.raise_for_status()
    assert raised.value.response is response
    assert isinstance(raised.value, (Error, OSError))
    assert pickle.loads(pickle.dumps(response)).content == b"short and stout"


def test_what_a_program_says_is_what_the_server_gets(server):
    said = http.post(
        f"{server}/echo?a=1", params={"b": [2, 3], "none": None}, data={"name": "Zoë", "n": 1}, headers={"X-Own": "1"}
    ).json()
    assert said["query"] == "a=1&b=2&b=3"
    assert said["body"] == "name=Zo%C3%AB&n=1"
    assert said["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert said["headers"]["x-own"] == "1"
    said = http.put(f"{server}/echo", json={"a": [1, None]}).json()
    assert said["body"] == '{"a": [1, null]}'
    assert said["headers"]["content-type"] == "application/json"
    said = http.patch(f"{server}/echo", data=b"\0\xff", auth=("me", "pass")).json()
    assert said["body"] == "\0\xff"
    assert said["headers"]["authorization"] == "Basic bWU6cGFzcw=="
    said = http.delete(f"{server}/echo", auth="token", cookies={"c": "1"}).json()
    assert said["headers"]["authorization"] == "Bearer token"
    assert said["headers"]["cookie"] == "c=1"
    assert said["method"] == "DELETE"
    assert said["headers"]["content-length"] == "0"
    assert "user-agent" not in http.get(f"{server}/echo", headers={"User-Agent": None}).json()["headers"]


def test_files_and_pieces_are_sent(server, tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"in the file")
    with file.open("rb") as opened:
        said = http.post(
            f"{server}/echo", files={"up": opened, "two": ("b.bin", b"\1", "image/x")}, data={"k": "v"}
        ).json()
    assert 'name="up"; filename="a.txt"\r\n\r\nin the file\r\n' in said["body"]
    assert 'filename="b.bin"\r\nContent-Type: image/x\r\n\r\n\1' in said["body"]
    assert 'name="k"\r\n\r\nv' in said["body"]
    said = http.post(f"{server}/echo", data=(piece for piece in (b"one ", b"two"))).json()
    assert said["body"] == "one two"
    assert said["headers"]["transfer-encoding"] == "chunked"


def test_a_body_whose_making_fails_ends_the_request_with_that_error(server):
    def pieces():
        yield b"one"
        raise ZeroDivisionError("in the middle")

    with pytest.raises(ZeroDivisionError, match="in the middle"):
        http.post(f"{server}/echo", data=pieces())


def test_redirects_change_methods_as_requests_does(server):
    response = http.post(f"{server}/redirect/302/echo", data={"a": 1})
    assert response.json()["method"] == "GET"
    assert response.json()["body"] == ""
    assert [step.status_code for step in response.history] == [302]
    assert response.url == f"{server}/echo"
    response = http.post(f"{server}/redirect/307/echo", data={"a": 1})
    assert response.json()["method"] == "POST"
    assert response.json()["body"] == "a=1"
    assert http.get(f"{server}/redirect/301/echo", allow_redirects=False).status_code == 301
    assert http.head(f"{server}/redirect/301/echo").is_permanent_redirect
    with pytest.raises(http.TooManyRedirects):
        http.get(f"{server}/loop")


def test_a_session_keeps_cookies_and_headers(server):
    with http.Session() as session:
        session.headers["X-All"] = "1"
        assert session.get(f"{server}/cookie").cookies["session"] == "abc"
        said = session.get(f"{server}/echo").json()["headers"]
        assert said["cookie"] == "session=abc"
        assert said["x-all"] == "1"
    assert "cookie" not in http.get(f"{server}/echo").json()["headers"]


def test_a_stream_comes_in_pieces_and_lines(server):
    with http.get(f"{server}/large", stream=True) as response:
        sizes = [len(piece) for piece in response.iter_content(1_000_000)]
        assert sizes == [1_000_000] * 3
        with pytest.raises(http.StreamConsumedError):
            _ = response.content
    response = http.get(f"{server}/lines", stream=True)
    assert list(response.iter_lines(chunk_size=4, decode_unicode=True)) == ["one", "two", "three"]
    with http.get(f"{server}/large", stream=True) as response:
        assert len(next(response.iter_content(10))) == 10
    assert http.get(f"{server}/latin").text == "café"
    assert http.get(f"{server}/latin").apparent_encoding == "windows-1252"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:1/", http.ConnectionError),
        ("http://nobody.invalid/", http.ConnectionError),
        ("nowhere", http.MissingSchema),
        ("ftp://a.test/", http.InvalidSchema),
        ("http://", http.InvalidURL),
        ("http://a.test:port/", http.InvalidURL),
        ("http://[::1/", http.InvalidURL),
    ],
)
def test_what_can_not_be_asked_is_an_error_of_its_kind(url, kind):
    with pytest.raises(kind) as raised:
        http.get(url, timeout=30)
    assert isinstance(raised.value, http.RequestException)
    assert str(raised.value)


def test_bad_arguments_are_refused_with_a_sentence(server):
    for timeout in (0, -1, "1", (1, 2, 3), True):
        with pytest.raises(ValueError, match="timeout"):
            http.get(server, timeout=timeout)
    with pytest.raises(http.InvalidHeader):
        http.get(server, headers={"a b": "c"})
    with pytest.raises(http.InvalidHeader):
        http.get(server, headers={"a": "b\r\nc: d"})
    with pytest.raises(http.InvalidHeader):
        http.get(server, headers={"a": 1})
    with pytest.raises(http.JSONDecodeError):
        http.get(f"{server}/teapot").json()
    with pytest.raises(http.InvalidProxyURL):
        http.get(server, proxies={"http": "ftp://a"})
    with pytest.raises(http.RequestException, match=r"nowhere\.pem"):
        http.get("https://127.0.0.1:1/", verify="/nowhere.pem", timeout=5)


def test_silence_and_broken_bodies_are_errors(server):
    with pytest.raises(http.ReadTimeout) as raised:
        http.get(f"{server}/hang", timeout=(30, 0.1))
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.request.url == f"{server}/hang"
    with pytest.raises(http.ChunkedEncodingError, match="9 of the body's 100 bytes"):
        http.get(f"{server}/short")
    response = http.get(f"{server}/short", stream=True)
    with pytest.raises(http.ChunkedEncodingError):
        _ = response.content


def test_threads_and_tasks_share_one_pool(server):
    got = []
    threads = [threading.Thread(target=lambda: got.append(http.get(f"{server}/page").content)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def tasks():
        responses = await asyncio.gather(*(http.aget(f"{server}/page") for _ in range(20)))
        streamed = await http.aget(f"{server}/large", stream=True)
        sizes = [len(piece) async for piece in streamed.aiter_content(1_000_000)]
        said = await http.apost(f"{server}/echo", json=1)
        return [response.content for response in responses], sizes, said.json()["body"]

    assert asyncio.run(tasks()) == ([b"page"] * 20, [1_000_000] * 3, "1")
    assert got == [b"page"] * 10


def test_a_task_that_is_cancelled_leaves_its_request(server):
    async def main():
        task = asyncio.create_task(http.aget(f"{server}/hang"))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled(), (await http.aget(f"{server}/page")).content

    assert asyncio.run(main()) == (True, b"page")


def test_ctrl_c_ends_a_wait_for_an_answer(server):
    started = time.monotonic()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        http.get(f"{server}/hang")
    timer.join()
    assert time.monotonic() - started < 30


def test_a_forked_child_makes_its_own_connections(server):
    session = http.Session()
    assert session.get(f"{server}/page").content == b"page"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(0 if session.get(f"{server}/page").content == b"page" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert session.get(f"{server}/page").content == b"page"

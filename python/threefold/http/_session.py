"""`Session`: what several requests have in common, and the way from a request through its redirects to a response."""

import os
import urllib.request
from collections.abc import Generator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from threefold import _threefold
from threefold.http import _client
from threefold.http._cookies import Cookies
from threefold.http._errors import RequestException, TooManyRedirects, _in_body
from threefold.http._headers import Headers, received
from threefold.http._prepared import PreparedRequest, prepare
from threefold.http._response import Response, encoding_of, phrase

_KEPT_HEADERS = ("Content-Length", "Content-Type", "Transfer-Encoding")

# Waits for each exchange it yields, by a thread or by a task.
_Steps = Generator[_threefold.HttpExchange, None, Response]


class Session:
    """Requests that share headers, cookies, authentication, proxies and limits; their connections all sessions share.

    Attributes:
        headers: sent with every request, unless that sets the same name; a value of None there leaves one out.
        cookies: sent where they belong, and kept from answers.
        auth: (name, password) for Basic, a str for a bearer token, or a function that changes the request.
        params: added to the address of every request.
        proxies: "http", "https" or "scheme://host" to a proxy's address.
        verify: False to trust every server, or a path of certificates to trust.
        cert: the client's certificate: a path, or paths of certificate and key.
        max_redirects: how many are followed.
        trust_env: whether proxies and certificates are taken from the environment.
    """

    def __init__(self) -> None:
        self.headers = Headers(
            {
                "User-Agent": f"threefold/{_threefold.__version__}",
                "Accept-Encoding": "gzip, deflate, br, zstd",
                "Accept": "*/*",
            }
        )
        self.cookies = Cookies()
        self.auth: Any = None
        self.params: Any = None
        self.proxies: dict[str, str] = {}
        self.verify: Any = True
        self.cert: Any = None
        self.max_redirects = 30
        self.trust_env = True

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Send a request and return its response.

        Args:
            method: the method.
            url: the whole address.
            **options: params, data, json, files, headers, cookies, auth, as in `requests`; timeout, seconds or a pair
                (to connect, between two bytes), None for any; allow_redirects; proxies; verify; cert; stream, True to have
                the body come when it is read.

        Raises:
            RequestException: there is no response; its kinds say why.
        """
        steps = self._request(method.upper(), url, **options)
        try:
            exchange = next(steps)
            while True:
                try:
                    exchange.wait()
                except BaseException:
                    exchange.close()
                    raise
                exchange = steps.send(None)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def arequest(self, method: str, url: str, **options: Any) -> Response:
        """What `request` does, for a task: the loop goes on meanwhile."""
        steps = self._request(method.upper(), url, **options)
        try:
            exchange = next(steps)
            while True:
                try:
                    await exchange.wait_async()
                except BaseException:
                    exchange.close()
                    raise
                exchange = steps.send(None)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _request(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        files: Any = None,
        headers: Mapping[str, Any] | None = None,
        cookies: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = True,
        proxies: Mapping[str, str] | None = None,
        verify: Any = None,
        cert: Any = None,
        stream: bool = False,
    ) -> _Steps:
        merged = self.headers.copy()
        merged.update(headers or {})
        jar = self.cookies.copy()
        jar.update(cookies)
        both = (
            [*_pairs(self.params), *_pairs(params)] if self.params and not isinstance(params, (str, bytes)) else params
        )
        auth = self.auth if auth is None else auth
        request = prepare(
            method, url, headers=merged, cookies=jar, params=both, data=data, json=json, files=files, auth=auth
        )
        way = _Way(self, timeout, proxies, verify, cert, stream)
        history: list[Response] = []
        while True:
            response = yield from way.exchange(request)
            response.history = list(history)
            self.cookies.update(response.cookies)
            if not (allow_redirects and response.is_redirect):
                return response
            if len(history) >= self.max_redirects:
                message = f"more than {self.max_redirects} redirects, the last one from {response.url}"
                raise TooManyRedirects(message, response=response)
            response.close()
            history.append(response)
            request = self._next(request, response, cookies)

    def _next(self, request: PreparedRequest, response: Response, cookies: Any) -> PreparedRequest:
        """The request that a redirect asks for."""
        location = str(response.headers["location"]).encode("latin-1").decode("utf-8", errors="replace")
        url = urljoin(request.url, quote(location, safe="!#$%&'()*+,/:;=?@[]~"))
        if not urlsplit(url).fragment and urlsplit(request.url).fragment:
            url += "#" + urlsplit(request.url).fragment
        headers = request.headers.copy()
        headers.pop("Cookie", None)
        method, body = request.method, request.body
        status = response.status_code
        if (status in (302, 303) and method != "HEAD") or (status == 301 and method == "POST"):
            method = "GET"
        if status not in (307, 308):
            body = None
            for name in _KEPT_HEADERS:
                headers.pop(name, None)
        elif body is not None and not isinstance(body, bytes):
            if not hasattr(body, "seek"):
                raise RequestException(f"{response.url} leads elsewhere, and the body can't be sent a second time")
            body.seek(0)
        if _is_elsewhere(request.url, url):
            headers.pop("Authorization", None)
        jar = self.cookies.copy()
        jar.update(cookies if isinstance(cookies, Mapping) and not _is_elsewhere(request.url, url) else None)
        return prepare(method, url, headers=headers, cookies=jar, data=body)

    def get(self, url: str, **options: Any) -> Response:
        """Send a GET; options as of `request`."""
        return self.request("GET", url, **options)

    def options(self, url: str, **options: Any) -> Response:
        """Send an OPTIONS; options as of `request`."""
        return self.request("OPTIONS", url, **options)

    def head(self, url: str, **options: Any) -> Response:
        """Send a HEAD, without following redirects; options as of `request`."""
        options.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **options)

    def post(self, url: str, data: Any = None, json: Any = None, **options: Any) -> Response:
        """Send a POST; options as of `request`."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, **options: Any) -> Response:
        """Send a PUT; options as of `request`."""
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str, data: Any = None, **options: Any) -> Response:
        """Send a PATCH; options as of `request`."""
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: str, **options: Any) -> Response:
        """Send a DELETE; options as of `request`."""
        return self.request("DELETE", url, **options)

    async def aget(self, url: str, **options: Any) -> Response:
        """Send a GET from a task."""
        return await self.arequest("GET", url, **options)

    async def apost(self, url: str, data: Any = None, json: Any = None, **options: Any) -> Response:
        """Send a POST from a task."""
        return await self.arequest("POST", url, data=data, json=json, **options)

    def close(self) -> None:
        """Do nothing: connections belong to the process, and end when they idle."""

    def __enter__(self) -> "Session":
        """Close it in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class _Way:
    """How the requests of one call travel."""

    def __init__(self, session: Session, timeout: Any, proxies: Any, verify: Any, cert: Any, stream: bool) -> None:
        verify = session.verify if verify is None else verify
        if session.trust_env and verify is True:
            verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self._client = _client.client(verify, cert or session.cert)
        self._timeout = _client.times(timeout)
        self._proxies = {**session.proxies, **(proxies or {})}
        self._trust_env = session.trust_env
        self._stream = stream

    def exchange(self, request: PreparedRequest) -> _Steps:
        parts = urlsplit(request.url)
        pairs = _client.header_pairs(request.headers)
        proxy = self._proxy(parts.scheme, parts.hostname or "")
        exchange = _client.begin(
            self._client, request.method, request.url, None, pairs, request.body,
            proxy=proxy, timeout=self._timeout, whole=not self._stream,
        )  # fmt: skip
        yield exchange
        try:
            status, reason, version, received_pairs, _address, seconds = exchange.head()
        except RequestException as error:
            error.request = request
            raise
        response = Response()
        response.status_code, response.version, response.reason = status, version, reason or phrase(status)
        response.headers = received(received_pairs)
        response.encoding = encoding_of(response.headers)
        response.url, response.request, response.elapsed = request.url, request, timedelta(seconds=seconds)
        response.cookies.take(request.url, request.headers, received_pairs)
        if self._stream:
            response._body = _client.Body(exchange)
            return response
        try:
            response._content = exchange.body()
        except RequestException as error:
            error = _in_body(error)
            error.request, error.response = request, response
            raise error from None
        return response

    def _proxy(self, scheme: str, host: str) -> str | None:
        names = (f"{scheme}://{host}", scheme, f"all://{host}", "all")
        if self._proxies:
            for name in names:
                if self._proxies.get(name) and (name == names[0] or not self._bypasses(host)):
                    return str(self._proxies[name])
        if not self._trust_env:
            return None
        for name in (f"{scheme}_proxy", "all_proxy"):
            proxy = os.environ.get(name) or os.environ.get(name.upper())
            if proxy and not self._bypasses(host):
                return proxy
        return None

    def _bypasses(self, host: str) -> bool:
        """Whether the environment's `no_proxy` names the host."""
        return self._trust_env and bool(urllib.request.proxy_bypass(host))


def _pairs(params: Any) -> list[tuple[Any, Any]]:
    if not params:
        return []
    return list(params.items() if isinstance(params, Mapping) else params)


def _is_elsewhere(before: str, after: str) -> bool:
    """Whether a redirect leads to another server, which gets no passwords; from http to https of one host it does not."""
    old, new = urlsplit(before), urlsplit(after)
    if old.hostname != new.hostname:
        return True
    ports = {"http": 80, "https": 443}
    places = (old.scheme, old.port or ports.get(old.scheme)), (new.scheme, new.port or ports.get(new.scheme))
    return places[0] != places[1] and places != (("http", 80), ("https", 443))

"""HTTP for programs, with the functions and responses of `requests`, on the engine's own connections.

    from threefold import http

    http.get("https://example.org/").json()
    response = await http.aget("https://example.org/")

Connections belong to the process: threads, tasks and sessions share them, and a forked child makes its own.
"""

from typing import Any

from threefold.http._cookies import Cookies
from threefold.http._errors import (
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    ContentDecodingError,
    HTTPError,
    InvalidHeader,
    InvalidJSONError,
    InvalidProxyURL,
    InvalidSchema,
    InvalidURL,
    JSONDecodeError,
    MissingSchema,
    ProxyError,
    ReadTimeout,
    RequestException,
    SSLError,
    StreamConsumedError,
    Timeout,
    TooManyRedirects,
)
from threefold.http._headers import Headers
from threefold.http._prepared import PreparedRequest
from threefold.http._response import Response
from threefold.http._session import Session

__all__ = [
    "ChunkedEncodingError",
    "ConnectTimeout",
    "ConnectionError",
    "ContentDecodingError",
    "Cookies",
    "HTTPError",
    "Headers",
    "InvalidHeader",
    "InvalidJSONError",
    "InvalidProxyURL",
    "InvalidSchema",
    "InvalidURL",
    "JSONDecodeError",
    "MissingSchema",
    "PreparedRequest",
    "ProxyError",
    "ReadTimeout",
    "RequestException",
    "Response",
    "SSLError",
    "Session",
    "StreamConsumedError",
    "Timeout",
    "TooManyRedirects",
    "aget",
    "apost",
    "arequest",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]


def request(method: str, url: str, **options: Any) -> Response:
    """Send one request, with cookies of its own; see `Session.request`."""
    return Session().request(method, url, **options)


async def arequest(method: str, url: str, **options: Any) -> Response:
    """Send one request from a task; see `Session.request`."""
    return await Session().arequest(method, url, **options)


def get(url: str, params: Any = None, **options: Any) -> Response:
    """Send a GET; see `Session.request`."""
    return request("GET", url, params=params, **options)


def options(url: str, **options: Any) -> Response:
    """Send an OPTIONS; see `Session.request`."""
    return request("OPTIONS", url, **options)


def head(url: str, **options: Any) -> Response:
    """Send a HEAD, without following redirects; see `Session.request`."""
    return Session().head(url, **options)


def post(url: str, data: Any = None, json: Any = None, **options: Any) -> Response:
    """Send a POST; see `Session.request`."""
    return request("POST", url, data=data, json=json, **options)


def put(url: str, data: Any = None, **options: Any) -> Response:
    """Send a PUT; see `Session.request`."""
    return request("PUT", url, data=data, **options)


def patch(url: str, data: Any = None, **options: Any) -> Response:
    """Send a PATCH; see `Session.request`."""
    return request("PATCH", url, data=data, **options)


def delete(url: str, **options: Any) -> Response:
    """Send a DELETE; see `Session.request`."""
    return request("DELETE", url, **options)


async def aget(url: str, params: Any = None, **options: Any) -> Response:
    """Send a GET from a task; see `Session.request`."""
    return await arequest("GET", url, params=params, **options)


async def apost(url: str, data: Any = None, json: Any = None, **options: Any) -> Response:
    """Send a POST from a task; see `Session.request`."""
    return await arequest("POST", url, data=data, json=json, **options)

"""`HTTPAdapter`: lets programs that use `requests` go through the engine's connections, unchanged but for one line.

    session = requests.Session()
    session.mount("https://", threefold.http.adapters.HTTPAdapter())
"""

import email.message
import io
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import exceptions
from requests.adapters import BaseAdapter
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, prepend_scheme_if_needed, select_proxy
from urllib3 import HTTPResponse
from urllib3.util import Timeout as TimeoutSauce

from threefold.http import _client, _errors
from threefold.http._headers import spelled
from threefold.http._response import phrase

# The connections of urllib3 are asked for these by name; ours have nothing to tune.
_CLASSES: list[tuple[type[_errors.RequestException], type[exceptions.RequestException]]] = [
    (_errors.ConnectTimeout, exceptions.ConnectTimeout),
    (_errors.ReadTimeout, exceptions.ReadTimeout),
    (_errors.ProxyError, exceptions.ProxyError),
    (_errors.SSLError, exceptions.SSLError),
    (_errors.InvalidHeader, exceptions.InvalidHeader),
    (_errors.InvalidProxyURL, exceptions.InvalidProxyURL),
    (_errors.ContentDecodingError, exceptions.ContentDecodingError),
    (_errors.ChunkedEncodingError, exceptions.ChunkedEncodingError),
    (_errors.ConnectionError, exceptions.ConnectionError),
]


class _Raw(io.RawIOBase):
    """The body as a file, for urllib3's response to read and decompress."""

    def __init__(self, exchange: Any) -> None:
        self._body = _client.Body(exchange)

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        data = self._body.read(size)
        if not data and size != 0:
            self.close()
        return data

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)

    def readinto(self, buffer: Any) -> int:
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def isclosed(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self._body.close()
            super().close()


class _Original:
    """What `requests` looks into for cookies."""

    def __init__(self, message: email.message.Message, raw: _Raw) -> None:
        self.msg = message
        self._raw = raw

    def isclosed(self) -> bool:
        return self._raw.closed

    def close(self) -> None:
        self._raw.close()


class HTTPAdapter(BaseAdapter):
    """Sends the requests of a `requests.Session` over the engine's connections, which all sessions share."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a prepared request.

        Args:
            request: the request.
            stream: whether the body is left to be read.
            timeout: seconds, or (to connect, between two bytes).
            verify: whether the server's certificate is checked, or a path of certificates to trust.
            cert: the client's certificate.
            proxies: a proxy's address by scheme or host.

        Raises:
            requests.exceptions.RequestException: there is no response.
        """
        url = str(request.url)
        if not urlsplit(url).hostname:
            raise exceptions.InvalidURL(f"{url!r} names no host", request=request)
        owner = _owner(url, verify, cert)
        exchange = self._begin(owner, request, url, timeout, proxies)
        try:
            exchange.wait()
            head = exchange.head()
        except _errors.RequestException as error:
            raise _translated(error, request) from error
        except BaseException:
            exchange.close()
            raise
        return self._response(request, exchange, head)

    def _begin(self, owner: Any, request: requests.PreparedRequest, url: str, timeout: Any, proxies: Any) -> Any:
        headers = dict(request.headers)
        body = request.body
        if isinstance(body, str):
            body = body.encode()
        try:
            return _client.begin(
                owner, str(request.method), url, request.path_url, _client.header_pairs(headers), body,
                proxy=_proxy(url, proxies), timeout=_times(timeout), decode=False, whole=False,
            )  # fmt: skip
        except _errors.RequestException as error:
            raise _translated(error, request) from error

    def _response(self, request: requests.PreparedRequest, exchange: Any, head: Any) -> requests.Response:
        status, version, pairs, _address, _seconds = head
        message = email.message.Message()
        headers = [(spelled(name), value.decode("latin-1")) for name, value in pairs]
        for name, value in headers:
            message[name] = value
        raw = _Raw(exchange)
        response = requests.Response()
        response.raw = HTTPResponse(
            raw, headers, status, version=version, reason=phrase(status), preload_content=False, decode_content=False,
            original_response=_Original(message, raw), request_method=request.method, request_url=request.url,
        )  # fmt: skip
        response.status_code = status
        response.headers = CaseInsensitiveDict(response.raw.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.reason = response.raw.reason
        response.url = str(request.url)
        extract_cookies_to_jar(response.cookies, request, response.raw)
        response.request = request
        response.connection = self  # type: ignore[attr-defined]
        return response

    def close(self) -> None:
        """Do nothing: the connections belong to the process."""


def _owner(url: str, verify: Any, cert: Any) -> Any:
    if not url.lower().startswith("https"):
        return _client.client()
    # The sentences are those of requests, which programs compare.
    if isinstance(verify, (str, os.PathLike)) and not os.path.exists(verify):
        raise OSError(f"Could not find a suitable TLS CA certificate bundle, invalid path: {verify}")
    files = [cert] if isinstance(cert, (str, os.PathLike)) else list(cert or ())
    for what, path in zip(("certificate", "key"), files, strict=False):
        if not os.path.exists(path):
            raise OSError(f"Could not find the TLS {what} file, invalid path: {path}")
    return _client.client(verify, cert)


def _proxy(url: str, proxies: Mapping[str, str] | None) -> str | None:
    proxy = select_proxy(url, proxies)
    if not proxy:
        return None
    proxy = prepend_scheme_if_needed(proxy, "http")
    if not urlsplit(proxy).hostname:
        raise exceptions.InvalidProxyURL("Please check proxy URL. It is malformed and could be missing the host.")
    return str(proxy)


def _times(timeout: Any) -> tuple[Any, Any]:
    if isinstance(timeout, tuple):
        try:
            connect, read = timeout
        except ValueError:
            raise ValueError(
                f"Invalid timeout {timeout}. Pass a (connect, read) timeout tuple, "
                f"or a single float to set both timeouts to the same value."
            ) from None
        timeout = TimeoutSauce(connect=connect, read=read)
    elif not isinstance(timeout, TimeoutSauce):
        timeout = TimeoutSauce(connect=timeout, read=timeout)
    connect, read = timeout.connect_timeout, timeout.read_timeout
    return tuple(seconds if isinstance(seconds, (int, float)) else None for seconds in (connect, read))


def _translated(error: _errors.RequestException, request: requests.PreparedRequest) -> exceptions.RequestException:
    made = next((theirs for ours, theirs in _CLASSES if isinstance(error, ours)), exceptions.RequestException)
    return made(str(error), request=request)

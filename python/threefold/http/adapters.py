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
from requests.auth import _basic_auth_str
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_auth_from_url, get_encoding_from_headers, prepend_scheme_if_needed, select_proxy
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry
from urllib3.util import Timeout as TimeoutSauce

from threefold.http import _client, _errors
from threefold.http._headers import spelled
from threefold.http._response import phrase

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

    def __init__(self, *_: Any, max_retries: int | Retry = 0, **__: Any) -> None:
        super().__init__()
        if max_retries == 0 and not isinstance(max_retries, Retry):
            self.max_retries = Retry(0, read=False)
        else:
            self.max_retries = Retry.from_int(max_retries)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 (a body is read by whoever wants it)
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a prepared request, again as often as `max_retries` allows.

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
        url, method = str(request.url), str(request.method)
        if not urlsplit(url).hostname:
            raise exceptions.InvalidURL(f"{url!r} names no host", request=request)
        way = (_owner(url, verify, cert), _proxy(url, proxies), _times(timeout))
        retries = self.max_retries
        while True:
            try:
                raw = self._once(request, method, url, *way)
            except _errors.RequestException as error:
                retries = _after_error(retries, method, url, error, request)
                retries.sleep()
                continue
            if not retries.is_retry(method, raw.status, "Retry-After" in raw.headers):
                return self.build_response(request, raw)
            try:
                retries = retries.increment(method, url, response=raw)
            except MaxRetryError as error:
                if retries.raise_on_status:
                    raise exceptions.RetryError(error, request=request) from error
                return self.build_response(request, raw)
            raw.close()
            retries.sleep(raw)

    def _once(
        self, request: requests.PreparedRequest, method: str, url: str, owner: Any, proxy: Any, times: Any
    ) -> HTTPResponse:
        """One answer, in the form of urllib3's."""
        body = request.body
        exchange = _client.begin(
            owner, method, url, request.path_url, _client.header_pairs(dict(request.headers)),
            body.encode() if isinstance(body, str) else body,
            proxy=proxy, timeout=times, decode=False, whole=False,
        )  # fmt: skip
        try:
            exchange.wait()
        except BaseException:
            exchange.close()
            raise
        status, reason, version, pairs, _address, _seconds = exchange.head()
        message = email.message.Message()
        headers = [(spelled(name), value.decode("latin-1")) for name, value in pairs]
        for name, value in headers:
            message[name] = value
        raw = _Raw(exchange)
        original: Any = _Original(message, raw)
        return HTTPResponse(
            raw,
            HTTPHeaderDict(headers),
            status,
            version=version,
            reason=reason or phrase(status),
            preload_content=False,
            decode_content=False,
            original_response=original,
            request_method=method,
            request_url=url,
        )

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Make the response of `requests` of urllib3's.

        Args:
            req: the request.
            resp: urllib3's response.
        """
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = resp
        response.reason = resp.reason
        response.url = str(req.url)
        extract_cookies_to_jar(response.cookies, req, resp)
        response.request = req
        response.connection = self
        return response

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return what is sent to a proxy: its login.

        Args:
            proxy: its address, with name and password.
        """
        name, password = get_auth_from_url(proxy)
        return {"Proxy-Authorization": _basic_auth_str(name, password)} if name else {}

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
    proxy = select_proxy(url, dict(proxies or {}))
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
    limits = [seconds if isinstance(seconds, (int, float)) else None for seconds in (connect, read)]
    return limits[0], limits[1]


def _after_error(retries: Retry, method: str, url: str, error: _errors.RequestException, request: Any) -> Retry:
    """What is left of the retries; raises where none are."""
    cause: Exception = ProtocolError(str(error))
    if isinstance(error, _errors.ConnectTimeout):
        cause = ConnectTimeoutError(str(error))
    elif isinstance(error, _errors.ReadTimeout):
        cause = ReadTimeoutError(None, url, f"Read timed out. ({error})")
    elif isinstance(error, _errors.InvalidHeader):
        raise exceptions.InvalidHeader(error, request=request) from error
    try:
        return retries.increment(method, url, error=cause)
    except (MaxRetryError, ProtocolError, ReadTimeoutError):
        made = next((theirs for ours, theirs in _CLASSES if isinstance(error, ours)), exceptions.RequestException)
        raise made(cause if isinstance(cause, ReadTimeoutError) else error, request=request) from error

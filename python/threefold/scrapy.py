"""`DownloadHandler`: lets a Scrapy project fetch through the engine's connections by its settings alone.

    DOWNLOAD_HANDLERS = {"http": "threefold.scrapy.DownloadHandler", "https": "threefold.scrapy.DownloadHandler"}

For Scrapy 2.13 and later, with the asyncio reactor, which is its default.
"""

import base64
import ipaddress
import logging
import time
from typing import Any
from urllib.parse import quote, urlsplit

import scrapy
from scrapy import Request, exceptions, signals
from scrapy.crawler import Crawler
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes
from scrapy.utils.defer import deferred_from_coro

from threefold.http import _client, _errors
from threefold.http._headers import spelled

logger = logging.getLogger(__name__)

# Until Scrapy 2.13 a handler is given the spider, too, and returns a Deferred.
_WANTS_COROUTINES = scrapy.version_info >= (2, 14)

# The sentences are Scrapy's, which projects look for in their logs.
_SIZE_MESSAGE = "%s %d bytes which is larger than download %s size (%d) in request %s."
_LOSS_MESSAGE = (
    "Got data loss in %s. If you want to process broken responses set the setting DOWNLOAD_FAIL_ON_DATALOSS = False"
    " -- This message won't be shown in further requests"
)


def _class(name: str, module: str, older: str) -> type[BaseException]:
    """An exception that Scrapy has of its own in newer versions, and takes from Twisted in older ones."""
    found = getattr(exceptions, name, None)
    if found is None:
        found = getattr(__import__(module, fromlist=[older]), older)
    return found  # type: ignore[no-any-return]


_TIMEOUT = _class("DownloadTimeoutError", "twisted.internet.error", "TimeoutError")
_REFUSED = _class("DownloadConnectionRefusedError", "twisted.internet.error", "ConnectionRefusedError")
_UNRESOLVED = _class("CannotResolveHostError", "twisted.internet.error", "DNSLookupError")
_FAILED = _class("DownloadFailedError", "twisted.internet.error", "ConnectionLost")
_CANCELLED = _class("DownloadCancelledError", "twisted.internet.defer", "CancelledError")
_DATA_LOSS = _class("ResponseDataLossError", "twisted.internet.error", "ConnectionLost")

_UNSUPPORTED = _class("UnsupportedURLSchemeError", "scrapy.exceptions", "NotSupported")

_CLASSES = {"dns": _UNRESOLVED, "connect": _REFUSED, "timeout": _TIMEOUT, "too_slow": _TIMEOUT}


class DownloadHandler:
    """Fetches the requests of a crawler.

    Args:
        crawler: the crawler whose settings count: DOWNLOAD_TIMEOUT, DOWNLOAD_MAXSIZE, DOWNLOAD_WARNSIZE,
            DOWNLOAD_FAIL_ON_DATALOSS, DOWNLOAD_VERIFY_CERTIFICATES; DOWNLOAD_BIND_ADDRESS is refused.

    Raises:
        scrapy.exceptions.NotConfigured: a setting can't be followed.
    """

    lazy = False

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        if settings.get("DOWNLOAD_BIND_ADDRESS"):
            raise exceptions.NotConfigured("threefold.scrapy.DownloadHandler can't bind to a local address")
        self.crawler = crawler
        self._max_size = settings.getint("DOWNLOAD_MAXSIZE")
        self._warn_size = settings.getint("DOWNLOAD_WARNSIZE")
        self._timeout = settings.getfloat("DOWNLOAD_TIMEOUT")
        self._fails_on_loss = settings.getbool("DOWNLOAD_FAIL_ON_DATALOSS")
        self._login_encoding = settings.get("HTTPPROXY_AUTH_ENCODING")
        self._has_warned_of_loss = False
        self._owner = _client.client(settings.getbool("DOWNLOAD_VERIFY_CERTIFICATES"))

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "DownloadHandler":
        """Make the handler of a crawler."""
        return cls(crawler)

    async def download_request(self, request: Request) -> Response:
        """Fetch.

        Args:
            request: the request, with download_timeout, download_maxsize, download_warnsize,
                download_fail_on_dataloss and proxy in its `meta`.

        Raises:
            scrapy.exceptions.NotSupported: its `meta` has a bindaddress.
        """
        if request.meta.get("bindaddress"):
            message = (
                f"{request}: threefold.scrapy.DownloadHandler can't bind to a local address (meta key 'bindaddress')"
            )
            raise exceptions.NotSupported(message)
        timeout = float(request.meta.get("download_timeout") or self._timeout)
        headers = [
            (name.decode("latin-1"), value)
            for name, values in request.headers.items()
            for value in values or ()
            if name.lower() != b"proxy-authorization"
        ]
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(request.body)).encode()))
        started = time.monotonic()
        target = (
            request.url.split("#")[0].partition("://")[2].partition("/")[2]
            if request.meta.get("verbatim_url")
            else None
        )
        exchange = None
        try:
            exchange = self._owner.send(
                request.method, request.url, f"/{target}" if target is not None else None, headers, request.body or None,
                self._proxy(request), (timeout, None, timeout or None), False, False,
            )  # fmt: skip
            await exchange.wait_async()
            head = exchange.head()
            request.meta["download_latency"] = time.monotonic() - started
            return await self._read(request, exchange, head)
        except _errors.RequestException as error:
            raise _translated(error) from error
        finally:
            if exchange is not None:
                exchange.close()

    async def close(self) -> None:
        """Do nothing: the connections belong to the process."""

    async def _read(self, request: Request, exchange: Any, head: Any) -> Response:
        status, _reason, version, pairs, address, _seconds = head
        headers = Headers()
        for name, value in pairs:
            headers.appendlist(spelled(name), value)
        made = _Made(request, status, headers, address, version)
        length = _length(headers)
        maximum = request.meta.get("download_maxsize", self._max_size)
        warned = request.meta.get("download_warnsize", self._warn_size)
        if maximum and length and length > maximum:
            self._too_large("Expected to receive", length, maximum, request)
        has_warned = bool(warned and length and length > warned)
        if has_warned:
            logger.warning(_SIZE_MESSAGE, "Expected to receive", length, "warn", warned, request)
        stop = self._signal(signals.headers_received, request, headers=headers, body_length=length)
        if stop is not None:
            return made.stopped(b"", stop)
        body = bytearray()
        pieces = _client.Body(exchange)
        try:
            while piece := await pieces.piece_async():
                body += piece
                stop = self._signal(signals.bytes_received, request, data=piece)
                if stop is not None:
                    return made.stopped(bytes(body), stop)
                if maximum and len(body) > maximum:
                    self._too_large("Received", len(body), maximum, request)
                if warned and len(body) > warned and not has_warned:
                    has_warned = True
                    logger.warning(_SIZE_MESSAGE, "Received", len(body), "warn", warned, request)
        except _errors.ChunkedEncodingError as error:
            if request.meta.get("download_fail_on_dataloss", self._fails_on_loss):
                if not self._has_warned_of_loss:
                    self._has_warned_of_loss = True
                    logger.warning(_LOSS_MESSAGE, request.url)
                raise _DATA_LOSS(str(error)) from error
            return made.response(bytes(body), ["dataloss"])
        return made.response(bytes(body))

    def _signal(self, signal: Any, request: Request, **what: Any) -> Any:
        """Tell who listens; returns the StopDownload that one of them raised."""
        results = self.crawler.signals.send_catch_log(signal, request=request, spider=self.crawler.spider, **what)
        for _handler, result in results:
            stop = getattr(result, "value", None)
            if isinstance(stop, exceptions.StopDownload):
                return stop
        return None

    def _too_large(self, what: str, size: int, allowed: int, request: Request) -> None:
        message = _SIZE_MESSAGE % (what, size, "max", allowed, request)
        logger.warning(message)
        raise _CANCELLED(message)

    def _proxy(self, request: Request) -> str | None:
        """The proxy with its login, which Scrapy's middleware puts into a header."""
        proxy = request.meta.get("proxy")
        if not proxy:
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        header = request.headers.get(b"Proxy-Authorization")
        if not header:
            return str(proxy)
        kind, _, token = header.decode("ascii").partition(" ")
        if kind != "Basic":
            raise ValueError(f"Expected Basic auth in Proxy-Authorization, got {kind}")
        name, _, password = base64.b64decode(token).decode(self._login_encoding).partition(":")
        parts = urlsplit(proxy)
        return parts._replace(netloc=f"{quote(name)}:{quote(password)}@{parts.netloc}").geturl()


class _Made:
    """What a response is made of, its body left out."""

    def __init__(self, request: Request, status: int, headers: Headers, address: str, version: int) -> None:
        self._request = request
        self._status = status
        self._headers = headers
        self._address = ipaddress.ip_address(urlsplit(f"//{address}").hostname or "")
        self._protocol = {10: "HTTP/1.0", 20: "HTTP/2"}.get(version, "HTTP/1.1")

    def response(self, body: bytes, flags: list[str] | None = None) -> Response:
        made = responsetypes.from_args(headers=self._headers, url=self._request.url, body=body)
        return made(
            url=self._request.url, status=self._status, headers=self._headers, body=body, flags=flags,
            ip_address=self._address, protocol=self._protocol,
        )  # fmt: skip

    def stopped(self, body: bytes, stop: exceptions.StopDownload) -> Response:
        response = self.response(body, ["download_stopped"])
        if stop.fail:
            stop.response = response
            raise stop
        return response


def _length(headers: Headers) -> int | None:
    length = headers.get(b"Content-Length")
    return int(length) if length and length.isdigit() else None


def _translated(error: _errors.RequestException) -> BaseException:
    if "is not HTTP" in str(error):
        return _UNSUPPORTED(str(error))
    return _CLASSES.get(getattr(error, "kind", ""), _FAILED)(str(error))


class _OlderDownloadHandler(DownloadHandler):
    """The same for Scrapy 2.13."""

    def download_request(self, request: Request, _spider: Any) -> Any:  # type: ignore[override]
        """Fetch; returns a Deferred."""
        return deferred_from_coro(super().download_request(request))

    def close(self) -> None:  # type: ignore[override]
        """Do nothing."""


if not _WANTS_COROUTINES:
    DownloadHandler = _OlderDownloadHandler  # type: ignore[misc]

"""The exceptions of `threefold.http`: named and shaped as those of `requests`, and each of the nearest builtin."""

import builtins
import json
from typing import Any

from threefold._errors import Error


class RequestException(Error, OSError):
    """A request has no answer, or none that can be used.

    Attributes:
        request: the request that was sent, or None.
        response: what came, or None.
    """

    def __init__(self, *arguments: object, request: Any = None, response: Any = None) -> None:
        super().__init__(*arguments)
        self.response = response
        self.request = request if request is not None else getattr(response, "request", None)


class HTTPError(RequestException):
    """The status says that something went wrong; raised by `raise_for_status`."""


class ConnectionError(RequestException, builtins.ConnectionError):
    """There is no connection, or it broke."""


class ProxyError(ConnectionError):
    """The proxy can't be reached, or did not connect."""


class SSLError(ConnectionError):
    """The server can't be trusted, or speaks no TLS."""


class Timeout(RequestException, TimeoutError):
    """The time is up."""


class ConnectTimeout(ConnectionError, Timeout):
    """The time is up, and there is no connection yet; the request may be repeated."""


class ReadTimeout(Timeout):
    """The server sent nothing for too long."""


class TooManyRedirects(RequestException):
    """More redirects than the session follows."""


class MissingSchema(RequestException, ValueError):
    """The address has no `http://`."""


class InvalidSchema(RequestException, ValueError):
    """The address is neither of http nor of https."""


class InvalidURL(RequestException, ValueError):
    """The address is none."""


class InvalidProxyURL(InvalidURL):
    """The proxy's address is none."""


class InvalidHeader(RequestException, ValueError):
    """A header can't be sent, or not be understood."""


class ChunkedEncodingError(RequestException):
    """The body broke off."""


class ContentDecodingError(RequestException):
    """The body can't be decompressed."""


class StreamConsumedError(RequestException, TypeError):
    """The body was read already."""


class InvalidJSONError(RequestException):
    """What was given is no JSON."""


class JSONDecodeError(InvalidJSONError, json.JSONDecodeError):
    """The body is no JSON."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        json.JSONDecodeError.__init__(self, *arguments)
        InvalidJSONError.__init__(self, *self.args, **keywords)

    def __reduce__(self) -> Any:
        """Rebuild from the text and the place in it."""
        return json.JSONDecodeError.__reduce__(self)


_CLASSES: dict[str, type[RequestException]] = {
    "dns": ConnectionError,
    "connect": ConnectionError,
    "tls": SSLError,
    "timeout": ReadTimeout,
    "too_slow": ReadTimeout,
    "too_large": RequestException,
    "decompression": ContentDecodingError,
    "protocol": ConnectionError,
    "closed": ConnectionError,
    "private_address": ConnectionError,
    "request": RequestException,
}


def _of_kind(kind: str, message: str, before_connection: bool) -> RequestException:
    """The exception for an error of the engine."""
    made = _CLASSES[kind]
    if kind == "timeout" and before_connection:
        made = ConnectTimeout
    elif kind == "connect" and "the proxy " in message:
        made = ProxyError
    elif kind == "protocol" and "content-length" in message:
        made = InvalidHeader
    elif kind == "request":
        if "header" in message:
            made = InvalidHeader
        elif "is no proxy" in message:
            made = InvalidProxyURL
    error = made(message)
    error.kind = kind  # type: ignore[attr-defined]
    return error


def _in_body(error: RequestException) -> RequestException:
    """The same error, where the head of the answer was there already."""
    if getattr(error, "kind", None) in ("closed", "protocol"):
        return ChunkedEncodingError(*error.args)
    return error

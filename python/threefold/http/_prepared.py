"""From what a program says to what is sent: the address with its parameters, headers, the body and its type."""

import base64
import json as json_module
import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from threefold.http._cookies import Cookies
from threefold.http._errors import InvalidHeader, InvalidJSONError, InvalidSchema, InvalidURL, MissingSchema
from threefold.http._headers import Headers

# What may stand in an address as it is: reserved and unreserved characters, and what is escaped already.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


class PreparedRequest:
    """A request as it is sent.

    Attributes:
        method: the method, in upper case.
        url: the whole address.
        headers: the headers.
        body: bytes, an iterable of bytes, or None.
    """

    def __init__(self, method: str, url: str, headers: Headers, body: Any) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<PreparedRequest [{self.method}]>"


def prepare(
    method: str,
    url: str,
    *,
    headers: Headers,
    cookies: Cookies,
    params: Any = None,
    data: Any = None,
    json: Any = None,
    files: Any = None,
    auth: Any = None,
) -> PreparedRequest:
    """Make a request of its parts."""
    url = _with_params(_checked(url), params)
    body, content_type = _body(data, json, files)
    given: Mapping[str, Any] = headers
    headers = Headers({name: value for name, value in given.items() if value is not None})
    for name, value in headers.items():
        if not isinstance(value, (str, bytes)):
            raise InvalidHeader(f"the value of the header {name} must be str or bytes, not {type(value).__name__}")
    if content_type:
        headers.setdefault("Content-Type", content_type)
    if body is None and method not in ("GET", "HEAD", "OPTIONS"):
        headers.setdefault("Content-Length", "0")
    request = PreparedRequest(method, url, headers, body)
    _authorize(request, auth)
    if "Cookie" not in headers and (cookie := cookies.header(url, headers)):
        headers["Cookie"] = cookie
    return request


def _checked(given: Any) -> str:
    url = (given.decode("utf-8") if isinstance(given, bytes) else str(given)).lstrip()
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InvalidURL(f"{url!r} is no address: {error}") from None
    if not parts.scheme:
        raise MissingSchema(f"{url!r} is no whole address: no scheme supplied; perhaps https://{url}?")
    if parts.scheme.lower() not in ("http", "https"):
        raise InvalidSchema(f"{url!r} can't be asked for: {parts.scheme} is not HTTP")
    if not has_host or (parts.hostname or "").startswith(("*", ".")):
        raise InvalidURL(f"{url!r} is no address: it names no host")
    return quote(urlunsplit(parts), safe=_SAFE)


def _with_params(url: str, params: Any) -> str:
    if not params:
        return url
    if isinstance(params, (str, bytes)):
        encoded = params.decode() if isinstance(params, bytes) else quote(params, safe=_SAFE)
    else:
        encoded = urlencode(_pairs(params))
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, encoded) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, parts.fragment))


def _pairs(data: Any) -> list[tuple[Any, Any]]:
    """Names and values; a list as a value stands for several pairs, and None for no pair."""
    pairs = []
    for name, given in data.items() if isinstance(data, Mapping) else data:
        values = [given] if isinstance(given, (str, bytes)) or not isinstance(given, Iterable) else given
        pairs += [(name, value) for value in values if value is not None]
    return pairs


def _body(data: Any, json: Any, files: Any) -> tuple[Any, str | None]:
    if files:
        return _multipart(data, files)
    if not data and json is not None:
        try:
            return json_module.dumps(json, allow_nan=False).encode(), "application/json"
        except ValueError as error:
            raise InvalidJSONError(error) from None
    if not data:
        return None, None
    if isinstance(data, (bytes, bytearray)):
        return bytes(data), None
    if isinstance(data, str):
        return data.encode(), "application/x-www-form-urlencoded"
    if isinstance(data, (Mapping, list, tuple)):
        return urlencode(_pairs(data)).encode(), "application/x-www-form-urlencoded"
    return data, None


def _multipart(data: Any, files: Any) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)
    parts = []
    if isinstance(data, (str, bytes)):
        raise ValueError("data must be a mapping or pairs where files are sent")
    for name, value in _pairs(data or {}):
        parts.append((_disposition(name), value if isinstance(value, bytes) else str(value).encode()))
    for name, given in files.items() if isinstance(files, Mapping) else files:
        filename, content, kind, more = (
            (*given, None, None)[:4] if isinstance(given, (tuple, list)) else (None, given, None, None)
        )
        if filename is None and not isinstance(given, (tuple, list)):
            filename = getattr(content, "name", None) or name
        if hasattr(content, "read"):
            content = content.read()
        head = _disposition(name, filename)
        head += f"Content-Type: {kind}\r\n" if kind else ""
        head += "".join(f"{key}: {value}\r\n" for key, value in (more or {}).items())
        parts.append((head, content.encode() if isinstance(content, str) else bytes(content)))
    mark = f"--{boundary}"
    body = b"".join(f"{mark}\r\n{head}\r\n".encode() + content + b"\r\n" for head, content in parts)
    return body + f"{mark}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _disposition(name: str, filename: str | None = None) -> str:
    def quoted(text: str) -> str:
        return str(text).replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")

    tail = f'; filename="{quoted(str(filename).rsplit("/", 1)[-1])}"' if filename else ""
    return f'Content-Disposition: form-data; name="{quoted(name)}"{tail}\r\n'


def _authorize(request: PreparedRequest, auth: Any) -> None:
    """Basic for (name, password), bearer for ("Bearer", token)... or whatever a function makes of the request."""
    parts = urlsplit(request.url)
    if auth is None and parts.username is not None:
        from urllib.parse import unquote

        auth = (unquote(parts.username), unquote(parts.password or ""))
    if auth is None:
        return
    if callable(auth):
        auth(request)
        return
    if isinstance(auth, str):
        request.headers["Authorization"] = f"Bearer {auth}"
        return
    name, password = auth
    login = b":".join(part.encode() if isinstance(part, str) else bytes(part) for part in (name, password))
    request.headers["Authorization"] = "Basic " + base64.b64encode(login).decode()

"""Cookies of a session: the standard library's jar, that can be used as a mapping, too."""

import email.message
import http.cookiejar
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Cookies(http.cookiejar.CookieJar):
    """A cookie jar with the methods of a dict."""

    def __getitem__(self, name: str) -> str:
        """Return the value of the first cookie with a name."""
        for cookie in self:
            if cookie.name == name:
                return cookie.value or ""
        raise KeyError(name)

    def __setitem__(self, name: str, value: str | None) -> None:
        """Set a cookie that goes to every server."""
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        """Remove all cookies with a name."""
        for cookie in [cookie for cookie in self if cookie.name == name]:
            self.clear(cookie.domain, cookie.path, cookie.name)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a cookie with a name."""
        return any(name in (cookie, cookie.name) for cookie in self)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a cookie, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def set(self, name: str, value: str | None, domain: str = "", path: str = "/") -> None:
        """Set a cookie, or remove it where the value is None.

        Args:
            name: its name.
            value: its value.
            domain: the host that it goes to; empty for all.
            path: where on the host it goes.
        """
        if value is None:
            del self[name]
            return
        self.set_cookie(
            http.cookiejar.Cookie(
                version=0, name=name, value=value, port=None, port_specified=False, domain=domain,
                domain_specified=bool(domain), domain_initial_dot=domain.startswith("."), path=path, path_specified=True,
                secure=False, expires=None, discard=True, comment=None, comment_url=None, rest={},
            )
        )  # fmt: skip

    def keys(self) -> Iterator[str]:
        """Go through the names."""
        return (cookie.name for cookie in self)

    def values(self) -> Iterator[str | None]:
        """Go through the values."""
        return (cookie.value for cookie in self)

    def items(self) -> Iterator[tuple[str, str | None]]:
        """Go through names and values."""
        return ((cookie.name, cookie.value) for cookie in self)

    def get_dict(self) -> dict[str, str | None]:
        """Return all of them as a dict."""
        return dict(self.items())

    def update(self, other: "Mapping[str, str] | Iterable[http.cookiejar.Cookie] | None") -> None:
        """Add cookies of a mapping or of a jar."""
        if isinstance(other, Mapping):
            for name, value in other.items():
                self.set(name, value)
        else:
            for cookie in other or ():
                self.set_cookie(cookie)

    def copy(self) -> "Cookies":
        """Return a jar with the same cookies."""
        other = Cookies()
        other.update(self)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Return what can be pickled: all but the lock."""
        return {name: value for name, value in self.__dict__.items() if name != "_cookies_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the jar with a lock of its own."""
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(state)

    def header(self, url: str, headers: Mapping[str, str]) -> str | None:
        """Return the `Cookie` header for an address."""
        if not self._cookies:  # type: ignore[attr-defined]  # most requests have none, and needn't look
            return None
        request = _request(url, headers)
        self.add_cookie_header(request)
        return request.get_header("Cookie")

    def take(self, url: str, headers: Mapping[str, str], pairs: Iterable[tuple[str, bytes]]) -> None:
        """Keep what an answer sets."""
        values = [value for name, value in pairs if name == "set-cookie"]
        if values:
            message = email.message.Message()
            for value in values:
                message["Set-Cookie"] = value.decode("latin-1")
            self.extract_cookies(_Answer(message), _request(url, headers))  # type: ignore[arg-type]


def _request(url: str, headers: Mapping[str, str]) -> urllib.request.Request:
    host = headers.get("Host")
    request = urllib.request.Request(url)
    if host:
        request.add_unredirected_header("Host", host)
    return request


class _Answer:
    """What a cookie jar wants to see of an answer."""

    def __init__(self, message: email.message.Message) -> None:
        self._message = message

    def info(self) -> email.message.Message:
        return self._message

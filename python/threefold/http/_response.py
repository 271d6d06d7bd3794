"""`Response`: what a server answered, with the attributes that `requests` gives it."""

import codecs
import datetime
import http
import json
from collections.abc import AsyncIterator, Iterator
from email.message import Message
from typing import Any

from threefold.http._client import Body
from threefold.http._cookies import Cookies
from threefold.http._errors import HTTPError, JSONDecodeError, StreamConsumedError
from threefold.http._headers import Headers
from threefold.http._prepared import PreparedRequest

_REDIRECTS = (301, 302, 303, 307, 308)


class Response:
    """An answer.

    Attributes:
        status_code: the status.
        headers: the headers; names are compared without case.
        url: the address that answered, after redirects.
        history: the answers that led here, the oldest first.
        encoding: what `text` is decoded with; from the headers, and may be set.
        reason: the status in words.
        elapsed: from the start of the request to the end of the answer's head.
        cookies: the cookies that this answer sets.
        request: the request that it answers.
    """

    def __init__(self) -> None:
        self.status_code = 0
        self.headers = Headers()
        self.url = ""
        self.history: list[Response] = []
        self.encoding: str | None = None
        self.reason = ""
        self.elapsed = datetime.timedelta(0)
        self.cookies = Cookies()
        self.request: PreparedRequest | None = None
        self.version = 11
        self._body: Body | None = None
        self._content: bytes | None = None

    @property
    def content(self) -> bytes:
        """The whole body; read now if it was not yet."""
        if self._content is None:
            if self._body is None or self._body.is_over:
                raise StreamConsumedError("the body of this response was read already, piece by piece")
            self._content = self._body.read()
        return self._content

    async def acontent(self) -> bytes:
        """The whole body, for a task."""
        if self._content is None and self._body is not None:
            self._content = b"".join([piece async for piece in self._body.pieces_async(None)])
        return self._content or b""

    @property
    def text(self) -> str:
        """The body as text, decoded with `encoding`, or what it looks like."""
        content = self.content
        if not content:
            return ""
        try:
            return content.decode(self.encoding or self.apparent_encoding, errors="replace")
        except LookupError:
            return content.decode("utf-8", errors="replace")

    @property
    def apparent_encoding(self) -> str:
        """The encoding that the body looks like."""
        content = self.content
        for mark, name in (
            (codecs.BOM_UTF8, "utf-8-sig"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        ):
            if content.startswith(mark):
                return name
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return "windows-1252"
        return "ascii" if content.isascii() else "utf-8"

    def json(self, **keywords: Any) -> Any:
        """The body as JSON.

        Args:
            **keywords: what `json.loads` takes.

        Raises:
            JSONDecodeError: it is none.
        """
        try:
            if self.encoding is None and self.content:
                return json.loads(self.content, **keywords)
            return json.loads(self.text, **keywords)
        except json.JSONDecodeError as error:
            raise JSONDecodeError(error.msg, error.doc, error.pos) from None
        except UnicodeDecodeError as error:
            raise JSONDecodeError(str(error), "", 0) from None

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    @property
    def is_redirect(self) -> bool:
        """Whether it leads elsewhere."""
        return "location" in self.headers and self.status_code in _REDIRECTS

    @property
    def is_permanent_redirect(self) -> bool:
        """Whether it leads elsewhere for good."""
        return "location" in self.headers and self.status_code in (301, 308)

    def raise_for_status(self) -> None:
        """Raise `HTTPError` where the status is 400 or above."""
        if self.status_code >= 400:
            whose = "Client" if self.status_code < 500 else "Server"
            message = f"{self.status_code} {whose} Error: {self.reason} for url: {self.url}"
            raise HTTPError(message, response=self)

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """Go through the body in pieces, as it comes where the request was made with `stream=True`.

        Args:
            chunk_size: bytes of a piece; None for pieces as they come.
            decode_unicode: True for pieces of text, where the encoding is known.
        """
        if chunk_size is not None and not isinstance(chunk_size, int):
            raise TypeError(f"chunk_size must be an int, not {type(chunk_size).__name__}")
        pieces = self._pieces(chunk_size)
        if not decode_unicode or self.encoding is None:
            yield from pieces
            return
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        for piece in pieces:
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    def _pieces(self, size: int | None) -> Iterator[bytes]:
        if self._content is None and self._body is not None:
            if self._body.is_over:
                raise StreamConsumedError("the body of this response was read already, piece by piece")
            yield from self._body.pieces(size)
            return
        content = self.content
        step = size or max(len(content), 1)
        for start in range(0, len(content), step):
            yield content[start : start + step]

    async def aiter_content(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Go through the body in a task."""
        if self._content is None and self._body is not None:
            async for piece in self._body.pieces_async(chunk_size):
                yield piece
        else:
            for piece in self._pieces(chunk_size):
                yield piece

    def iter_lines(self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: Any = None) -> Iterator[Any]:
        """Go through the lines of the body.

        Args:
            chunk_size: how many bytes are read at a time.
            decode_unicode: True for lines of text, where the encoding is known.
            delimiter: what ends a line; None for line feeds of all kinds.
        """
        pending = None
        for read in self.iter_content(chunk_size, decode_unicode):
            piece = read if pending is None else pending + read
            lines = piece.split(delimiter) if delimiter else piece.splitlines()
            last = piece[-1:]
            pending = None
            if not delimiter and last in ("\r", b"\r"):
                # A line feed may follow, and belong to it.
                pending = lines.pop() + last
            elif lines and lines[-1] and lines[-1][-1:] == last:
                pending = lines.pop()
            yield from lines
        if pending is not None:
            yield pending if delimiter else pending.splitlines()[0]

    def close(self) -> None:
        """Read no more of the body; what was read stays."""
        if self._body is not None:
            self._body.close()

    def __iter__(self) -> Iterator[Any]:
        """Go through the body, 128 bytes at a time."""
        return self.iter_content(128)

    def __enter__(self) -> "Response":
        """Close it in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __bool__(self) -> bool:
        """Tell whether the status is below 400."""
        return self.ok

    def __getstate__(self) -> dict[str, Any]:
        """Return what can be pickled: everything, with the whole body."""
        return self.__dict__ | {"_content": self.content, "_body": None}

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"


def phrase(status: int) -> str:
    """A status in words."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def encoding_of(headers: Headers) -> str | None:
    """The encoding that the headers name; Latin-1 for other text, UTF-8 for JSON, as the standards had it."""
    kind = headers.get("content-type")
    if not kind:
        return None
    message = Message()
    message["Content-Type"] = kind
    charset = message.get_param("charset")
    if charset:
        return str(charset).strip("'\"")
    if "text" in kind:
        return "ISO-8859-1"
    return "utf-8" if "application/json" in kind else None

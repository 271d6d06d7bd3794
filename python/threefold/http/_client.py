"""Exchanges with servers: which client carries them, and the body as it comes, for threads and for tasks."""

import os
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

from threefold import _threefold
from threefold.http._errors import RequestException, _in_body

# (verify, authorities, certificate) to a client: connections made one way are not used for requests of another.
_clients: dict[tuple[Any, ...], _threefold.HttpClient] = {}


def client(verify: bool | str | os.PathLike[str] = True, certificate: Any = None) -> _threefold.HttpClient:
    """The client of the process for a way to trust servers and to show oneself.

    Args:
        verify: False to trust everybody; a path to trust what is certified there, instead of the machine's authorities.
        certificate: a file with the client's certificate and key, or one file for each.

    Raises:
        RequestException: a file is not there.
    """
    authorities = None
    if verify is not True and verify is not False and verify is not None:
        authorities = os.fspath(verify)
    pair = (os.fspath(certificate),) * 2 if isinstance(certificate, (str, os.PathLike)) else certificate
    pair = tuple(os.fspath(path) for path in pair) if pair else None
    key = (verify is not False, authorities, pair)
    found = _clients.get(key)
    if found is None:
        for path in (authorities, *(pair or ())):
            if path is not None and not os.path.exists(path):
                raise RequestException(f"certificates can't be read from {path}: there is no such file or folder")
        found = _clients.setdefault(key, _threefold.HttpClient(*key))
    return found


def header_pairs(headers: Any) -> list[tuple[str, bytes]]:
    """Headers as the engine wants them."""
    return [(_name(name), _value(value)) for name, value in headers.items()]


def _name(name: str | bytes) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


def _value(value: str | bytes) -> bytes:
    if not isinstance(value, str):
        return bytes(value)
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def times(timeout: Any) -> tuple[float | None, float | None]:
    """A timeout as `requests` takes it: None, seconds, or (seconds to connect, seconds between two bytes).

    Raises:
        ValueError: it is something else.
    """
    connect, read = timeout if isinstance(timeout, tuple) and len(timeout) == 2 else (timeout, timeout)
    for seconds in (connect, read):
        if seconds is None:
            continue
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
            raise ValueError(
                f"a timeout is a number of seconds above 0, or a pair (connect, read) of them, not {timeout!r}"
            )
    return connect, read


def upload(body: Any) -> Generator[bytes, None, None]:
    """The pieces of a body that is no bytes: of a file, or of an iterable."""
    if hasattr(body, "read"):
        while piece := body.read(65536):
            yield piece.encode() if isinstance(piece, str) else piece
        return
    for piece in body:
        yield piece.encode() if isinstance(piece, str) else bytes(piece)


def begin(
    owner: _threefold.HttpClient,
    method: str,
    url: str,
    target: str | None,
    headers: list[tuple[str, bytes]],
    body: Any,
    *,
    proxy: str | None = None,
    timeout: tuple[float | None, float | None] = (None, None),
    decode: bool = True,
    whole: bool = True,
) -> _threefold.HttpExchange:
    """Send a request; a body of pieces is sent by the calling thread, as fast as the server takes it."""
    limits = (*timeout, None)
    if body is None or isinstance(body, (bytes, bytearray)):
        data = None if body is None else bytes(body)
        return owner.send(method, url, target, headers, data, proxy, limits, decode, whole)
    pieces = _threefold.HttpUpload()
    exchange = owner.send(method, url, target, headers, pieces, proxy, limits, decode, whole)
    try:
        for piece in upload(body):
            if piece and not pieces.put(piece):
                break
    except BaseException:
        pieces.fail()
        exchange.close()
        raise
    pieces.finish()
    return exchange


class Body:
    """The body of an answer, read piece by piece."""

    def __init__(self, exchange: _threefold.HttpExchange) -> None:
        self._exchange = exchange
        self._left = b""
        self.is_over = False

    def _take(self) -> bytes:
        try:
            piece = self._exchange.piece()
        except RequestException as error:
            self.is_over = True
            raise _in_body(error) from None
        if piece is None:
            self.is_over = True
            return b""
        return piece

    def piece(self) -> bytes:
        """The next bytes, as they come; empty at the end."""
        if self.is_over:
            return b""
        self._exchange.ask()
        self._exchange.wait()
        return self._take()

    async def piece_async(self) -> bytes:
        """The same for a task."""
        if self.is_over:
            return b""
        self._exchange.ask()
        await self._exchange.wait_async()
        return self._take()

    def read(self, size: int | None = None) -> bytes:
        """So many bytes, or all that are left; fewer only at the end."""
        if size is not None and 0 <= size <= len(self._left):
            taken, self._left = self._left[:size], self._left[size:]
            return taken
        pieces = [self._left]
        length = len(self._left)
        while size is None or size < 0 or length < size:
            piece = self.piece()
            if not piece:
                break
            pieces.append(piece)
            length += len(piece)
        joined = b"".join(pieces)
        if size is None or size < 0:
            self._left = b""
            return joined
        self._left = joined[size:]
        return joined[:size]

    def pieces(self, size: int | None) -> Iterator[bytes]:
        """Pieces of a size, the last one perhaps smaller; None for those that come."""
        while True:
            if size is None:
                piece, self._left = self._left or self.piece(), b""
            else:
                piece = self.read(size)
            if not piece:
                return
            yield piece

    async def pieces_async(self, size: int | None) -> AsyncIterator[bytes]:
        """The same for a task."""
        left = b""
        while piece := await self.piece_async():
            left += piece
            while left and (size is None or len(left) >= size):
                yield left[:size]
                left = b"" if size is None else left[size:]
        if left:
            yield left

    def close(self) -> None:
        """Read no more."""
        self.is_over = True
        self._left = b""
        self._exchange.close()

"""Headers: found by their names whatever the case, and in order."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

# Names that are not written as words with capitals.
_SPELLINGS = {
    name.lower(): name
    for name in ("ETag", "WWW-Authenticate", "TE", "DNT", "Content-MD5", "X-XSS-Protection", "SourceMap")
}


def spelled(name: str) -> str:
    """A name of HTTP/2, which has lower case only, as people write it."""
    return _SPELLINGS.get(name) or name.title()


class Headers(MutableMapping[str, str]):
    """A mapping whose keys keep their case and are compared without it."""

    def __init__(self, headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        self._kept: dict[str, tuple[str, Any]] = {}
        self.update(headers or {})

    def __getitem__(self, name: str) -> Any:
        """Return the value of a name."""
        return self._kept[name.lower()][1]

    def __setitem__(self, name: str, value: Any) -> None:
        """Set the value of a name; its last spelling is kept."""
        self._kept[name.lower()] = (name, value)

    def __delitem__(self, name: str) -> None:
        """Remove a name."""
        del self._kept[name.lower()]

    def __iter__(self) -> Iterator[str]:
        """Go through the names as they were spelled."""
        return (name for name, _ in self._kept.values())

    def __len__(self) -> int:
        """Count the names."""
        return len(self._kept)

    def __eq__(self, other: object) -> bool:
        """Compare without the case of names."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return {name.lower(): value for name, value in self.items()} == {
            str(name).lower(): value for name, value in other.items()
        }

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> "Headers":
        """Return a copy."""
        return Headers(list(self.items()))

    def __repr__(self) -> str:
        return str(dict(self.items()))


def received(pairs: Iterable[tuple[str, bytes]]) -> Headers:
    """The headers of an answer; values of one name are joined, as the standard has it."""
    headers = Headers()
    for name, value in pairs:
        text = value.decode("latin-1")
        known = headers.get(name)
        headers[spelled(name)] = text if known is None else f"{known}, {text}"
    return headers

"""The options of a crawl: their names, what they may be, and one sentence for what they may not."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

SCOPES = ("host", "domain", "prefix")
FRONTIERS = ("memory", "sqlite")
OUTPUTS = (".jsonl", ".csv", ".sqlite", ".parquet", ".warc", ".warc.gz")
POSTGRES = ("postgres://", "postgresql://")

# Requests to one host at a time, where the crawl leaves this machine.
PER_HOST = 8

# What may be waiting for a program before fetching waits for it, in bytes.
BUFFER_BYTES = 16 << 20


class Options(TypedDict, total=False):
    """The options that `crawl`, `crawl.stream` and `crawl.run` share, for type checkers."""

    scope: str
    include: str | Iterable[str]
    exclude: str | Iterable[str]
    depth: int
    pages: int | None
    time: float | None
    bytes: int | None
    pages_per_host: int | None
    concurrency: int
    per_host: int | None
    delay: float
    throttle: bool
    rate: float | None
    retries: int
    user_agent: str | None
    headers: Mapping[str, str] | Iterable[tuple[str, str]]
    cookies: Mapping[str, str] | Iterable[str]
    proxy: str | Iterable[str]
    robots: bool
    sitemaps: bool
    follow: bool
    allow_private: bool
    verify_tls: bool
    resolve: str | Iterable[str]
    body_bytes: int
    connect_timeout: float
    request_timeout: float
    revisit: bool
    fields: Mapping[str, str] | Iterable[tuple[str, str]]
    frontier: str | None
    state: str | os.PathLike[str] | None
    resume: bool
    durable: bool
    output: str | os.PathLike[str] | None
    threads: int
    buffer_bytes: int


@dataclass
class Checked:
    """Options that can be used.

    Args:
        engine: what the engine is given.
        buffer_bytes: how much may wait for the program.
        parquet: where the items go when the crawl is over, as Parquet; None for another format.
    """

    engine: dict[str, Any]
    buffer_bytes: int
    parquet: str | None


def check(seeds: str | Iterable[str], given: Mapping[str, Any], caller: str = "crawl") -> Checked:
    """Look whether the options can be used, and complete them.

    Args:
        seeds: where the crawl begins: one address or several.
        given: the options by their names.
        caller: the function that was called, for messages.

    Raises:
        TypeError: an option has another name, or a value of another type.
        ValueError: a value can't be used.
    """
    for name in given:
        if name not in _KINDS:
            raise TypeError(f"{caller}() has no option {name!r}{_hint(name)}")
    options = {name: kind.read(name, given.get(name, kind.default)) for name, kind in _KINDS.items()}
    options["seeds"] = _seeds(seeds)
    options["proxies"] = options.pop("proxy")
    buffer_bytes = options.pop("buffer_bytes")
    _check_together(options)
    if options["per_host"] is None:
        options["per_host"] = options["concurrency"] if _stays_here(options) else PER_HOST
    return Checked(options, buffer_bytes, _redirect_parquet(options))


def _hint(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, _KINDS, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _seeds(seeds: str | Iterable[str]) -> list[str]:
    listed = _texts("seeds", seeds)
    if not listed:
        raise ValueError("a crawl needs an address to begin at")
    for seed in listed:
        if not re.match(r"https?://[^/]", seed, re.IGNORECASE):
            raise ValueError(f"{seed!r} is no address to begin at: it must start with http:// or https://")
    return listed


def _stays_here(options: dict[str, Any]) -> bool:
    """Whether the crawl asks this machine alone, which needs no politeness."""
    hosts = [re.match(r"[^/]*//([^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)", seed) for seed in options["seeds"]]
    is_local = all(host and re.fullmatch(r"127(\.\d+){3}|\[::1\]|localhost", host[2], re.IGNORECASE) for host in hosts)
    return is_local and options["scope"] in ("host", "prefix") and not options["proxies"]


def _check_together(options: dict[str, Any]) -> None:
    frontier, state = options["frontier"], options["state"]
    if frontier == "memory" and state is not None:
        raise ValueError("frontier='memory' keeps no state: leave out state=, or frontier=")
    if frontier == "sqlite" and state is None:
        raise ValueError("frontier='sqlite' needs a folder: state='...'")
    if frontier is not None and frontier.startswith(POSTGRES) and state is not None:
        raise ValueError("the state is in the frontier's database: leave out state=")
    if state is None and (frontier is None or frontier in FRONTIERS):
        for name in ("resume", "durable", "revisit"):
            if options[name]:
                raise ValueError(f"{name}=True needs a state that lasts: state='folder'")
    options["frontier"] = None if frontier in FRONTIERS else frontier
    if options["frontier"] is None and state is not None and os.path.exists(state) and not os.path.isdir(state):
        raise ValueError(f"state={state!r} must be a folder, and it is a file")


def _redirect_parquet(options: dict[str, Any]) -> str | None:
    """Have the engine write lines of JSON where Parquet is asked for: it is made of them at the end."""
    output: str | None = options["output"]
    if output is None or not output.endswith(".parquet"):
        return None
    from threefold.crawl._parquet import require

    require()
    state = options["state"]
    options["output"] = output + ".jsonl" if state is None else os.path.join(state, "items.jsonl")
    return output


@dataclass
class _Kind:
    default: Any
    read: Callable[[str, Any], Any]


def _wrong(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__!r}")


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "True or False", value)
    return value


def _count(least: int, most: int = 2**63 - 1) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(name, "a whole number", value)
        if not least <= value <= most:
            raise ValueError(f"{name} must be between {least} and {most}, not {value}")
        return value

    return read


def _number(least: float, is_more: bool = False) -> Callable[[str, Any], float]:
    def read(name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(name, "a number", value)
        if not math.isfinite(value) or value < least or (is_more and value == least):
            raise ValueError(f"{name} must be {'more than' if is_more else 'at least'} {least:g}, not {value}")
        return float(value)

    return read


def _or_none(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else read(name, value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} has a character that UTF-8 can't encode: {value!a}") from None
    return value


def _texts(name: str, value: object) -> list[str]:
    if isinstance(value, str):
        return [_text(name, value)]
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        raise _wrong(name, "a string or several", value)
    return [_text(name, part) for part in value]


def _path(name: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise _wrong(name, "a path", value)
    path = os.fspath(value)
    if not isinstance(path, str) or not path:
        raise ValueError(f"{name} must be a path, not {path!r}")
    return path


def _pairs(name: str, value: object) -> list[tuple[str, str]]:
    pairs = value.items() if isinstance(value, Mapping) else value
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        raise _wrong(name, "a dictionary", value)
    read: list[tuple[str, str]] = []
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{name} must have pairs of a name and a value, not {pair!r}")
        read.append((_text(name, pair[0]), _text(name, pair[1])))
    return read


def _cookies(name: str, value: object) -> list[str]:
    texts = (
        [f"{_text(name, key)}={_text(name, part)}" for key, part in value.items()]
        if isinstance(value, Mapping)
        else _texts(name, value)
    )
    for text in texts:
        if "=" not in text:
            raise ValueError(f"{name} must be name=value, not {text!r}")
    return texts


def _scope(name: str, value: object) -> str:
    scope = _text(name, value)
    if scope in SCOPES or scope.startswith("regex:"):
        return scope
    raise ValueError(f"{name} must be {', '.join(map(repr, SCOPES))} or 'regex:PATTERN', not {scope!r}")


def _frontier(name: str, value: object) -> str:
    frontier = _text(name, value)
    if frontier in FRONTIERS or frontier.startswith(POSTGRES):
        return frontier
    raise ValueError(f"{name} must be 'memory', 'sqlite' or 'postgres://...', not {frontier!r}")


def _output(name: str, value: object) -> str:
    path = _path(name, value)
    if path == "-":
        return path
    if not path.endswith(OUTPUTS):
        raise ValueError(f"{name} must end in {', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}, not as {path!r}")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ValueError(f"{name}: there is no folder {folder!r} to write {os.path.basename(path)!r} into")
    if os.path.isdir(path):
        raise ValueError(f"{name} must be a file, and {path!r} is a folder")
    return path


_KINDS: dict[str, _Kind] = {
    "scope": _Kind("host", _scope),
    "include": _Kind((), _texts),
    "exclude": _Kind((), _texts),
    "depth": _Kind(50, _count(0, 2**32 - 1)),
    "pages": _Kind(None, _or_none(_count(1))),
    "time": _Kind(None, _or_none(_number(0, is_more=True))),
    "bytes": _Kind(None, _or_none(_count(1))),
    "pages_per_host": _Kind(None, _or_none(_count(1))),
    "concurrency": _Kind(64, _count(1, 10_000)),
    "per_host": _Kind(None, _or_none(_count(1, 10_000))),
    "delay": _Kind(0.0, _number(0)),
    "throttle": _Kind(True, _flag),
    "rate": _Kind(None, _or_none(_number(0, is_more=True))),
    "retries": _Kind(2, _count(0, 1000)),
    "user_agent": _Kind(None, _or_none(_text)),
    "headers": _Kind((), _pairs),
    "cookies": _Kind((), _cookies),
    "proxy": _Kind((), _texts),
    "robots": _Kind(True, _flag),
    "sitemaps": _Kind(False, _flag),
    "follow": _Kind(True, _flag),
    "allow_private": _Kind(False, _flag),
    "verify_tls": _Kind(True, _flag),
    "resolve": _Kind((), _texts),
    "body_bytes": _Kind(16 << 20, _count(1)),
    "connect_timeout": _Kind(10.0, _number(0, is_more=True)),
    "request_timeout": _Kind(60.0, _number(0, is_more=True)),
    "revisit": _Kind(False, _flag),
    "fields": _Kind((), _pairs),
    "frontier": _Kind(None, _or_none(_frontier)),
    "state": _Kind(None, _or_none(_path)),
    "resume": _Kind(False, _flag),
    "durable": _Kind(False, _flag),
    "output": _Kind(None, _or_none(_output)),
    "threads": _Kind(2, _count(1, 1024)),
    "buffer_bytes": _Kind(BUFFER_BYTES, _count(1)),
}

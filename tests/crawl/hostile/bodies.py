"""Areas whose bodies are the trouble: compressed without measure, in any charset, of any type, nested without measure."""

import base64
import functools
import gzip
import zlib
from collections.abc import Iterator

from .server import Area, Reply, Request, missing, page

MIB = 2**20
BOMB_MIB = 64

BROTLI_BOMB = base64.b64decode("z///f/gnAOKxQCD3/p/////wTwDEYQGA7v0/////4Z8AiMMiAN37f/7//8M/ARCHBQC69/8D")
"""64 MiB of zeros."""


@functools.cache
def gzip_bomb() -> bytes:
    """Return 64 MiB of zeros in 64 KiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(BOMB_MIB)) + packer.flush()


def zstd_frame(blocks: Iterator[bytes]) -> bytes:
    """Return a frame of zstd (RFC 8878) with a window of 128 KiB."""
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(blocks)


def zstd_block(content: bytes, repeat: int = 0, *, last: bool) -> bytes:
    """Return a raw block, or one that repeats one byte."""
    size = repeat or len(content)
    return (int(last) | (bool(repeat) << 1) | (size << 3)).to_bytes(3, "little") + content


@functools.cache
def zstd_bomb() -> bytes:
    """Return 64 MiB of zeros in 2 KiB."""
    count = BOMB_MIB * 8
    return zstd_frame(zstd_block(b"\0", 128 * 1024, last=number == count - 1) for number in range(count))


def brotli_stored(content: bytes) -> bytes:
    """Return brotli's form (RFC 7932) of a text of at most 64 KiB that is stored as it is."""
    # A window of 64 KiB; a block that is not the last, of this length, not compressed; an empty last one.
    return (((len(content) - 1) << 4) | (1 << 20)).to_bytes(3, "little") + content + b"\x03"


def compressed(real: list[str]) -> Area:
    """Proper pages in each encoding, and bombs in each."""
    leaves = dict(zip(("gzip", "deflate", "br", "zstd"), (f"/bomb/{name}.html" for name in real), strict=False))
    bombs = {
        "/bomb/bomb-gzip": ("gzip", gzip_bomb()),
        "/bomb/bomb-gzip-twice": ("gzip, gzip", gzip.compress(gzip_bomb())),
        "/bomb/bomb-br": ("br", BROTLI_BOMB),
        "/bomb/bomb-zstd": ("zstd", zstd_bomb()),
        "/bomb/broken-gzip": ("gzip", gzip.compress(b"<p>" * 9999)[:-40] + b"\xff" * 40),
        "/bomb/no-gzip": ("gzip", b"<p>this is not compressed</p>"),
    }

    def pack(encoding: str, body: bytes) -> bytes:
        match encoding:
            case "gzip":
                return gzip.compress(body)
            case "deflate":
                return zlib.compress(body)
            case "br":
                return brotli_stored(body)
        return zstd_frame(iter([zstd_block(body, last=True)]))

    async def handler(request: Request) -> Reply:
        if request.path == "/bomb/":
            return page("Bomb", [*leaves.values(), *bombs])
        if request.path in bombs:
            encoding, body = bombs[request.path]
            return Reply(body, headers=[("content-encoding", encoding)])
        for encoding, path in leaves.items():
            if path == request.path:
                packed = pack(encoding, page(path, [f"{path}?read"]).body)
                return Reply(packed, headers=[("content-encoding", encoding)])
        return page(request.path) if request.path.endswith("?read") else missing()

    trouble = "64 MiB in a few KiB of gzip, twice gzip, br, zstd; broken gzip; proper pages in each whose links count"
    pages = frozenset({"/bomb/", *leaves.values(), *(f"{path}?read" for path in leaves.values())})
    errors = frozenset({"too_large", "decompression"})
    return Area("/bomb/", handler, trouble, pages, errors=errors, failing=frozenset(bombs))


RUSSIAN, JAPANESE = "Привет, мир. Это страница на русском языке", "日本語のページです。こんにちは世界"
CHARSETS = {
    # name: title, encoding of the bytes, charset of the header, of the meta element, byte order mark
    "header-shift-jis": (JAPANESE, "shift_jis", "Shift_JIS", "", b""),
    "meta-shift-jis": (JAPANESE, "shift_jis", "", "x-sjis", b""),
    "header-1251": (RUSSIAN, "cp1251", "windows-1251", "", b""),
    "meta-1251": (RUSSIAN, "cp1251", "", "windows-1251", b""),
    "silent-1251": (RUSSIAN, "cp1251", "", "", b""),
    "silent-utf-8": (RUSSIAN, "utf-8", "", "", b""),
    "header-over-meta": (RUSSIAN, "cp1251", "windows-1251", "utf-8", b""),
    "mark-over-header": (RUSSIAN, "utf-8", "iso-8859-1", "", b"\xef\xbb\xbf"),
    "mark-utf-16-le": (JAPANESE, "utf-16-le", "", "", b"\xff\xfe"),
    "mark-utf-16-be": (JAPANESE, "utf-16-be", "iso-8859-1", "", b"\xfe\xff"),
    "header-utf-16-le": (JAPANESE, "utf-16-le", "utf-16le", "", b""),
    "header-utf-16-be": (JAPANESE, "utf-16-be", "utf-16be", "", b""),
    "unknown-header": (RUSSIAN, "utf-8", "no-such-charset", "utf-8", b""),
}
TITLES = {f"/charset/{name}.html": title for name, (title, *_) in CHARSETS.items()}


def charset(real: list[str]) -> Area:
    """Pages in charsets that are declared rightly, wrongly, or not at all. Each has a link that counts."""
    leaves = {f"/charset/seen-{name}.html" for name in CHARSETS}

    async def handler(request: Request) -> Reply:
        if request.path == "/charset/":
            return page("Charset", sorted(TITLES))
        if request.path in leaves:
            return page(request.path)
        name = request.path.removeprefix("/charset/").removesuffix(".html")
        if name not in CHARSETS:
            return missing()
        title, encoding, header, meta, mark = CHARSETS[name]
        head = f'<meta charset="{meta}">' if meta else ""
        more = f"<p>{title * 20}</p>"
        text = page(title, [f"seen-{name}.html"], more, head).body.decode()
        # The declared charset comes first, as a prescan of 1024 bytes needs it.
        text = text.replace(head, "", 1).replace("<head>", f"<head>{head}", 1) if head else text
        return Reply(mark + text.encode(encoding), type=f"text/html; charset={header}" if header else "text/html")

    trouble = (
        "Shift_JIS, windows-1251, UTF-16 with and without a mark; declared in header or page, wrongly, or not at all"
    )
    return Area("/charset/", handler, trouble, frozenset({"/charset/", *TITLES, *leaves}))


def types(real: list[str]) -> Area:
    """What is no page, though it looks like one; and pages that hardly look like any."""
    leaves = {f"/types/{name}.html" for name in real}
    first, *rest = sorted(leaves)
    trap = b'<a href="/types/never/x.html">x</a>'
    others = {
        "text": Reply(trap, type="text/plain"),
        "image": Reply(b"\x89PNG\r\n\x1a\n" + trap, type="image/png"),
        "archive": Reply(b"PK\x03\x04" + trap, type="application/zip"),
        "json": Reply(b'{"a": "' + trap.replace(b'"', b"'") + b'"}', type="application/json"),
        "nothing": Reply(b"", 204, type=None),
        "empty": Reply(b""),
    }
    deep = b"<div>" * 100_000 + f'<a href="{first}">x</a>'.encode()
    many = "".join(f'<a href="{rest[0]}#{number}">x</a>' for number in range(30_000))

    async def handler(request: Request) -> Reply:
        name = request.path.removeprefix("/types/")
        if name == "":
            return page("Types", [*others, "deep", "many", *rest[1:]])
        if name == "deep":
            return Reply(deep)
        if name == "many":
            return page("Many", [], many)
        return page(request.path) if request.path in leaves else others.get(name, missing())

    trouble = "HTML in text, images, archives, JSON, whose links do not count; 100,000 nested elements; 30,000 links to one page"
    pages = frozenset({"/types/", "/types/deep", "/types/many", *leaves})
    return Area("/types/", handler, trouble, pages, frozenset({"/types/never/"}))


def areas(real: list[str]) -> list[Area]:
    """Return the areas of this file; `real`: the names of the pages that each of them really has."""
    return [make(real) for make in (compressed, charset, types)]

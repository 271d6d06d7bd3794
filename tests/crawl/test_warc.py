"""Web archives that the crawler writes are read by another program as what was fetched."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

warcio = pytest.importorskip("warcio", reason="warcio is not installed: pip install warcio")

from warcio.archiveiterator import ArchiveIterator  # noqa: E402
from warcio.checker import Checker  # noqa: E402

ROOT = Path(__file__).parents[2]
LIMIT_S = 1200


@pytest.fixture(scope="module")
def write():
    """Return what writes the archive of the crate's example to a path."""
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is not installed: the archive is written by an example of the crate")
    command = [cargo, "run", "--quiet", "--package", "threefold-crawl", "--example", "archive", "--"]
    return lambda path: subprocess.run([*command, str(path)], check=True, cwd=ROOT, timeout=LIMIT_S)


def records(path):
    """Return type, status line, headers and content of each record."""
    found = []
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, check_digests="raise", no_record_parse=False):
            headers = record.http_headers
            found.append((record.rec_type, record.rec_headers, headers, record.content_stream().read()))
    return found


@pytest.mark.parametrize("name", ["pages.warc", "pages.warc.gz"])
def test_an_archive_is_read_as_what_was_fetched(tmp_path, write, name):
    path = tmp_path / name
    write(path)
    found = records(path)
    assert [kind for kind, *_ in found] == ["warcinfo", *["response", "request"] * 3]
    assert b"software: threefold/" in found[0][3]

    _, head, http, body = found[1]
    assert head.get_header("WARC-Target-URI") == "http://example.test/"
    assert head.get_header("WARC-Date") == "2023-11-14T22:13:20.123Z"
    assert http.get_statuscode() == "200"
    assert http.get_header("content-type") == "text/html; charset=utf-8"
    assert http.get_header("x-archive-orig-content-encoding") == "gzip"
    assert http.get_header("content-encoding") is None
    assert [value for key, value in http.headers if key == "set-cookie"] == ["a=1", "b=2"]
    assert body.decode() == "<h1>Grüße</h1>"

    assert found[3][3] == b"\0\r\n\r\n\xff"
    asked = found[4]
    assert asked[2].protocol == "POST"
    assert asked[2].statusline == "/a HTTP/1.1"
    assert asked[2].get_header("x-asked") == "yes"
    assert asked[3] == b"question"
    assert asked[1].get_header("WARC-Concurrent-To") == found[3][1].get_header("WARC-Record-ID")
    assert found[5][2].get_statuscode() == "404"
    numbers = [head.get_header("WARC-Record-ID") for _, head, *_ in found]
    assert len(set(numbers)) == len(numbers)


def test_each_record_is_compressed_by_itself(tmp_path, write):
    path, plain = tmp_path / "pages.warc.gz", tmp_path / "pages.warc"
    write(path)
    write(plain)
    members = path.read_bytes().count(b"\x1f\x8b\x08")
    assert members >= 7
    unpacked, text = gzip.decompress(path.read_bytes()), plain.read_bytes()
    assert len(unpacked) == len(text)


def test_the_digests_are_right(tmp_path, write, capsys):
    path = tmp_path / "pages.warc.gz"
    write(path)

    class Options:
        inputs = (str(path),)
        verbose = True

    assert not Checker(Options).process_all()
    assert "fail" not in capsys.readouterr().out.lower()

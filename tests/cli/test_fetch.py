"""`threefold fetch`: one response on standard output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import threefold

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import crawl_rig

PACKAGE = str(Path(threefold.__file__).parents[1])


@pytest.fixture
def site():
    with crawl_rig.serve() as running:
        yield running


def run(*words, folder=None):
    """Run the command: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "threefold", "fetch", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": PACKAGE},
        capture_output=True,
        timeout=40,
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_the_body_goes_to_standard_output(site):
    site.handlers["/bytes"] = lambda handler: crawl_rig.send(handler, b"\xff\x00\n", content_type="image/png")
    assert run(site.at("/bytes")) == (0, b"\xff\x00\n", "")


def test_headers_come_before_it(site):
    code, out, _err = run("-i", site.url)
    head, _, body = out.partition(b"\n\n")
    assert (code, head.splitlines()[0]) == (0, f"200 {site.url}".encode())
    assert b"content-type: text/html; charset=utf-8" in head
    assert body == crawl_rig.tree_page(0).encode()


def test_the_body_goes_to_a_file(site, tmp_path):
    assert run(site.url, "--output", "page.html", folder=tmp_path) == (0, b"", "")
    assert (tmp_path / "page.html").read_bytes() == crawl_rig.tree_page(0).encode()
    code, _out, err = run(site.url, "--output", "no/page.html", folder=tmp_path)
    assert (code, err) == (1, "threefold fetch: 'no/page.html' can't be written: No such file or directory\n")


def test_all_that_is_known_is_json(site):
    code, out, _err = run("--json", site.url)
    page = json.loads(out)
    assert (code, page["status"], page["title"], page["links"]) == (
        0,
        200,
        "Page 0",
        [site.at("/1.html"), site.at("/2.html")],
    )


def test_an_error_status_has_its_exit_code(site):
    assert run(site.at("/none"))[:2] == (3, b"no such page")


def test_redirects_are_followed_or_shown(site):
    def redirect(handler):
        crawl_rig.send(handler, "", 302, Location="/1.html")

    site.handlers["/from"] = redirect
    assert run(site.at("/from"))[1] == crawl_rig.tree_page(1).encode()
    code, out, _err = run("--no-redirects", "-i", site.at("/from"))
    assert (code, out.splitlines()[0]) == (0, f"302 {site.at('/from')}".encode())


def test_a_form_is_posted(site):
    code, out, _err = run(site.at("/form"), "--data", "a=1&b=é")
    assert (code, json.loads(out)) == (0, {"method": "POST", "body": "a=1&b=é"})


def test_no_answer_is_one_sentence():
    code, out, err = run("http://127.0.0.1:9/")
    assert (code, out) == (1, b"")
    assert err.startswith("threefold fetch: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["example.org"], ["http://a/", "--header", "x"], [], ["http://a/", "--timeout", "x"]]
)
def test_a_wrong_argument_is_one_sentence(words):
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, b"", 1)

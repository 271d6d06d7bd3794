"""What `crawl` refuses, each time with one sentence that says what is wrong."""

import functools
import os

import pytest

from threefold.crawl import Request, crawl, run
from threefold.crawl._options import check

SEED = "http://127.0.0.1:9/"

REFUSED = {
    "an unknown option, with the nearest known one": (
        {"dpeth": 3},
        TypeError,
        "no option 'dpeth'; did you mean 'depth'?",
    ),
    "an unknown option that is like no other": ({"zzzzzz": 3}, TypeError, "no option 'zzzzzz'"),
    "a number that is a string": ({"depth": "3"}, TypeError, "depth must be a whole number, not 'str'"),
    "a number that is a truth value": ({"pages": True}, TypeError, "pages must be a whole number, not 'bool'"),
    "a negative number": ({"depth": -1}, ValueError, "depth must be between 0 and"),
    "no concurrency": ({"concurrency": 0}, ValueError, "concurrency must be between 1 and"),
    "a time that is none": ({"time": 0}, ValueError, "time must be more than 0"),
    "a time that is not a number": ({"delay": float("nan")}, ValueError, "delay must be at least 0"),
    "a flag that is a number": ({"robots": 1}, TypeError, "robots must be True or False, not 'int'"),
    "a scope that is none": ({"scope": "site"}, ValueError, "or 'regex:PATTERN', not 'site'"),
    "a regular expression that is none": ({"include": "("}, ValueError, "("),
    "a frontier that is none": ({"frontier": "redis://"}, ValueError, "'memory', 'sqlite' or 'postgres://...'"),
    "a frontier in a file without a folder": ({"frontier": "sqlite"}, ValueError, "needs a folder: state='...'"),
    "a state for a frontier in memory": ({"frontier": "memory", "state": "s"}, ValueError, "keeps no state"),
    "a resumed crawl without a state": ({"resume": True}, ValueError, "needs a state that lasts"),
    "an output of another format": ({"output": "pages.txt"}, ValueError, "must end in .jsonl, .csv"),
    "an output in no folder": (
        {"output": "/nowhere/at/all/pages.csv"},
        ValueError,
        "there is no folder '/nowhere/at/all'",
    ),
    "an output that is no path": ({"output": 3}, TypeError, "output must be a path, not 'int'"),
    "headers with a value that is none": ({"headers": {"a": 1}}, TypeError, "headers must be a string, not 'int'"),
    "headers that are text": ({"headers": "a: b"}, TypeError, "headers must be a dictionary, not 'str'"),
    "a cookie without a value": ({"cookies": ["a"]}, ValueError, "cookies must be name=value, not 'a'"),
    "a surrogate alone": ({"user_agent": "\ud800"}, ValueError, "UTF-8 can't encode"),
}


@pytest.mark.parametrize(("options", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_an_option_is_refused(options, error, words):
    with pytest.raises(error) as caught:
        crawl(SEED, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("seeds", "error"),
    [
        ("example.org", ValueError),
        ("ftp://a/", ValueError),
        ([], ValueError),
        (3, TypeError),
        (b"http://a/", TypeError),
        ("http://", ValueError),
    ],
)
def test_a_seed_is_refused(seeds, error):
    with pytest.raises(error):
        crawl(seeds)


def test_every_option_has_a_default():
    checked = check(SEED, {})
    assert checked.engine["seeds"] == [SEED]
    assert checked.engine["frontier"] is None


@pytest.mark.parametrize(
    ("seeds", "options", "per_host"),
    [
        ("http://127.0.0.1:80/a", {}, 30),
        (["http://user:word@localhost/", "https://[::1]:8443"], {}, 30),
        ("http://127.0.0.1/", {"per_host": 3}, 3),
        ("http://127.0.0.1/", {"scope": "regex:."}, 8),
        ("http://127.0.0.1/", {"proxy": "http://proxy:3128"}, 8),
        (["http://127.0.0.1/", "http://example.org/"], {}, 8),
        ("http://127.0.0.1.example.org/", {}, 8),
        ("http://127.0.0.1@example.org/", {}, 8),
        ("http://localhost.example.org/", {}, 8),
    ],
)
def test_only_this_machine_is_asked_as_often_as_can_be(seeds, options, per_host):
    assert check(seeds, {"concurrency": 30, **options}).engine["per_host"] == per_host


def test_several_seeds_and_patterns_may_be_any_iterable():
    checked = check(
        (seed for seed in (SEED, SEED + "a")), {"exclude": "x", "headers": [("a", "b")], "cookies": {"c": "d"}}
    )
    assert checked.engine["seeds"] == [SEED, SEED + "a"]
    assert checked.engine["exclude"] == ["x"]
    assert checked.engine["headers"] == [("a", "b")]
    assert checked.engine["cookies"] == ["c=d"]


def test_parquet_is_made_of_lines(tmp_path):
    pytest.importorskip("pyarrow")
    checked = check(SEED, {"output": os.fspath(tmp_path / "items.parquet")})
    assert checked.engine["output"].endswith("items.parquet.jsonl")


def test_parquet_without_pyarrow_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.json", None)
    with pytest.raises(ImportError, match=r"install threefold\[parquet\], or write .jsonl"):
        check(SEED, {"output": tmp_path / "items.parquet"})


async def coroutine(page):
    pass


PARSING = {
    "a parse that is no function": ({"parse": 3}, "parse must be a function, not 'int'"),
    "two functions": ({"parse": print, "parse_batch": print}, "takes parse= or parse_batch=, not both"),
    "workers without a function": ({"workers": 2}, "workers= are for a parse function"),
    "a coroutine function in processes": ({"parse": coroutine, "workers": 2}, "can't be called in processes"),
    "a coroutine function of batches": ({"parse_batch": coroutine}, "can't be called with batches"),
    "workers that are no number": ({"parse": print, "workers": "2"}, "workers must be a whole number"),
}


@pytest.mark.parametrize(("options", "words"), PARSING.values(), ids=PARSING)
def test_a_way_of_parsing_is_refused(options, words):
    with pytest.raises(TypeError) as caught:
        run(SEED, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Request(3), TypeError),
        (lambda: Request("a", method="P T"), ValueError),
        (lambda: Request("a", body=3), TypeError),
        (lambda: Request("a", data=object()), TypeError),
        (lambda: Request("\ud800"), TypeError),
        (lambda: Request("a", headers={"a": 1}), TypeError),
    ],
)
def test_a_request_is_refused(make, error):
    with pytest.raises(error):
        make()


def test_the_module_can_be_called():
    import threefold
    import threefold.crawl

    assert callable(threefold.crawl)
    assert threefold.crawl.run is run
    assert functools.reduce(getattr, ["crawl", "Page"], threefold).__module__ == "threefold.crawl"

"""The parts of the crawler's Python side that need no crawl."""

import functools
import io
import json

import pytest

from threefold.cli.crawl_display import Line
from threefold.crawl import Progress, Request
from threefold.crawl._outcomes import Maker, Pace, match, one_line
from threefold.crawl._report import progress_of, report_of
from threefold.crawl._watch import code_of, name_of

ENGINE = {
    "elapsed": {"secs": 2, "nanos": 500_000_000},
    "pages": 3,
    "bytes": 40,
    "in_flight": 1,
    "counts": {"queued": 4, "leased": 1, "done": 3, "failed": 1, "refused": 2},
    "errors": {"dns": 1},
    "refusals": {"robots": 2},
    "statuses": {"200": 2, "404": 1},
    "items": 5,
    "slowest_host": ["http://a", {"secs": 0, "nanos": 250_000_000}],
}


def test_progress_is_read():
    progress = progress_of(json.dumps(ENGINE))
    assert (progress.elapsed, progress.queued, progress.statuses) == (2.5, 4, {200: 2, 404: 1})
    assert progress.slowest_host == ("http://a", 0.25)


@pytest.mark.parametrize("ending", ["finished", "pages", "time", "bytes", "stopped", "failed", "no_seed"])
def test_a_report_is_read(ending):
    text = json.dumps({"ending": ending, "error": None, "progress": ENGINE | {"slowest_host": None}})
    report = report_of(text, parse_error_count=7)
    assert (report.ending, report.parse_error_count, report.slowest_host) == (ending, 7, None)
    assert report.ok is (ending in ("finished", "pages", "time", "bytes"))
    assert json.loads(json.dumps(report.to_dict()))["ending"] == ending


def test_short_calls_get_many_pages_and_long_ones_one():
    pace = Pace(32)
    assert pace.count == 1
    pace.learn(0.0, 1)
    assert pace.count == 32
    pace.learn(0.032, 32)
    assert pace.count == 20
    pace.learn(60.0, 20)
    assert pace.count == 1


def test_what_is_made_of_a_page_is_items_and_requests():
    maker = Maker()
    assert maker.outcome() is None
    request = Request("a")
    maker.add_all([{"a": "é"}, None, request, {}])
    assert maker.outcome() == (['{"a": "é"}', "{}"], [request], None)
    assert maker.outcome(ValueError("a\nb"))[2] == "ValueError: a b"


def test_a_result_for_each_page():
    assert match([1, 2], None, "f") == [None, None]
    assert match([1, 2], [{"a": 1}, None], "f") == [(['{"a": 1}'], [], None), None]
    with pytest.raises(TypeError, match="f must return a list with a result for each page, not 'dict'"):
        match([1], {}, "f")


def test_an_exception_is_one_line():
    assert one_line(KeyError("a")) == "KeyError: 'a'"


class Callable:
    def __call__(self, page):
        pass

    def method(self, page):
        pass


@pytest.mark.parametrize(
    ("function", "code", "name"),
    [
        (Callable().method, Callable.method.__code__, "Callable.method"),
        (Callable(), Callable.__call__.__code__, "Callable"),
        (functools.partial(Callable().method, 1), Callable.method.__code__, "Callable.method"),
        (print, None, "print"),
    ],
)
def test_a_function_is_known_by_its_code(function, code, name):
    assert (code_of(function), name_of(function)) == (code, name)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress(elapsed, pages):
    return Progress(elapsed, pages, 0, 0, 0, 0, 0, 0, 0, {}, {}, {}, None)


def test_a_terminal_has_one_line_that_changes(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    line = Line(stream, is_quiet=False)
    line.show(progress(1.0, 100))
    line.show(progress(2.0, 300))
    line.close()
    line.close()
    first, second = "100 pages · 100/s · 0 queued · 0", "300 pages · 200/s · 0 queued · 0"
    assert stream.getvalue() == f"\r\x1b[K{first[:29]}\r\x1b[K{second[:29]}\r\x1b[K"
    assert line.period == 0.2


def test_a_file_has_plain_lines_and_quiet_has_none():
    stream = io.StringIO()
    line = Line(stream, is_quiet=False)
    line.show(progress(1.0, 100))
    line.say("a sentence")
    assert stream.getvalue() == "100 pages · 100/s · 0 queued · 0 in flight\na sentence\n"
    quiet = Line(Terminal(), is_quiet=True)
    quiet.show(progress(1.0, 100))
    quiet.say("a sentence")
    assert quiet._stream.getvalue() == ""

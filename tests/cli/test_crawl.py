"""`threefold crawl`: what it shows and writes, how it ends, and what its exit code says."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import threefold
from threefold.cli import crawl_arguments, main
from threefold.cli.crawl_display import progress_line, table
from threefold.crawl import Progress, Report

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import crawl_rig

PACKAGE = str(Path(threefold.__file__).parents[1])
TIME_LIMIT = 40.0


@pytest.fixture
def site():
    with crawl_rig.serve() as running:
        yield running


def start(folder, *words):
    """Start the command in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "threefold", "crawl", *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": PACKAGE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, *words):
    """Run the command in a folder: exit code, standard output, standard error."""
    with start(folder, *words) as child:
        out, err = child.communicate(timeout=TIME_LIMIT)
        return child.returncode, out, err


def test_a_crawl_keeps_its_state_in_a_folder_and_reports(site, tmp_path):
    code, out, err = run(tmp_path, site.url)
    assert code == 0, err
    folder = f"crawl-{site.url.split('/')[2].replace(':', '-')}"
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert f"the state is in {folder}/" in err
    assert "finished: every address" in out
    assert f"pages      {len(site.pages)} in " in out


def test_a_second_crawl_needs_resume(site, tmp_path):
    assert run(tmp_path, site.url, "--pages", 5)[0] == 16
    code, out, err = run(tmp_path, site.url)
    assert (code, out) == (4, "")
    assert "--resume" in err
    code, _out, err = run(tmp_path, site.url, "--resume")
    assert code == 0, err
    assert {path for path in site.requests if path != "/robots.txt"} == {
        "/" + url.split("/", 3)[3] for url in site.pages
    }


def test_pages_are_written_as_lines_of_json(site, tmp_path):
    assert run(tmp_path, site.url, "--output", "pages.jsonl", "--quiet") == (0, "", "")
    lines = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text().splitlines()]
    assert sorted(line["url"] for line in lines) == sorted(site.pages)


def test_lines_may_go_to_standard_output(site, tmp_path):
    code, out, err = run(tmp_path, site.url, "--output", "-", "--frontier", "memory")
    assert (code, sorted(json.loads(line)["url"] for line in out.splitlines())) == (0, sorted(site.pages))
    assert "finished: every address" in err


def test_fields_are_written_as_a_table(site, tmp_path):
    words = ["--fields", "title=h1::text", "--fields", "next=a::attr(href)", "--output", "items.csv"]
    assert run(tmp_path, site.url, *words)[0] == 0
    with (tmp_path / "items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["title"] for row in rows) == sorted(f"Nº {number}" for number in range(crawl_rig.TREE_SIZE))


def test_items_are_written_as_a_database(site, tmp_path):
    assert run(tmp_path, site.url, "--output", "pages.sqlite", "--frontier", "memory")[0] == 0
    with sqlite3.connect(tmp_path / "pages.sqlite") as database:
        (name,) = database.execute(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite%'"
        ).fetchone()
        assert database.execute(f"select count(*) from {name}").fetchone() == (len(site.pages),)
    database.close()


def test_the_report_is_also_json(site, tmp_path):
    code, out, _err = run(tmp_path, site.url, "--json-report", "-", "--frontier", "memory")
    report = json.loads(out)
    assert (code, report["ending"], report["pages"]) == (0, "finished", len(site.pages))
    run(tmp_path, site.url, "--json-report", "report.json", "--frontier", "memory", "--depth", 1)
    assert json.loads((tmp_path / "report.json").read_text())["pages"] == 3


def test_nothing_at_the_address_has_its_exit_code(tmp_path):
    code, out, _err = run(tmp_path, "http://127.0.0.1:9/", "--retries", 0, "--frontier", "memory")
    assert code == 3
    assert "no seed could be fetched" in out


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--pages", "3"], 16), (["--bytes", "200"], 14), (["--delay", "5", "--per-host", "1", "--time", "200ms"], 15)],
)
def test_a_limit_has_its_exit_code(site, tmp_path, words, code):
    assert run(tmp_path, site.url, "--frontier", "memory", *words)[0] == code


def test_ctrl_c_stops_and_says_how_to_go_on(site, tmp_path):
    with start(tmp_path, site.url, "--per-host", 1, "--delay", "1h", "--robots", "off", "--state", "here") as child:
        first = child.stderr.readline()
        while not site.requests or "/" not in site.requests:
            pass
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=TIME_LIMIT)
    assert child.returncode == 130
    assert first == "the state is in here/\n"
    assert f"to go on: threefold crawl {site.url} --state here --resume" in err
    assert "it was interrupted" in out


def test_an_address_is_explained(site, tmp_path):
    site.handlers["/robots.txt"] = lambda handler: crawl_rig.send(
        handler, "User-agent: *\nDisallow: /private/\n", content_type="text/plain"
    )
    code, out, err = run(tmp_path, site.url, "--explain", site.at("/1.html"))
    assert (code, out.splitlines()[0]) == (0, f"yes: {site.at('/1.html')}"), err
    code, out, err = run(tmp_path, site.url, "--explain", site.at("/private/x"))
    assert (code, out.splitlines()[0]) == (0, f"no: {site.at('/private/x')}")
    assert "robots" in out
    assert run(tmp_path, "--explain", site.at("/private/x")) == (code, out, err)
    assert list(tmp_path.iterdir()) == []


WRONG = {
    "no address": ([], "where to begin is missing: a URL"),
    "an address without a scheme": (["example.org"], "'example.org' is no address to begin at"),
    "an option that is none": (["http://a/", "--dpeth", "3"], "unrecognized arguments: --dpeth"),
    "a number that is none": (["http://a/", "--depth", "x"], "argument --depth: invalid whole number value: 'x'"),
    "a time that is none": (["http://a/", "--time", "soon"], "argument --time: invalid time value: 'soon'"),
    "a size that is none": (["http://a/", "--bytes", "1X"], "argument --bytes: invalid size value: '1X'"),
    "a switch that is none": (["http://a/", "--robots", "maybe"], "argument --robots: must be on or off"),
    "a header that is none": (["http://a/", "--header", "x"], "argument --header: invalid NAME:VALUE value: 'x'"),
    "a field that is none": (["http://a/", "--fields", "x"], "argument --fields: invalid NAME=SELECTOR value: 'x'"),
    "a selector that is none": (["http://a/", "--frontier", "memory", "--fields", "x=p["], "p["),
    "a scope that is none": (["http://a/", "--scope", "all"], "scope must be 'host', 'domain', 'prefix'"),
    "an output of another format": (["http://a/", "--output", "x.txt"], "output must end in .jsonl"),
    "an output in no folder": (["http://a/", "--output", "no/x.csv"], "there is no folder 'no'"),
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_one_sentence(words, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["crawl", *words])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.startswith("threefold crawl: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_help_has_every_exit_code(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["crawl", "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    codes = [value for name, value in vars(crawl_arguments).items() if name.startswith("EXIT_")]
    assert all(f"{code} " in shown.partition("exit code:")[2] for code in codes)


def test_the_state_is_named_after_the_host():
    assert crawl_arguments.default_state("https://user:word@Example.org:8080/a") == "crawl-Example.org-8080"
    assert crawl_arguments.default_state("http://[::1]:80/") == "crawl-1-80"
    assert crawl_arguments.default_state("http://[") == "crawl-state"


PROGRESS = {
    "elapsed": 2.0, "pages": 1234, "bytes": 5 << 20, "in_flight": 3, "queued": 7, "done": 5, "failed": 1, "refused": 2,
    "items": 4, "errors": {"dns": 1, "timeout": 3}, "refusals": {"robots": 2}, "statuses": {200: 5, 404: 1},
    "slowest_host": ("http://a", 0.25),
}  # fmt: skip


def test_the_progress_is_one_line():
    assert progress_line(Progress(**PROGRESS), 617.4) == (
        "1,234 pages · 617/s · 7 queued · 3 in flight · 4 items · errors: timeout 3, dns 1 · slowest: http://a 250 ms"
    )


def test_the_report_is_a_table():
    assert table(Report(**PROGRESS, ending="failed", error="no space left")) == (
        "ended      failed: no space left\n"
        "pages      1,234 in 2.0 s (617/s), 5.0 MiB\n"
        "addresses  5 done, 1 failed, 2 refused, 7 left\n"
        "items      4\n"
        "statuses   200 5, 404 1\n"
        "errors     dns 1, timeout 3\n"
        "refusals   robots 2"
    )

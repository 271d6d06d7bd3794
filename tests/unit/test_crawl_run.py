"""`crawl.run`: what a program's function may make of pages, and what becomes of its errors."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from threefold import crawl
from threefold.crawl import _watch

sys.path.insert(0, str(Path(__file__).parent))

import crawl_parsers
import crawl_rig


@pytest.fixture
def site():
    with crawl_rig.serve() as running:
        yield running


def urls(report):
    return sorted(item["url"] for item in report.collected)


def test_a_crawl_without_a_function_reports(site):
    report = crawl.run(site.url, concurrency=16)
    assert (report.pages, report.ending, report.ok) == (len(site.pages), "finished", True)
    assert report.statuses == {200: len(site.pages)}
    assert json.loads(json.dumps(report.to_dict()))["pages"] == report.pages


def test_items_are_collected_where_there_is_no_output(site):
    report = crawl.run(site.url, crawl_parsers.item_of)
    assert urls(report) == sorted(site.pages)
    assert report.items == len(site.pages)


def test_items_are_exported_once(site, tmp_path):
    output = tmp_path / "items.jsonl"
    report = crawl.run(site.url, crawl_parsers.item_of, output=output)
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(line["url"] for line in lines) == sorted(site.pages)
    assert report.collected == []


def test_items_are_exported_as_parquet(site, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    crawl.run(site.url, crawl_parsers.item_of, output=tmp_path / "items.parquet")
    table = parquet.read_table(tmp_path / "items.parquet")
    assert sorted(table["url"].to_pylist()) == sorted(site.pages)
    assert [path.name for path in tmp_path.iterdir()] == ["items.parquet"]


def test_items_that_are_no_table_are_kept_as_lines(site, tmp_path):
    pytest.importorskip("pyarrow")

    def parse(page):
        return {"a": 1 if page.depth else {"b": 2}}

    with pytest.raises(crawl.StoreError, match="no table of Parquet"):
        crawl.run(site.url, parse, output=tmp_path / "items.parquet")
    assert len((tmp_path / "items.parquet.jsonl").read_text().splitlines()) == len(site.pages)


def test_requests_are_visited(site):
    report = crawl.run(site.url, crawl_parsers.asks_for_more, follow=False)
    assert report.pages == len(site.pages)


def test_a_request_has_method_body_and_data(site):
    answers = []

    def parse(page):
        if page.url == site.url:
            return crawl.Request("/form", method="post", body="a=1", data=["kept"])
        answers.append((page.json(), page.data))
        return None

    crawl.run(site.url, parse, follow=False)
    assert answers == [({"method": "POST", "body": "a=1"}, ["kept"])]


def test_a_coroutine_function_runs_in_tasks(site):
    async def parse(page):
        await asyncio.sleep(0)
        return [{"url": page.url}, *(crawl.Request(link) for link in page.links)]

    assert urls(crawl.run(site.url, parse, follow=False)) == sorted(site.pages)


def test_tasks_wait_at_the_same_time(site):
    everybody = 4
    here = []
    all_here = threading.Event()

    async def parse(page):
        here.append(page)
        if len(here) >= everybody:
            all_here.set()
        while not all_here.is_set():
            await asyncio.sleep(0.001)

    assert crawl.run(site.url, parse, buffer_bytes=1).pages == len(site.pages)


def test_an_asynchronous_generator_makes_items(site):
    async def parse(page):
        yield {"url": page.url}
        await asyncio.sleep(0)
        yield None

    assert urls(crawl.run(site.url, parse)) == sorted(site.pages)


def test_a_function_of_many_pages_makes_a_result_for_each(site):
    sizes = []

    def parse(pages):
        sizes.append(len(pages))
        return crawl_parsers.items_of(pages)

    assert urls(crawl.run(site.url, parse_batch=parse, batch_size=7)) == sorted(site.pages)
    assert max(sizes) <= 7


def test_a_function_of_many_pages_must_answer_for_each(site):
    report = crawl.run(site.url, parse_batch=lambda pages: [{}] * (len(pages) + 1), depth=0)
    assert [error.error for error in report.parse_errors] == ["ValueError: " + _results("2 results for 1 pages")]


def _results(words):
    return f"test_a_function_of_many_pages_must_answer_for_each.<locals>.<lambda> returned {words}"


def test_an_error_is_the_pages_and_the_crawl_goes_on(site):
    report = crawl.run(site.url, crawl_parsers.raises_at_5)
    (error,) = report.parse_errors
    assert (error.url, error.error, report.parse_error_count) == (site.at("/5.html"), "ValueError: five", 1)
    assert "raises_at_5" in error.traceback
    assert report.pages == len(site.pages)
    assert len(report.collected) == len(site.pages) - 1


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("http://a/", "this is a 'str': wrap an address in Request(...)"),
        (3, "this is a 'int'"),
        ({"a": object()}, "not JSON serializable"),
        ({"a": float("nan")}, "Out of range float"),
        ({"a": "\ud800"}, "surrogates not allowed"),
        (crawl.Request("http://["), "is no address"),
    ],
)
def test_what_is_neither_item_nor_request_is_an_error_of_the_page(site, made, words):
    report = crawl.run(site.url, lambda _page: [made], depth=0)
    assert words in report.parse_errors[0].error
    assert report.pages == 1


def test_a_function_runs_in_processes(site):
    report = crawl.run(site.url, crawl_parsers.item_of, workers=2)
    assert urls(report) == sorted(site.pages)
    assert {item["process"] for item in report.collected}.isdisjoint({os.getpid()})


def test_a_function_of_many_runs_in_processes(site):
    assert urls(crawl.run(site.url, parse_batch=crawl_parsers.items_of, workers=1)) == sorted(site.pages)


def test_a_process_that_dies_costs_its_page(site):
    report = crawl.run(site.url, crawl_parsers.dies_at_5, workers=2)
    assert [error.url for error in report.parse_errors] == [site.at("/5.html")]
    assert "WorkerDied" in report.parse_errors[0].error
    assert urls(report) == sorted(site.pages - {site.at("/5.html")})


def test_an_error_in_a_process_has_its_traceback(site):
    report = crawl.run(site.url, crawl_parsers.raises_at_5, workers=1)
    assert "raises_at_5" in report.parse_errors[0].traceback


def test_a_function_that_blocks_does_not_stop_fetching(site):
    has_all = threading.Event()

    def parse(page):
        if page.url == site.url:
            assert has_all.wait(30)
        elif len(set(site.requests)) > len(site.pages):
            has_all.set()

    report = crawl.run(site.url, parse, parse_threads=2)
    assert report.parse_errors == []
    assert report.pages == len(site.pages)


@pytest.mark.parametrize("is_async", [False, True], ids=["function", "coroutine function"])
def test_a_function_that_takes_long_is_named_with_its_line(site, monkeypatch, capsys, is_async):
    monkeypatch.setattr(_watch, "PATIENCE_S", 0.05)
    told = threading.Event()
    look = _watch.look

    def see(slots, function, now, note):
        look(slots, function, now, lambda slow: (note(slow), told.set()))

    monkeypatch.setattr(_watch, "look", see)

    def parse(page):
        told.wait(30)

    async def parse_in_task(page):
        while not told.is_set():
            await asyncio.sleep(0.01)

    function = parse_in_task if is_async else parse
    report = crawl.run(site.url, function, depth=0)
    (slow,) = report.slow_parses
    first = function.__code__.co_firstlineno
    assert (slow.url, slow.function, slow.file) == (site.url, function.__qualname__, __file__)
    assert first < slow.line <= first + 2
    assert f"{slow.function} has been at {site.url}" in capsys.readouterr().err


def test_a_crawl_with_a_state_is_resumed(site, tmp_path):
    state = tmp_path / "state"
    output = tmp_path / "items.jsonl"
    options = {"state": state, "output": output}
    assert crawl.run(site.url, crawl_parsers.item_of, pages=10, **options).ending == "pages"
    report = crawl.run(site.url, crawl_parsers.item_of, resume=True, **options)
    assert report.ending == "finished"
    lines = [json.loads(line)["url"] for line in output.read_text().splitlines()]
    assert sorted(lines) == sorted(site.pages)


def test_a_state_of_another_crawl_is_refused(site, tmp_path):
    crawl.run(site.url, state=tmp_path / "state", depth=1)
    with pytest.raises(crawl.StateError):
        crawl.run(site.at("/1.html"), state=tmp_path / "state", depth=3, resume=True)
    with pytest.raises(crawl.StateError):
        crawl.run(site.url, state=tmp_path / "state", depth=1)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_crawl_that_cannot_begin_leaves_nothing_behind(site, tmp_path, workers, is_async):
    if workers and is_async:
        pytest.skip("coroutine functions do not run in processes")

    async def parse(page):
        pass

    crawl.run(site.url, depth=0, state=tmp_path / "state")
    with pytest.raises(crawl.StateError):
        crawl.run(site.url, parse if is_async else crawl_parsers.item_of, workers=workers, state=tmp_path / "state")


def test_pages_that_a_loop_did_not_get_to_come_again(site, tmp_path):
    first = []
    for page in crawl(site.url, state=tmp_path / "state"):
        first.append(page.url)
        if len(first) == 5:
            break
    rest = [page.url for page in crawl(site.url, state=tmp_path / "state", resume=True)]
    assert sorted({*first, *rest}) == sorted(site.pages)
    assert len(set(first[:4]) & set(rest)) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_that_the_crawl_is_its_parents(site):
    pages = crawl(site.url, per_host=1, delay=0.2, robots=False)
    next(pages)
    child = os.fork()
    if child == 0:
        try:
            for _page in pages:
                pass
        except RuntimeError as error:
            os._exit(0 if "runs in process" in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pages.close()


WAYS = {
    "loop": "for page in crawl(sys.argv[1], **options): print('page', flush=True)",
    "stream": """
        async def main():
            async for page in crawl.stream(sys.argv[1], **options): print('page', flush=True)
        asyncio.run(main())""",
    "function": "crawl.run(sys.argv[1], lambda page: print('page', flush=True), **options)",
    "coroutine function": """
        async def parse(page):
            print('page', flush=True)
            await asyncio.sleep(60)
        crawl.run(sys.argv[1], parse, **options)""",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ctrl_c_ends_a_crawl_with_a_keyboard_interrupt(site, way):
    program = (
        "import asyncio, sys; from threefold import crawl\n"
        "options = dict(per_host=1, delay=30, robots=False)\n"
        "def work():\n" + textwrap.indent(textwrap.dedent(way).strip(), "    ") + "\n"
        "try: work()\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    package = str(Path(crawl.__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", program, site.url],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": package},
    )
    assert child.stdout.readline() == "page\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=30)[0] == "interrupted\n"
    assert child.returncode == 0


def test_a_program_may_end_while_it_crawls(site):
    program = (
        "import sys; from threefold import crawl\n"
        "pages = crawl(sys.argv[1], delay=30, robots=False); next(pages); print('end')\n"
    )
    package = str(Path(crawl.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, site.url],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": package},
        timeout=40,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)

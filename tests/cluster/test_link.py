"""The link between a pool's scheduler and a cluster, driven by a small scheduler that keeps every worker busy."""

import collections
import contextlib
import os
import threading

import pytest
from cluster_running import LIMIT_S, Substituted, wait_until
from cluster_tasks import MISDEEDS, run_until, square, square_on_record

from threefold.cluster import TaskFailure, TaskOptions
from threefold.cluster._encode import Encoder, decode_reply
from threefold.cluster._link import ClusterLink
from threefold.queue import Queue

pytestmark = pytest.mark.timeout(120)


class Shared:
    """A backend that stays open when its link closes."""

    def __init__(self, backend):
        self.backend = backend

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def close(self):
        pass


class Driver:
    """Sends jobs to workers and keeps what is reported."""

    def __init__(self, backend):
        self.reports = Queue()
        self.threads = set()
        self.link = ClusterLink(Shared(backend), self.take)
        self.encoder = Encoder(backend.pickler, backend.capabilities)
        self.pool = os.urandom(8).hex()
        self.workers = 0

    def take(self, worker, kind, job, reply):
        self.threads.add(threading.current_thread().name)
        self.reports.put((worker, kind, job, reply))

    def next(self):
        return self.reports.get(timeout=LIMIT_S)

    def start(self):
        self.workers += 1
        self.link.start(self.workers)
        assert self.next() == (self.workers, "started", None, None)
        assert self.next() == (self.workers, "ready", None, None)
        return self.workers

    def send(self, worker, job, function, item, *, tells_start=False):
        options = TaskOptions("map", self.pool, 1, tells_start)
        self.link.send(worker, job, "f", self.encoder.function(function), self.encoder.chunk([item]), options)

    def results(self, reply):
        return decode_reply(reply, Substituted).results

    def map(self, function, items):
        """Runs a job for each item, each worker holding one at a time, and returns what became of each."""
        outcomes = {}
        jobs = collections.deque(enumerate(items))
        for worker in [self.start() for _ in range(self.link.worker_count())]:
            self.send(worker, *self.job(function, jobs))
        while len(outcomes) < len(items):
            worker, kind, job, reply = self.next()
            if kind == "returned":
                outcomes[job] = self.results(reply)
            elif kind == "failed":
                outcomes[job] = reply.kind
            elif kind == "gone":
                self.workers += 1
                self.link.start(self.workers)
            if jobs and kind in ("returned", "ready"):
                self.send(worker, *self.job(function, jobs))
        return [outcomes[job] for job in range(len(items))]

    def job(self, function, jobs):
        number, item = jobs.popleft()
        return number, function, item


@pytest.fixture
def driver(runner):
    with contextlib.closing(Driver(runner.backend).link) as link:
        yield link._report.__self__


def test_there_is_a_worker_for_each_task_that_runs_and_one_in_prospect_for_each(driver):
    assert driver.link.worker_count() == 4


def test_a_map_over_the_link_runs_each_job_once(driver, tmp_path):
    items = [(str(tmp_path), number, None) for number in range(40)]
    assert driver.map(square_on_record, items) == [[number * number] for number in range(40)]
    assert len(list(tmp_path.iterdir())) == 40
    assert driver.threads == {"threefold cluster link"}


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_a_map_over_the_link_survives_its_workers(driver, tmp_path, misdeed):
    guilty = {3, 4, 11}
    items = [(str(tmp_path), number, misdeed if number in guilty else None) for number in range(20)]
    outcomes = driver.map(square_on_record, items)
    assert outcomes == ["worker_died" if number in guilty else [number * number] for number in range(20)]
    assert len(list(tmp_path.iterdir())) == 20


def test_a_worker_whose_task_failed_is_gone_and_another_takes_its_place(driver, tmp_path):
    worker = driver.start()
    driver.send(worker, 1, square_on_record, (str(tmp_path), 1, "exits at once"))
    reports = [driver.next(), driver.next()]
    assert [(report[0], report[1], report[2]) for report in reports] == [(worker, "failed", 1), (worker, "gone", None)]
    assert reports[0][3].kind == "worker_died"


def test_a_worker_that_finishes_is_gone(driver):
    worker = driver.start()
    driver.link.finish(worker)
    assert driver.next() == (worker, "gone", None, None)


def test_a_job_that_is_killed_is_over_at_once(driver, tmp_path):
    worker = driver.start()
    started, end = tmp_path / "started", tmp_path / "end"
    driver.send(worker, 1, run_until, (str(started), str(end)))
    wait_until(lambda: started.exists() and started.read_text())
    driver.link.kill(worker, 1, "cancelled")
    reports = [driver.next(), driver.next()]
    assert [report[1] for report in reports] == ["failed", "gone"]
    assert reports[0][3].kind == "cancelled"
    # On Dask the task itself goes on, and must not hold up those that follow.
    end.touch()


def test_killing_a_worker_whose_job_is_over_reports_its_result_only(driver):
    worker = driver.start()
    driver.send(worker, 1, square, 3)
    report = driver.next()
    assert report[:3] == (worker, "returned", 1)
    driver.link.kill(worker, 1)
    assert driver.next() == (worker, "gone", None, None)


def test_a_job_whose_function_was_never_sent_fails(driver):
    worker = driver.start()
    driver.link.send(worker, 1, "unknown", None, b"", TaskOptions())
    report = driver.next()
    assert report[:3] == (worker, "failed", 1)
    assert isinstance(report[3], TaskFailure)
    assert "was not sent" in report[3].detail
    assert driver.next() == (worker, "gone", None, None)


def test_a_forgotten_function_can_be_sent_again(driver):
    table = bytes(100_000)
    for _ in range(2):
        worker = driver.start()
        driver.send(worker, 1, lambda place: table[place], 7)
        report = driver.next()
        assert report[1] == "returned"
        assert driver.results(report[3]) == [0]
        driver.link.forget("f")


def test_a_report_that_raises_stops_nothing(runner, monkeypatch):
    seen = Queue()
    monkeypatch.setattr(threading, "excepthook", lambda arguments: seen.put(str(arguments.exc_value)))
    kinds = Queue()

    def report(_worker, kind, _job, _reply):
        kinds.put(kind)
        raise ValueError(kind)

    with contextlib.closing(ClusterLink(Shared(runner.backend), report)) as link:
        link.start(1)
        assert [kinds.get(timeout=LIMIT_S) for _ in range(2)] == ["started", "ready"]
        assert [seen.get(timeout=LIMIT_S) for _ in range(2)] == ["started", "ready"]

"""Twisted's asyncio reactor on our loop: connections, deferreds, threads, children, asyncio's tasks, and its ending."""

import signal

import pytest
import twisted
from program import OURS, Program


@pytest.mark.parametrize("way", ["run", "chosen"])
def test_its_connections_threads_children_and_deferreds_work(way):
    with Program(way, "-m", "twisted_app", *(["ours"] if way == "chosen" else [])) as program:
        assert program.end() == 0, program.output
        assert program.lines == [f"on {OURS}", "done"], twisted.__version__


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_as_on_the_standard_loop(signal_number):
    endings = {}
    for way in ("standard", "run"):
        with Program(way, "-m", "twisted_app", "stay") as program:
            program.find("^done$")
            endings[way] = program.end(signal_number), program.lines[1:]
    assert endings["run"] == endings["standard"]

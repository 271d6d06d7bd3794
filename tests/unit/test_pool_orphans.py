"""A pool's program is killed or interrupted: its workers are gone within a second, and Ctrl-C shows one traceback."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import pool_rig as rig

run_parent = rig.run_parent


def ready(tmp_path: Path) -> bool:
    return "ready" in (tmp_path / "output").read_text()


def kill_and_see_all_gone(run_parent: Any, tmp_path: Path, name: str, method: str, count: int = rig.WORKERS) -> None:
    parent = run_parent(name, method)
    rig.until(lambda: ready(tmp_path) or parent.poll() is not None, "the program is ready")
    workers = rig.pids(tmp_path)
    assert len(workers) == count, (tmp_path / "errors").read_text()
    assert all(map(rig.is_alive, workers))
    parent.kill()
    rig.until_gone(workers)


@pytest.mark.parametrize("method", rig.METHODS)
@pytest.mark.parametrize(
    "name", ["be_idle", "be_busy", "have_workers_in_c", "have_preparing_workers", "have_an_executor"]
)
def test_no_worker_outlives_its_killed_parent(run_parent: Any, tmp_path: Path, name: str, method: str) -> None:
    kill_and_see_all_gone(run_parent, tmp_path, name, method)


@pytest.mark.parametrize("name", ["have_spinning_workers", "have_deaf_workers"])
def test_no_worker_is_too_busy_or_too_deaf_to_go(run_parent: Any, tmp_path: Path, name: str) -> None:
    kill_and_see_all_gone(run_parent, tmp_path, name, "fork")


@pytest.mark.parametrize("method", rig.METHODS)
def test_no_worker_of_a_nested_pool_outlives_its_killed_grandparent(
    run_parent: Any, tmp_path: Path, method: str
) -> None:
    kill_and_see_all_gone(run_parent, tmp_path, "have_nested_pools", method, 3 * rig.WORKERS)


@pytest.mark.parametrize("method", rig.METHODS)
def test_another_child_of_the_killed_parent_keeps_no_worker(run_parent: Any, tmp_path: Path, method: str) -> None:
    kill_and_see_all_gone(run_parent, tmp_path, "have_another_child", method)


@pytest.mark.parametrize("method", rig.METHODS)
@pytest.mark.parametrize("name", ["be_in_map", "be_in_get", "be_in_imap", "be_in_join", "be_elsewhere", "be_in_result"])
def test_ctrl_c_ends_a_program_at_once_with_one_traceback(
    run_parent: Any, tmp_path: Path, name: str, method: str
) -> None:
    parent = run_parent(name, method)
    rig.until(lambda: len(rig.recorded(tmp_path)) >= rig.WORKERS or parent.poll() is not None, "workers at work")
    workers = rig.pids(tmp_path)
    rig.until_asleep([parent.pid, *workers])
    # A terminal sends it to the whole group.
    os.killpg(parent.pid, signal.SIGINT)
    sent_at = time.monotonic()
    rig.until(lambda: parent.poll() is not None, "the end of the program", rig.LIMIT_S / 2)
    assert time.monotonic() - sent_at < rig.SOON_S
    errors = (tmp_path / "errors").read_text()
    assert parent.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    rig.until_gone(workers)


def test_ctrl_c_again_and_again_does_not_keep_a_program(run_parent: Any, tmp_path: Path) -> None:
    parent = run_parent("be_in_map", "fork")
    rig.until(lambda: len(rig.recorded(tmp_path)) >= rig.WORKERS or parent.poll() is not None, "workers at work")
    workers = rig.pids(tmp_path)
    end = time.monotonic() + rig.LIMIT_S / 2
    while parent.poll() is None and time.monotonic() < end:
        os.killpg(parent.pid, signal.SIGINT)
        # The pace of an impatient person.
        time.sleep(0.05)
    assert parent.poll() is not None
    rig.until_gone(workers)

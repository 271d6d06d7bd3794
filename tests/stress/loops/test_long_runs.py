"""The short forms of the long runs of this folder, each in a process of its own."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
LIMIT_S = 240.0


def run(program: str, *arguments: str) -> dict[str, Any]:
    """Run a program of this folder; return what it prints."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(FOLDER / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.timeout(LIMIT_S)
def test_every_byte_is_accounted_for_while_half_of_the_connections_break(full_stress: bool) -> None:
    """Of seven ways to use a loop; the seed is in the message of a failure, and repeats its plan."""
    seconds = 60 if full_stress else 4
    figures = run("soak.py", "--seconds", str(seconds), "--seed", str(random.randrange(1 << 30)))
    # Numbers of descriptors were used again and again.
    assert figures["connections"] > 0
    assert 0 < figures["bytes received"] <= figures["bytes sent"]


@pytest.mark.timeout(LIMIT_S)
def test_connections_leave_neither_memory_nor_descriptors_behind(full_stress: bool) -> None:
    figures = run("leaks.py", "connections", "--count", str(100_000 if full_stress else 3_000))
    assert min(figures[kind] for kind in ("protocol", "streams", "unix", "tls")) > 0


@pytest.mark.timeout(LIMIT_S)
def test_loops_leave_neither_memory_nor_descriptors_behind(full_stress: bool) -> None:
    count = 10_000 if full_stress else 300
    assert run("leaks.py", "loops", "--count", str(count))["loops"] == count


@pytest.mark.timeout(LIMIT_S)
def test_an_idle_connection_costs_less_than_two_kibibytes(full_stress: bool) -> None:
    assert 0 < run("idle.py", "--count", str(10_000 if full_stress else 2_000))["bytes each"] <= 2048

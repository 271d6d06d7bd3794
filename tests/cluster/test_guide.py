"""The guide's programs, run where the engines are installed."""

import re
from pathlib import Path

import pytest
from cluster_running import ENGINES, output_of, require

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "clusters.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.splitlines()[0])
def test_a_program_of_the_guide_runs(program, tmp_path):
    for engine in ENGINES:
        require(engine)
    lines = output_of(program, tmp_path).splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == ["local", "ray", "dask"]

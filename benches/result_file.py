"""Keeps the figures: one table for each program and Python, with the machine and the builds that they were taken on."""

import datetime
import importlib.metadata
import os
import platform
import sys
import sysconfig
from pathlib import Path

from sampling import Row

FOLDER = Path(__file__).resolve().parent / "results"
COLUMNS = ["case", "peer", "unit", "median", "least", "most", "samples", "note", "date"]
PACKAGES = (
    "threefold",
    "janus",
    "culsans",
    "aiologic",
    "uvloop",
    "rloop",
    "talyn",
    "aiofastnet",
    "pebble",
    "faster-fifo",
    "loky",
    "joblib",
    "mpire",
    "deadpool-executor",
    "numpy",
)


def path_of(program: str, folder: Path) -> Path:
    """Return where a program's figures on this Python are kept."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # The build without a global lock is another Python, for what is measured here.
    suffix = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return folder / f"{program}-{version}{suffix}.tsv"


def keep(program: str, rows: list[Row], folder: Path) -> None:
    """Write figures in place of the earlier ones of the same cases.

    Args:
        program: the module that declares the cases.
        rows: new figures.
        folder: where to keep them.
    """
    path = path_of(program, folder)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    # A case that is measured again keeps its place.
    by_case = earlier(path)
    for case in dict.fromkeys(row.case for row in rows):
        by_case[case] = []
    for row in rows:
        by_case[row.case].append([*row.texts(), today])
    head = [f"# {name}: {value}" for name, value in (*circumstances().items(), ("date", today))]
    table = ["\t".join(cells) for cells in (COLUMNS, *(cells for case in by_case.values() for cells in case))]
    folder.mkdir(exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n".join(head + table) + "\n", encoding="utf-8")
    temporary.replace(path)


def earlier(path: Path) -> dict[str, list[list[str]]]:
    """Read the rows that a file has already, by case; none if there is no file."""
    by_case: dict[str, list[list[str]]] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in [line for line in lines if not line.startswith("#")][1:]:
        cells = line.split("\t")
        by_case.setdefault(cells[0], []).append(cells)
    return by_case


def circumstances() -> dict[str, str]:
    """Describe what a reader must know to compare the figures with others."""
    return {"machine": machine(), "python": python(), "packages": packages()}


def machine() -> str:
    """Describe the processor and the kernel."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    release = ".".join(platform.release().split(".")[:2])
    return f"{model}, {len(os.sched_getaffinity(0))} processors, {platform.system()} {release}"


def python() -> str:
    """Describe the interpreter: version, whose build, compiler."""
    # Debian optimises with a profile too, and does not say so among the options.
    if sys.base_prefix == "/usr" and Path("/etc/debian_version").exists():
        build = "Debian"
    else:
        options = sysconfig.get_config_var("CONFIG_ARGS") or ""
        build = f"built {'with' if '--enable-optimizations' in options else 'without'} --enable-optimizations"
    return f"{platform.python_version()}, {build}, {platform.python_compiler()}"


def packages() -> str:
    """List the versions of the peers that are installed."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)

"""Every dependency has its reason beside it, in the file that declares it."""

import re
from pathlib import Path
from typing import Any

OWN = re.compile(r"^(threefold-[a-z-]+)\s*=")
ENTRY = re.compile(r"^([A-Za-z0-9_-]+)(\.workspace)?\s*=")


def unexplained_crates(manifest: Path) -> list[str]:
    missing = []
    is_dependencies = False
    before = ""
    for line in manifest.read_text().splitlines():
        if line.startswith("["):
            is_dependencies = line.rstrip("]").endswith("dependencies")
        entry = ENTRY.match(line) if is_dependencies else None
        # The workspace's table has the reason for what a crate only takes over, and its own crates explain themselves.
        is_taken_over = bool(entry and (entry[2] or OWN.match(line)))
        if entry and not is_taken_over and not before.startswith("#") and " # " not in line:
            missing.append(f"{manifest.parent.name}: {entry[1]}")
        before = line.strip()
    return missing


def test_every_crate_that_is_used_has_its_reason(project: Any) -> None:
    manifests = [project.root / "Cargo.toml", *project.files("Cargo.toml", under="crates")]
    manifests += project.files("Cargo.toml", under="binding") + project.files("Cargo.toml", under="benches")
    assert [name for manifest in manifests for name in unexplained_crates(manifest)] == []


def test_every_python_package_that_is_used_has_its_reason(project: Any) -> None:
    missing = []
    is_dependencies = False
    before = ""
    for line in (project.root / "pyproject.toml").read_text().splitlines():
        if line.startswith("["):
            is_dependencies = line in ("[dependency-groups]", "[project.optional-dependencies]")
        stripped = line.strip()
        is_package = is_dependencies and stripped.startswith('"')
        if is_package and not before.startswith("#") and " # " not in line:
            missing.append(stripped)
        before = stripped
    assert missing == []

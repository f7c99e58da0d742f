# SPDX-License-Identifier: BSD-3-Clause
"""The arrows of docs/architecture.md: which package may import which."""

import ast
from pathlib import Path

import pytest

import ntbbench

PACKAGE = Path(ntbbench.__file__).parent
ALLOWED = {
    "errors": set(),
    "iperf3": set(),
    "model": set(),
    "engine": {"model"},
    "measure": {"model", "engine"},
    "analyse": {"iperf3", "model", "measure"},
    "capture": {"iperf3", "model"},
    "lab": {"model", "capture"},
    "report": {"model", "measure", "analyse", "capture", "lab"},
    "cli": {"model", "engine", "measure", "analyse", "capture", "lab", "report"},
}
RECORDS = {"records", "environment_record", "simulation_records"}
CLOCKS = {"time", "timeit"}


def module_name(path: Path) -> str:
    return ".".join(("ntbbench", *path.relative_to(PACKAGE).with_suffix("").parts))


def imports_of(path: Path) -> set[str]:
    """Return the dotted names that a source file imports, relative imports resolved."""
    found: set[str] = set()
    parts = module_name(path).split(".")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{stem}.{alias.name}" for alias in node.names}
    return found


SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_sources_are_found() -> None:
    assert {path.relative_to(PACKAGE).parts[0] for path in SOURCES} >= {
        name for name in ALLOWED if name != "errors"
    }


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(PACKAGE).with_suffix("").parts[0]
    used = {name.split(".")[1] for name in imports_of(path) if name.startswith("ntbbench.")}
    allowed = ALLOWED.get(package, set()) | {package, "errors", "__version__"}
    assert used <= allowed, f"{package} may not import {sorted(used - allowed)}"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_only_engine_imports_compiled_modules(path: Path) -> None:
    compiled = {
        name
        for name in imports_of(path)
        if name.startswith("ntbbench.engine.") and name.split(".")[2].startswith("_")
    }
    assert not compiled or path.relative_to(PACKAGE).parts[0] == "engine"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_only_measure_reads_a_clock(path: Path) -> None:
    used = {name.split(".")[0] for name in imports_of(path)} & CLOCKS
    assert not used or path.relative_to(PACKAGE).parts[0] == "measure"


@pytest.mark.parametrize("package", ["analyse", "report", "measure/records.py"])
def test_analysis_works_without_compiled_modules(package: str) -> None:
    """analyse and report reach only measure's records, never its engine."""
    root = PACKAGE / package
    for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
        reached = {n for n in imports_of(path) if n.startswith("ntbbench.measure.")}
        assert all(n.split(".")[2] in RECORDS for n in reached), path
        assert not any(n.startswith("ntbbench.engine") for n in imports_of(path)), path

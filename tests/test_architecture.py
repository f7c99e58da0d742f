# SPDX-License-Identifier: BSD-3-Clause
"""The arrows of docs/architecture.md: which package may import which."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import ntbbench

PACKAGE = Path(ntbbench.__file__).parent
ALLOWED = {
    "core": set(),
    "ntb": {"core"},
    "dispatch": {"core", "ntb"},
    "datapath": {"core", "ntb"},
    "pair": {"core", "ntb"},
    "capture": {"core", "ntb", "pair"},
    "lab": {"core", "ntb", "pair", "capture"},
    "compare": {"core", "capture"},
    "ab": {"core", "compare"},
    "board": {"core", "ntb", "datapath", "capture", "compare", "ab"},
    "report": {
        *("core", "ntb", "dispatch", "datapath", "pair", "capture", "lab", "compare", "ab"),
        "board",
    },
    "cli": {
        *("core", "ntb", "dispatch", "datapath", "pair", "capture", "lab", "compare", "ab"),
        *("board", "report"),
    },
}
# Records import core alone, so a room may read those of a room that it may not use.
RECORDS = re.compile(r"ntbbench(\.\w+)*\.(\w+_)?records(\.\w+)?")
COMPILED = re.compile(r"ntbbench(\.\w+)*\._[a-z]\w*")
CLOCKS = {"time", "timeit"}
READS_A_CLOCK = {
    "ntbbench.core.clock",
    "ntbbench.core.environment",
    "ntbbench.datapath.grid",
    "ntbbench.datapath.replicate",
    "ntbbench.dispatch.sweep",
}
FILES_MAX = 15
ONE_A_KIND = {"cli", "views", "figures", "readers"}  # a file a command, a kind, a format


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


def is_records(path: Path) -> bool:
    return RECORDS.match(module_name(path)) is not None


SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_sources_are_found() -> None:
    assert {path.relative_to(PACKAGE).parts[0] for path in SOURCES} >= set(ALLOWED)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    used = {
        name.split(".")[1]
        for name in imports_of(path)
        if name.startswith("ntbbench.") and not RECORDS.match(name)
    }
    allowed = ALLOWED.get(room, set()) | {room, "__version__"}
    assert used <= allowed, f"{room} may not import {sorted(used - allowed)}"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_only_engines_import_compiled_modules(path: Path) -> None:
    compiled = {name for name in imports_of(path) if COMPILED.match(name)}
    assert all(name.rpartition("._")[0] in module_name(path) for name in compiled)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_only_one_module_reads_a_clock(path: Path) -> None:
    used = {name.split(".")[0] for name in imports_of(path)} & CLOCKS
    assert not used or module_name(path) in READS_A_CLOCK


@pytest.mark.parametrize("path", [*filter(is_records, SOURCES)], ids=module_name)
def test_records_stand_at_the_bottom(path: Path) -> None:
    ours = {name for name in imports_of(path) if name.startswith("ntbbench.")}
    above = {n for n in ours if not n.startswith("ntbbench.core.") and not RECORDS.match(n)}
    assert not above


def test_no_two_files_share_a_name() -> None:
    """Alike are the records of rooms, and a reader or a command and the room that it is of."""
    names = Counter(path.stem for path in SOURCES if path.parent.name not in ONE_A_KIND)
    alike = {name for name, count in names.items() if count > 1}
    assert alike <= {"__init__", "records", "reference"}


def test_no_two_classes_share_a_name() -> None:
    classes = (node for path in SOURCES for node in ast.parse(path.read_text()).body)
    names = Counter(node.name for node in classes if isinstance(node, ast.ClassDef))
    assert not {name for name, count in names.items() if count > 1}


def test_folders_hold_about_a_dozen_files() -> None:
    sizes = Counter(path.parent for path in SOURCES if path.stem != "__init__")
    crowded = {folder.name for folder, size in sizes.items() if size > FILES_MAX}
    assert crowded <= ONE_A_KIND

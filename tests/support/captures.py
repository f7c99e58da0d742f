# SPDX-License-Identifier: BSD-3-Clause
"""Real snapshots, and what other machines and accidents would make of them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from recordings import DATA, LOOP_612

from ntbbench.capture.ingest import ingest
from ntbbench.capture.records import Measured
from ntbbench.cli.main import main

TOOLS, CASES = DATA / "tools", DATA / "cases"
FOUR = LOOP_612 / "fallback-four-qps"
PCI = "0000:00:04.0"
ZERO = [[0, 0]] * 6
INFO = (
    "NTB Device Information:\nDoorbell Count -\t{count}\nDoorbell Vector Count -\t{vectors}\n"
    "Doorbell Vector Shift -\t{shift}\nDoorbell Valid Mask -\t{valid:#x}\n"
    "Doorbell Link Mask -\t{link:#x}\n"
)
GEN1 = {"count": 15, "vectors": 4, "shift": 5, "valid": 0x7FFF, "link": 0x8000}


def table(cpus: list[str], rows: list[tuple[str, list[int], str]]) -> str:
    """Return /proc/interrupts as the kernel prints it."""
    lines = ["           " + "       ".join(cpus) + "       "]
    lines += [
        f"{label:>3}: " + " ".join(f"{count:>10}" for count in counts) + f"  {what}"
        for label, counts, what in rows
    ]
    return "\n".join(lines) + "\n"


def epf_rows(counts: list[list[int]], action: str = "ntb_epf") -> list[tuple[str, list[int], str]]:
    """Return one line a slot."""
    return [
        (str(40 + slot), list(row), f"PCI-MSIX-{PCI}   {slot}-edge      {action}")
        for slot, row in enumerate(counts)
    ]


def capture(
    folder: Path,
    before: list[list[int]],
    after: list[list[int]],
    cpus: tuple[list[str], list[str]] | None = None,
    action: str = "ntb_epf",
) -> Path:
    """Write a capture: slots' counts before and after, the QP stats of a real recording."""
    folder.mkdir()
    names = cpus or (["CPU0", "CPU1"], ["CPU0", "CPU1"])
    for when, counts, header in (("before", before, names[0]), ("after", after, names[1])):
        (folder / f"{when}-interrupts").write_text(table(header, epf_rows(counts, action)))
        shutil.copytree(FOUR / f"{when}-stats" / PCI, folder / f"{when}-stats" / PCI)
    return folder


def with_info(folder: Path, name: str = PCI, **facts: int) -> Path:
    """Put intel's debugfs `info` of a device into a capture."""
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / name).write_text(INFO.format(**facts))
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def set_counters(path: Path, **values: int) -> None:
    """Write these values into a QP's stats."""
    text = path.read_text()
    for name, value in values.items():
        text, found = re.subn(rf"^{name} -\s+\d+", f"{name} - {value}", text, flags=re.MULTILINE)
        assert found == 1, name
    path.write_text(text)


def counter(path: Path, name: str) -> int:
    """Return one of a QP's stats."""
    (value,) = re.findall(rf"^{name} -\s+(\d+)", path.read_text(), re.MULTILINE)
    return int(value)


def measured(path: Path) -> Measured:
    """Return what a capture measured, of which every file can be used."""
    found = ingest([path])
    assert found.errors == []
    return found


def explained(path: Path, *args: str, to: Path | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Ingest and explain a capture; return the exit code and the explanations."""
    folder = path.parent if to is None else to
    assert main(["ingest", str(path), "-o", str(folder / "m.json")]) == 0
    code = main(["explain", str(folder / "m.json"), "-o", str(folder / "e.json"), *args])
    record = json.loads((folder / "e.json").read_text())
    assert record["schema"] == "ntbbench.explain/1"
    return code, record["explanations"]

# SPDX-License-Identifier: BSD-3-Clause
"""Real snapshots, and what other machines and accidents would make of them."""

import shutil
from pathlib import Path

from recordings import DATA, LOOP_612

TOOLS = DATA / "tools"
FOUR = LOOP_612 / "fallback-four-qps"
PCI = "0000:00:04.0"


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


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

# SPDX-License-Identifier: BSD-3-Clause
"""Which files an argument of a comparison names: one, several joined by commas, or a folder's."""

import re
from collections.abc import Sequence
from pathlib import Path

from ntbbench.capture.ingest import is_capture
from ntbbench.core.errors import InputError

RUNS = (".json", ".txt")  # what the runs in a folder are called: all of them alike


def paths_of(argument: str) -> list[Path]:
    """Return the files that an argument names; those of a folder in the order of their numbers.

    A capture is one result, and so is a folder without runs, as that of criterion.
    """
    path = Path(argument)
    if path.is_dir() and is_capture(path):
        return [path]
    if path.is_dir():
        files = [p for p in path.iterdir() if p.suffix in RUNS and p.is_file()]
        for suffix in RUNS:
            if runs := [file for file in files if file.suffix == suffix]:
                return sorted(runs, key=_by_numbers)
    if path.exists() or "," not in argument:
        return [path]
    return [Path(part) for part in argument.split(",") if part]


def _by_numbers(path: Path) -> list[str | int]:
    """Return a key that sorts run9.json before run10.json."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if part.isdecimal() else part for part in parts]


def check_folders(arguments: Sequence[str]) -> None:
    """Refuse to pair the files of folders that share some of their names: which pair is not known.

    Folders that share none are paired in their order. InputError: the first file without a partner.
    """
    folders = [argument for argument in arguments if Path(argument).is_dir()]
    names = [{path.name for path in paths_of(folder)} for folder in folders]
    for folder, other in zip(folders[1:], names[1:], strict=True):
        odd = sorted(names[0] ^ other)
        if odd and names[0] & other:
            held = folders[0] if odd[0] in names[0] else folder
            allowed = f"files of the same names in {folders[0]} and {folder}"
            raise InputError("--paired", str(Path(held) / odd[0]), allowed)

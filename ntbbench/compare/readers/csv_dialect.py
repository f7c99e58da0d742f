# SPDX-License-Identifier: BSD-3-Clause
"""How a table of runs is written: what stands between cells, and what a decimal sign is.

Neither is guessed: the header and the first row must agree on one separator, and a comma that may
as well group thousands is refused. What is not the usual is told.
"""

import csv
import re
from pathlib import Path

from ntbbench.core.errors import InputError

USUAL, OTHERS = ",", (";", "\t")
NAMES = {",": "','", ";": "';'", "\t": "tabs"}
GROUPED = re.compile(r"\s*-?[1-9]\d{0,2}(,\d{3})+\s*")
ONE_SEPARATOR = "commas, semicolons or tabs between cells, the same in the header and the first row"
POINTS = "decimal points: a comma may stand for thousands here, and no cell tells"


def is_number(text: str) -> bool:
    """Return whether a cell is a number, with a decimal point or a decimal comma."""
    try:
        float(text.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of one line; csv.Error: its quotes are no pairs."""
    return next(csv.reader([line], delimiter=separator, strict=True), [])


def separator_of(header: str, row: str, path: Path) -> str:
    """Return what stands between the cells of a table, by its first two lines.

    InputError: several separators fit, or none.
    """
    found = [mark for mark in (USUAL, *OTHERS) if mark in header]
    if len(found) < 2:
        return found[0] if found else USUAL
    fitting = [mark for mark in found if _fits(header, row, mark)]
    if len(fitting) != 1:
        raise InputError(f"{path}: header", header.strip(), ONE_SEPARATOR)
    return fitting[0]


def _fits(header: str, row: str, separator: str) -> bool:
    """Return whether both lines have as many cells, the second those with numbers."""
    try:
        names, cells = cells_of(header, separator), cells_of(row, separator)
    except csv.Error:
        return False
    return len(names) == len(cells) > 1 and all(is_number(cell) for cell in cells if cell)


class DecimalSign:
    """The decimal sign of a table, as its cells tell it; where commas separate, it is a point."""

    def __init__(self, separator: str, path: Path) -> None:
        self.path = path
        self.may_be_comma = separator != USUAL
        self.comma = ""  # the first cell with a comma
        self.point = ""  # the first cell with a point
        self.settled = False  # whether a comma is surely a decimal sign

    def plain(self, cell: str, where: str) -> str:
        """Return a cell with a decimal point; InputError: a table has commas and points."""
        if not self.may_be_comma or ("," not in cell and "." not in cell):
            return cell
        if "," in cell:
            self.comma = self.comma or cell
            self.settled |= GROUPED.fullmatch(cell) is None
        else:
            self.point = self.point or cell
        if self.comma and self.point:
            other = self.point if "," in cell else self.comma
            raise InputError(where, cell, f"one decimal sign in all cells, as in {other!r}")
        return cell.replace(",", ".", 1)

    def check(self) -> None:
        """Refuse commas that may all group thousands."""
        if self.comma and not self.settled:
            raise InputError(str(self.path), self.comma, POINTS)


def told(separator: str, sign: DecimalSign) -> list[str]:
    """Return how a table was read, where that is not with commas and decimal points."""
    if separator == USUAL:
        return []
    decimal = "','" if sign.comma else "'.'"
    return [f"read with {NAMES[separator]} between cells and {decimal} as the decimal sign"]

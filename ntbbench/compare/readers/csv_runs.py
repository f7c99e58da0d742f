# SPDX-License-Identifier: BSD-3-Clause
"""A plain CSV of runs: a column a variant (or a metric), a row a run, empty cells missing."""

import csv
import io
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ntbbench.compare.readers.checked import ALLOWED as NUMBERS
from ntbbench.compare.readers.checked import (
    LARGEST_SAMPLE,
    SMALLEST_SAMPLE,
    read_bytes,
)
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import open_input
from ntbbench.core.names import encodable

SOURCE = "csv"
ALLOWED = f"a decimal number, {NUMBERS}, or an empty cell"


class CsvColumn:
    """The numbers of one column and the rows they stand in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = array("d")
        self.rows = array("q")

    def series(self, metric: str) -> Series:
        """Return the column as a noisy series."""
        return Series(metric=metric, kind="noisy", samples=np.frombuffer(self.values))

    def row_numbers(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the data row of each sample."""
        return np.frombuffer(self.rows, dtype=np.int64)


def load_runs(paths: Sequence[Path]) -> list[Variant]:
    """Return a variant a column, the first the base; each file is one metric, named by its stem.

    InputError: anything that is not such a table, naming the row and the column.
    """
    variants: dict[str, Variant] = {}
    for path in paths:
        metric = encodable(path.stem)
        if any(metric in variant.series for variant in variants.values()):
            raise InputError("--runs", str(path), "files with different names")
        for column in _read_columns(path):
            variant = variants.setdefault(column.name, Variant(column.name, SOURCE, {}))
            if column.values:
                variant.series[metric] = column.series(metric)
                variant.row_numbers[metric] = column.row_numbers()
    return list(variants.values())


def load_columns(path: Path, label: str, data: bytes | None = None) -> Variant:
    """Return one variant whose metrics are the columns of a CSV, those that are not empty.

    `data` is what was read already: a pipe is read once.
    """
    found = _read_columns(path) if data is None else _columns_of(io.BytesIO(data), path)
    columns = [column for column in found if column.values]
    return Variant(
        label,
        SOURCE,
        {column.name: column.series(column.name) for column in columns},
        row_numbers={column.name: column.row_numbers() for column in columns},
    )


def is_table(data: bytes) -> bool:
    """Return whether a text is a table of runs whatever its name says: a header, then numbers."""
    lines = data.decode("utf-8-sig", "replace").splitlines()[:2]
    try:
        header, first = csv.reader(lines, strict=True)
    except (csv.Error, ValueError):  # ValueError: it has no two rows
        return False
    is_wide = len(first) == len(header) and any(first)
    return (
        is_wide and not any(map(_is_number, header)) and all(map(_is_number, filter(None, first)))
    )


def _read_columns(path: Path) -> list[CsvColumn]:
    try:
        if not path.is_file():
            return _columns_of(io.BytesIO(read_bytes(path)), path)
        with open_input(path) as raw:
            return _columns_of(raw, path)
    except OSError as error:
        raise InputError("input", str(path), error.strerror or "cannot be read") from error


def _columns_of(raw: BinaryIO, path: Path) -> list[CsvColumn]:
    try:
        with io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            return parse(csv.reader(text, strict=True), path)
    except UnicodeDecodeError as error:
        raise InputError("input", str(path), "text in UTF-8") from error
    except csv.Error as error:
        raise InputError("input", str(path), f"a CSV table: {error}") from error


def parse(rows: Iterator[list[str]], path: Path) -> list[CsvColumn]:
    """Return the columns of a table with a header."""
    header = next(rows, None)
    if not header:
        raise InputError("input", str(path), "a header with a variant a column; this file is empty")
    seen: set[str] = set()
    for index, name in enumerate(header):
        if not name.strip():
            raise InputError(f"{path}: column {index + 1}", name, "a name")
        if name in seen:
            raise InputError(f"{path}: header", name, "each name once")
        if _is_number(name):
            raise InputError(
                f"{path}: header", name, "a name, not a number: is the header missing?"
            )
        seen.add(name)
    columns = [CsvColumn(name) for name in header]
    for number, row in enumerate(rows, start=1):
        if not row and len(header) > 1:  # a blank line
            continue
        if len(row) > len(header) or (len(row) < len(header) and len(header) > 1):
            raise InputError(
                f"{path}: row {number}", f"{len(row)} cells", f"{len(header)}, as in the header"
            )
        for column, cell in zip(columns, row, strict=False):
            if cell:
                column.values.append(_checked_number(cell, path, number, column.name))
                column.rows.append(number)
    return columns


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _checked_number(cell: str, path: Path, number: int, name: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    # float() takes digit separators and the digits of every script; a table of runs has neither.
    usable = value == 0 or SMALLEST_SAMPLE <= value <= LARGEST_SAMPLE  # False for NaN
    if not usable or "_" in cell or not cell.isascii():
        raise InputError(f"{path}: row {number}, column {name!r}", cell, ALLOWED)
    return value

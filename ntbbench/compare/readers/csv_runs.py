# SPDX-License-Identifier: BSD-3-Clause
"""A plain CSV of runs: a column a variant (or a metric), a row a run, empty cells missing."""

import csv
import io
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ntbbench.compare.readers.checked import ALLOWED as NUMBERS
from ntbbench.compare.readers.checked import (
    LARGEST_SAMPLE,
    SMALLEST_SAMPLE,
    read_bytes,
)
from ntbbench.compare.readers.content import Content, ResultReader
from ntbbench.compare.readers.csv_dialect import (
    DecimalSign,
    cells_of,
    is_number,
    separator_of,
    told,
)
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import ENCODING, open_input
from ntbbench.core.names import encodable

SOURCE = "csv"
ALLOWED = f"a decimal number, {NUMBERS}, or an empty cell"
NO_TABLES = (".json", ".gz", ".xz", ".zip")  # a text of such a name must look like a table
CELL_ENDS = re.compile(r'"?[,;\t]"?')
INDEX_NAMES = ("", "Unnamed: 0")  # as pandas writes an index without a name, and reads it again
RUN = "run"


class CsvColumn:
    """The numbers of one column and the rows they stand in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = array("d")
        self.rows = array("q")

    def series(self, metric: str) -> Series:
        """Return the column as a noisy series."""
        return Series(metric=metric, kind="noisy", samples=self.row_values())

    def row_values(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the samples, float64[n]."""
        return np.frombuffer(self.values)

    def row_numbers(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the data row of each sample."""
        return np.frombuffer(self.rows, dtype=np.int64)


@dataclass(frozen=True)
class CsvTable:
    """The columns of a table, and notes on how it was read."""

    columns: list[CsvColumn]
    notes: list[str]


def recognises(content: Content) -> bool:
    """Return whether a text is no JSON, and by its name or its first row a table."""
    if content.is_large_table:
        return True
    if content.is_json or content.path.is_dir():
        return False
    is_named_otherwise = content.path.suffix.lower() in NO_TABLES
    return is_table(content.head) if is_named_otherwise else _may_be_table(content.head)


def read(content: Content, label: str) -> Variant:
    """Return one variant whose metrics are the columns of a CSV, those that are not empty."""
    if content.is_large_table:
        table = _read_table(content.path)
    else:
        table = _table_of(io.BytesIO(content.data), content.path)
    columns = [column for column in table.columns if column.values]
    return Variant(
        label,
        SOURCE,
        {column.name: column.series(column.name) for column in columns},
        row_numbers={column.name: column.row_numbers() for column in columns},
        notes=tuple(table.notes),
    )


def load_runs(paths: Sequence[Path]) -> list[Variant]:
    """Return a variant a column, the first the base; each file is one metric, named by its stem.

    InputError: anything that is not such a table, naming the row and the column.
    """
    variants: dict[str, Variant] = {}
    notes: list[str] = []
    for path in paths:
        metric = encodable(path.stem)
        if any(metric in variant.series for variant in variants.values()):
            raise InputError("--runs", str(path), "files with different names")
        table = _read_table(path)
        notes += [f"{metric}: {note}" for note in table.notes]
        for column in table.columns:
            variant = variants.setdefault(column.name, Variant(column.name, SOURCE, {}))
            if column.values:
                variant.series[metric] = column.series(metric)
                variant.row_numbers[metric] = column.row_numbers()
    base, *others = variants.values()  # a table has a column
    return [replace(base, notes=tuple(notes)), *others]  # said once, of the base


def is_table(head: bytes) -> bool:
    """Return whether a text begins as a table of runs does: a header, then numbers."""
    lines = head.decode("utf-8", "replace").splitlines()
    if len(lines) < 2:
        return False
    try:
        separator = separator_of(lines[0], lines[1], Path())
        header, first = (cells_of(line, separator) for line in lines[:2])
    except (csv.Error, InputError):
        return False
    is_wide = len(first) == len(header) and any(first)
    return is_wide and not any(map(is_number, header)) and all(map(is_number, filter(None, first)))


def _may_be_table(head: bytes) -> bool:
    """Return whether a row follows the header, or nothing does: prose is no damaged table."""
    _, _, rest = head.decode("utf-8", "replace").partition("\n")
    row = rest.partition("\n")[0]
    return not rest or any(map(is_number, CELL_ENDS.split(row)))


def _read_table(path: Path) -> CsvTable:
    try:
        if not path.is_file():
            return _table_of(io.BytesIO(read_bytes(path)), path)
        with open_input(path) as raw:
            return _table_of(raw, path)
    except OSError as error:
        raise InputError("input", str(path), error.strerror or "cannot be read") from error


def _table_of(raw: BinaryIO, path: Path) -> CsvTable:
    try:
        with io.TextIOWrapper(raw, ENCODING, newline="") as text:
            begin, second = text.readline(), text.readline()
            separator = separator_of(begin, second, path)
            rows = csv.reader(chain((begin, second), text), delimiter=separator, strict=True)
            sign = DecimalSign(separator, path)
            columns = parse(rows, path, sign)
            sign.check()
            return _without_index(columns, told(separator, sign))
    except UnicodeDecodeError as error:
        raise InputError("input", str(path), "text in UTF-8") from error
    except csv.Error as error:
        raise InputError("input", str(path), f"a CSV table: {error}") from error


def _without_index(columns: list[CsvColumn], notes: list[str]) -> CsvTable:
    """Return the table without a first column that only numbers the rows, which is said."""
    kind = _index_of(columns)
    if not kind:
        return CsvTable(columns, notes)
    note = f"the first column, {columns[0].name!r}, is {kind} and is not compared"
    return CsvTable(columns[1:], [*notes, note])


def parse(rows: Iterator[list[str]], path: Path, sign: DecimalSign) -> list[CsvColumn]:
    """Return the columns of a table with a header."""
    header = next(rows, None)
    if not header:
        raise InputError("input", str(path), "a header with a variant a column; this file is empty")
    _check_header(header, path)
    columns = [CsvColumn(name) for name in header]
    for number, row in enumerate(rows, start=1):
        if not row and len(header) > 1:  # a blank line
            continue
        if len(row) > len(header) or (len(row) < len(header) and len(header) > 1):
            hint = "" if len(header) > 1 else "; in a single column write decimal points"
            allowed = f"{len(header)}, as in the header{hint}"
            raise InputError(f"{path}: row {number}", f"{len(row)} cells", allowed)
        for column, cell in zip(columns, row, strict=False):
            if cell:
                where = f"{path}: row {number}, column {column.name!r}"
                column.values.append(_checked_number(cell, where, sign))
                column.rows.append(number)
    if columns[0].name in INDEX_NAMES and not _index_of(columns):
        raise InputError(f"{path}: column 1", columns[0].name, "a name, or an index 0, 1, 2, ...")
    return columns


def _check_header(header: Sequence[str], path: Path) -> None:
    """Refuse names that are none; that of an index may be missing."""
    seen: set[str] = set()
    for index, name in enumerate(header):
        if not name.strip() and (index or len(header) == 1 or name):
            raise InputError(f"{path}: column {index + 1}", name, "a name")
        if name in seen:
            raise InputError(f"{path}: header", name, "each name once")
        if is_number(name):
            allowed = "a name, not a number: is the header missing?"
            raise InputError(f"{path}: header", name, allowed)
        seen.add(name)


def _index_of(columns: Sequence[CsvColumn]) -> str:
    """Return what the first column is where it only numbers the rows; "" of a metric."""
    first = columns[0]
    values, name = first.row_values(), first.name
    if len(columns) < 2:
        return ""
    whole = all(column.rows[-1] <= len(values) for column in columns if column.rows)
    if name in INDEX_NAMES and whole and np.array_equal(values, np.arange(len(values))):
        return "an index"
    rises = bool((np.diff(values) > 0).all() and (values % 1 == 0).all())
    shuffled = np.array_equal(np.sort(values), np.arange(1, len(values) + 1))
    is_run = name.strip().lower() == RUN and (rises or shuffled)
    return "the number of the run" if is_run else ""


def _checked_number(cell: str, where: str, sign: DecimalSign) -> float:
    text = sign.plain(cell, where) if sign.may_be_comma else cell
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # float() takes digit separators and the digits of every script; a table of runs has neither.
    usable = value == 0 or SMALLEST_SAMPLE <= value <= LARGEST_SAMPLE  # False for NaN
    if not usable or "_" in cell or not cell.isascii():
        raise InputError(where, cell, ALLOWED)
    return value


READER = ResultReader(recognises, read)

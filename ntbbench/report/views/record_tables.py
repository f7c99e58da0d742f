# SPDX-License-Identifier: BSD-3-Clause
"""Tables whose columns are the declared fields of a record, a row a record."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import Struct

from ntbbench.core.fields import declared
from ntbbench.report.document import Cell, Column, Table, column, number


def record_table(
    title: str, record: type[Struct], rows: Iterable[Struct], notes: Sequence[str] = ()
) -> Table:
    """Return the table of records of one type."""
    return Table(title, columns_of(record), [cells_of(row) for row in rows], notes)


def columns_of(record: type[Struct]) -> list[Column]:
    """Return the columns of a record's declared fields; numbers are to the right."""
    numbers = (int, float, float | None)
    return [
        replace(column(record, name), align="right" if about.type in numbers else "left")
        for name, about in declared(record).items()
    ]


def cells_of(row: Struct) -> list[Cell]:
    """Return the cells of a record's declared fields."""
    return [cell_of(getattr(row, name)) for name in declared(type(row))]


def cell_of(value: Any) -> Cell:
    """Return a value as people read it: sets of numbers in braces, both ends of a range."""
    if isinstance(value, int | float):
        return number(value, ".2f" if isinstance(value, float) else "")
    return Cell(_text(value))


def _text(value: Any) -> str:
    match value:
        case None | []:
            return "-"
        case (low, high) if isinstance(value, tuple):
            return str(low) if low == high else f"{low}-{high}"
        case [list(), *_]:
            return " or ".join(f"{{{_text(numbers)}}}" for numbers in value)
        case list():
            return ", ".join(map(str, value))
    return str(value)

# SPDX-License-Identifier: BSD-3-Clause
"""Tables of several kinds of result: records as rows, and measured beside predicted."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from ntbbench.report.document import Cell, Column, Table, column, number, words

UNKNOWN = "?"


def record_table(
    title: str,
    record: type[Struct],
    names: Iterable[str],
    rows: Sequence[Struct],
    **special: Callable[[Any], Cell],
) -> Table:
    """Return a table with a column per declared field and a row per record.

    Parameters
    ----------
    special : by a field's name, what makes the cell of a record instead of the field's value.
    """
    listed = list(names)
    cells = [
        [special[n](row) if n in special else amount_cell(getattr(row, n)) for n in listed]
        for row in rows
    ]
    return Table(title, [column(record, name) for name in listed], cells)


def beside(measured: str, rows: Iterable[tuple[str, int, int | None]], title: str = "") -> Table:
    """Return a table of quantities: measured, predicted (None: nothing is), and the difference."""
    columns = (Column("", align="left"), *map(Column, (measured, "predicted", "difference")))
    return Table(title, columns, [_row(*row) for row in rows])


def _row(name: str, measured: int, predicted: int | None) -> tuple[Cell, ...]:
    if predicted is None:
        return words(name, measured, "", "")
    difference = measured - predicted
    return (*words(name, measured, predicted), number(difference, "+d" if difference else "d"))


def amount(value: float | None) -> str:
    """Return a number: whole ones whole, others with four digits; None: `?`."""
    if value is None:
        return UNKNOWN
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def amount_cell(value: float | str | None) -> Cell:
    """Return the cell of a word, or of a number that may not be known."""
    return Cell(value) if isinstance(value, str) else Cell(amount(value), value)


def span(low: float | None, high: float | None) -> str:
    """Return the bounds of a number; one number where they are equal."""
    return amount(low) if low == high else f"{amount(low)}..{amount(high)}"


def span_cell(low: float | None, high: float | None) -> Cell:
    """Return the cell of a number that has bounds."""
    return Cell(UNKNOWN if low is None else span(low, high), low)

# SPDX-License-Identifier: BSD-3-Clause
"""Tables whose columns are the declared fields of a record, a row a record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from msgspec import Struct

from ntbbench.core.fields import declared
from ntbbench.report.document import Cell, Column, Sheet, Table, column, number, words


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


PER_QP = "_per_qp"


def qp_sheet(
    points: Sequence[Struct],
    shared: Sequence[str],
    lists: Sequence[str],
    flat: Callable[[object], object] = lambda value: value,
) -> Sheet:
    """Return a row a point and QP: the point's values, then those of the QP.

    A point without QPs has one row, with an empty qp_num. `flat` makes a cell of a value.
    """

    def rows() -> Iterator[list[object]]:
        for point in points:
            values = [flat(getattr(point, name)) for name in shared]
            numbers = [getattr(point, name) or [] for name in lists]
            qps = max(map(len, numbers), default=0)
            for qp_num in range(qps):
                cells = [one[qp_num] if qp_num < len(one) else "" for one in numbers]
                yield [*values, qp_num, *cells]
            if not qps:
                yield [*values, "", *[""] * len(lists)]

    return Sheet([*shared, "qp_num", *(name.removesuffix(PER_QP) for name in lists)], rows())


UNKNOWN = "?"


def field_table(
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

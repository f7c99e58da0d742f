# SPDX-License-Identifier: BSD-3-Clause
"""What was measured beside what a model says: tables and cells of several kinds of result."""

from collections.abc import Iterable

from ntbbench.report.document import Cell, Column, Table, number, words

UNKNOWN = "?"


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


def span(low: float | None, high: float | None) -> str:
    """Return the bounds of a number; one number where they are equal."""
    return amount(low) if low == high else f"{amount(low)}..{amount(high)}"


def amounts(*values: float | None) -> list[Cell]:
    """Return the cells of numbers that may not be known."""
    return [Cell(amount(value), value) for value in values]


def spanned(low: float | None, high: float | None) -> Cell:
    """Return the cell of a number that has bounds."""
    return Cell(UNKNOWN if low is None else span(low, high), low)

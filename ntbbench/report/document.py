# SPDX-License-Identifier: BSD-3-Clause
"""A report as data: what a view builds from a record, and every renderer writes in its format.

Texts here are plain: a renderer escapes and folds them, and knows nothing of NTB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from msgspec import Struct

from ntbbench.core.fields import declared

if TYPE_CHECKING:
    from ntbbench.report.page import Figure

Align = Literal["left", "right"]
Shown = Literal["everywhere", "page", "terminal"]
Quoting = Literal["texts", "rows", "needed"]
Item = TypeVar("Item")


class Deferred(Sequence[Item]):
    """Parts that are made when a renderer first looks at them: CSV and JSON never do.

    Large reports defer their blocks, and the rows of tables that only a page shows.
    """

    def __init__(self, make: Callable[[], Iterable[Item]]) -> None:
        self._make = make

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        return tuple(self._make())

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | Sequence[Item]:
        return self._items[at]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    title : in words.
    hint : one sentence, for a pointer that rests on the header.
    head : the title where columns are few; a newline breaks it. Empty: `title`.
    align : words to the left, numbers to the right.
    """

    title: str
    hint: str = ""
    head: str = ""
    align: Align = "right"


class Cell(Struct, frozen=True):
    """What a cell shows; `value` is what a page sorts by, at full precision."""

    text: str
    value: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table; one without rows is left out of every format, and so are heads that are all empty.

    Parameters
    ----------
    groups : a heading and the number of rows below it, for each group in turn; empty: one group.
    keys : columns that name a row: a table too wide for the format repeats them.
    shown : `page` tables are too large for a text, `terminal` ones are drawn by a page's figures.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    groups: Sequence[tuple[str, int]] = ()
    keys: int = 1
    shown: Shown = "everywhere"


@dataclass(frozen=True)
class Notes:
    """A list of sentences, each with sentences of its own below it."""

    title: str
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Drawing:
    """Lines of ASCII that stay as they are: a map, bit by bit."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Details:
    """What a reader opens: a point, with all that is known of it. Markdown folds it."""

    title: str
    blocks: Sequence[Block]


Block = Table | Notes | Drawing | Details


@dataclass(frozen=True)
class Section:
    """Figures of a page under one heading; empty texts are left out."""

    title: str
    figures: Sequence[Figure]
    intro: str = ""
    name: str = ""


@dataclass(frozen=True)
class Check:
    """A test case of a report: what JUnit and KTAP call a test.

    Parameters
    ----------
    ok : None where nothing could be tried; `reason` then says why.
    diagnostics : lines for whoever reads a failure.
    checks : subtests; `ok` is then theirs.
    """

    name: str
    ok: bool | None
    reason: str = ""
    diagnostics: Sequence[str] = ()
    checks: Sequence[Check] = ()


@dataclass(frozen=True)
class Sheet:
    """Raw numbers for other tools, unscaled: the rows of the CSV.

    Parameters
    ----------
    quoting : every text has quotes; every text but the headers'; or those with a comma, a quote or
        a newline, for a report whose texts are all its own.
    """

    headers: Sequence[str]
    rows: Iterable[Sequence[object]]
    quoting: Quoting = "texts"


@dataclass(frozen=True)
class Document:
    """A whole report.

    Parameters
    ----------
    title : the command.
    verdict : one line that answers the question; it comes first in every format.
    lines : what was asked, in a few sentences.
    blocks : tables, lists and details, in the order of reading.
    warnings : each with what it holds for.
    facts : the environment.
    record : what JSON writes.
    sheet, figures, checks : made only for the formats that show them.
    """

    title: str
    verdict: str
    record: Struct
    lines: Sequence[str] = ()
    blocks: Sequence[Block] = ()
    warnings: Sequence[tuple[str, Sequence[str]]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    sheet: Callable[[], Sheet] | None = None
    figures: Callable[[], Sequence[Section]] | None = None
    checks: Callable[[], Sequence[Check]] | None = None


def column(record: type[Struct], name: str, head: str = "") -> Column:
    """Return the column of a declared field: its title, unit and definition are the record's."""
    about = declared(record)[name]
    unit = f" ({about.unit})" if about.unit else ""
    align: Align = "left" if about.type is str else "right"
    return Column(about.title + unit, about.definition, head or about.head, align)


def number(value: float | None, spec: str = "") -> Cell:
    """Return the cell of a number; None is a dash."""
    return Cell("-") if value is None else Cell(format(value, spec), value)


def first(messages: Sequence[str], limit: int) -> Sequence[str]:
    """Return the first `limit` messages, and how many more there are."""
    left = len(messages) - limit
    return messages if left <= 0 else [*messages[:limit], f"and {left} more, in the JSON"]


def words(*texts: object) -> tuple[Cell, ...]:
    """Return a row of plain texts; numbers among them sort as numbers."""
    return tuple(Cell(str(text), text if isinstance(text, int | float) else None) for text in texts)

# SPDX-License-Identifier: BSD-3-Clause
"""A report as data: what a view builds from a record, and every renderer writes in its format.

Texts here are plain: a renderer escapes and folds them, and knows nothing of NTB.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_origin, overload

from msgspec import Struct

from ntbbench.core.errors import InputError
from ntbbench.core.fields import declared

if TYPE_CHECKING:
    from ntbbench.report.page import Figure

Align = Literal["left", "right"]
Shown = Literal["everywhere", "brief", "page", "terminal", "plain", "marked", "mail"]
# The formats that a block is for; one that is not listed here is for all of them but `brief`.
FORMATS_OF: Mapping[Shown, Collection[str]] = {
    "brief": ("brief",),  # of a text without -v, in place of what is `detail`
    "page": ("html",),
    "terminal": ("text", "mail", "md"),
    "plain": ("text", "mail"),  # lines of fixed width: no room for wide tables
    "marked": ("md", "html"),
    "mail": ("mail",),
}
Tone = Literal["", "good", "fair", "poor", "bad", "off"]  # off: it could not be tried
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
    """What a cell shows.

    Parameters
    ----------
    value : what a page sorts by, at full precision.
    tone : a page colours the cell by it; `text` says the same in words.
    hint : one sentence, for a pointer that rests on the cell.
    """

    text: str
    value: float | None = None
    strong: bool = False
    tone: Tone = ""
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """A table; one without rows is left out of every format, and so are heads that are all empty.

    Parameters
    ----------
    groups : a heading and the number of rows below it, for each group in turn; empty: one group.
    keys : columns that name a row: a table too wide for the format repeats them.
    shown : `page` tables are too large for a text, `terminal` ones are drawn by a page's figures.
    ordered : what matters most comes first, so that Markdown may leave out the end of a long one.
    detail : a text shows it with -v alone.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    groups: Sequence[tuple[str, int]] = ()
    keys: int = 1
    shown: Shown = "everywhere"
    ordered: bool = False
    detail: bool = False


@dataclass(frozen=True)
class Notes:
    """A list of sentences, each with sentences of its own below it."""

    title: str
    rows: Sequence[tuple[str, Sequence[str]]]
    shown: Shown = "everywhere"
    detail: bool = False


@dataclass(frozen=True)
class Drawing:
    """Lines of ASCII that stay as they are: a map, bit by bit."""

    title: str
    lines: Sequence[str]
    detail: bool = False


@dataclass(frozen=True)
class Details:
    """What a reader opens: a point, with all that is known of it. Markdown folds it.

    Parameters
    ----------
    attention : it is a part of the answer, as a point that disagrees: it is not folded.
    """

    title: str
    blocks: Sequence[Block]
    detail: bool = False
    attention: bool = False


Block = Table | Notes | Drawing | Details


@dataclass(frozen=True)
class Section:
    """Figures of a page under one heading; empty texts are left out.

    Parameters
    ----------
    below : under the tables, not above them.
    """

    title: str
    figures: Sequence[Figure]
    intro: str = ""
    name: str = ""
    below: bool = False


@dataclass(frozen=True)
class Check:
    """A test case of a report: what JUnit and KTAP call a test, and GitHub annotates.

    Parameters
    ----------
    ok : None where nothing could be tried; `reason` then says why.
    reason : one line on what was found.
    diagnostics : lines for whoever reads a failure.
    checks : subtests; `ok` is then theirs, and the name is what JUnit calls their class.
    error : it failed because nothing was there to measure.
    notable : it did not fail, and a reader wants to know.
    """

    name: str
    ok: bool | None
    reason: str = ""
    diagnostics: Sequence[str] = ()
    checks: Sequence[Check] = ()
    error: bool = False
    notable: bool = False


@dataclass(frozen=True)
class Revision:
    """A state of the code under test, for what keeps builds and tests by revision.

    Parameters
    ----------
    commit : its id, or the Message-ID of its mail.
    builds : None where it does not apply, or was not built.
    reason : why it does not apply or build.
    """

    name: str
    commit: str
    applies: bool
    builds: bool | None
    reason: str
    tests: Sequence[Check]


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
    blocks : tables, lists and details, in the order of reading; `Deferred` where they are many.
    warnings : each with what it holds for.
    facts : the environment.
    record : what JSON writes.
    indent : of the JSON; 0: none.
    tone : of the verdict, for what has colours.
    whole : a text is never cut: the tables are what was asked for.
    ran : it tells of code that ran here, so that a mail says on what: the facts.
    trailers : lines that end a mail, as `Tested-by: NAME <MAIL>`.
    sheet, figures, checks, revisions : made only for the formats that show them.
    """

    title: str
    verdict: str
    record: Struct | Sequence[Struct]
    lines: Sequence[str] = ()
    blocks: Sequence[Block] = ()
    warnings: Sequence[tuple[str, Sequence[str]]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    indent: int = 2
    tone: Tone = ""
    whole: bool = False
    ran: bool = False
    trailers: Sequence[str] = ()
    sheet: Callable[[], Sheet] | None = None
    figures: Callable[[], Sequence[Section]] | None = None
    checks: Callable[[], Sequence[Check]] | None = None
    revisions: Callable[[], Sequence[Revision]] | None = None

    def parts(self, form: str) -> list[Block]:
        """Return the blocks that a format shows."""
        return _shown(self.blocks, form)

    def tested(self, form: str) -> Sequence[Check]:
        """Return the checks; InputError for a format of tests where the report checks nothing."""
        if self.checks is None:
            raise InputError("--format", form, f"a format of `{self.title}`: it checks nothing")
        return self.checks()

    def revised(self, form: str) -> Sequence[Revision]:
        """Return the revisions; InputError for a format of them where the report has none."""
        if self.revisions is None:
            raise InputError("--format", form, f"a format of a series, not of `{self.title}`")
        return self.revisions()


def _shown(blocks: Sequence[Block], form: str) -> list[Block]:
    found: list[Block] = []
    for block in blocks:
        shown = "everywhere" if isinstance(block, Details | Drawing) else block.shown
        if form == "brief":
            wanted = not block.detail and (shown == "brief" or _is_for("text", shown))
        else:
            wanted = _is_for(form, shown)
        if wanted and isinstance(block, Details):
            found.append(replace(block, blocks=_shown(block.blocks, form)))
        elif wanted:
            found.append(block)
    return found


def _is_for(form: str, shown: Shown) -> bool:
    return form in FORMATS_OF.get(shown, (form,))


def leaves(checks: Sequence[Check], group: str = "") -> Iterator[tuple[str, Check]]:
    """Yield each check that has no subtests, with the name of the check that it is one of."""
    for check in checks:
        if check.checks:
            yield from leaves(check.checks, check.name)
        else:
            yield group, check


def column(record: type[Struct], name: str, head: str = "", unit: str = "") -> Column:
    """Return the column of a declared field: its title, unit and definition are the record's.

    `unit` is the one that the view scales to, where it is another.
    """
    about = declared(record)[name]
    unit = unit or about.unit
    of_words = about.type in (str, list[str]) or get_origin(about.type) is Literal
    title = f"{about.title} ({unit})" if unit else about.title
    return Column(title, about.definition, head or about.head, "left" if of_words else "right")


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

# SPDX-License-Identifier: BSD-3-Clause
"""Tables of words and numbers in every format: 80 columns of ASCII, Markdown, CSV, JSON."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

import msgspec
from tabulate import tabulate

from ntbbench.report.markdown import escaped
from ntbbench.report.wording import ascii_only

WIDTH = 80
GAP = 2  # tabulate puts two spaces between columns
INDENT = "  "
CELL_MIN = 8


@dataclass(frozen=True)
class Table:
    """A title, headers, rows of texts, and notes below them; without rows it is left out."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())


def number(value: float | None) -> str:
    """Return a number for a cell: whole ones whole, others with four digits; None: `?`."""
    if value is None:
        return "?"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def folded(text: str, indent: str) -> list[str]:
    """Return `text` as ASCII lines of at most 80 columns, hanging by two."""
    return wrap(ascii_only(text), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def text_tables(tables: Sequence[Table]) -> list[str]:
    """Return the tables that have rows as lines of at most 80 columns, a blank line between."""
    lines: list[str] = []
    for table in tables:
        if table.rows:
            lines += [*folded(table.title, ""), *_grid(table)]
            for note in table.notes:
                lines += folded(note, INDENT)
            lines.append("")
    return lines


def _grid(table: Table) -> list[str]:
    """Return a table's lines; the widest column is folded until they fit."""
    rows = [[ascii_only(cell) for cell in row] for row in table.rows]
    columns = list(zip(table.headers, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    while sum(widths) + GAP * (len(widths) - 1) + len(INDENT) > WIDTH and max(widths) > CELL_MIN:
        widths[widths.index(max(widths))] -= 1
    cells = [[_fold(cell, w) for cell, w in zip(row, widths, strict=True)] for row in rows]
    headers = [_fold(header, w) for header, w in zip(table.headers, widths, strict=True)]
    align = ["left" if _is_text(column[1:]) else "right" for column in columns]
    lines = tabulate(
        [headers, *cells],
        tablefmt="plain",  # its header would pad every column by two more
        disable_numparse=True,
        colalign=align,
    ).splitlines()
    top = max(1 + header.count("\n") for header in headers)
    lines.insert(top, "-" * max(map(len, lines)))
    return [(INDENT + line).rstrip() for line in lines]


def _fold(cell: str, width: int) -> str:
    return "\n".join(wrap(cell, width)) if len(cell) > width else cell


def _is_text(cells: Iterable[str]) -> bool:
    return not all(cell[:1].isdigit() or cell[:1] in {"", "?", ">", "<", "-"} for cell in cells)


def markdown_tables(tables: Sequence[Table], lists: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return the tables that have rows and the lists that have items as Markdown."""
    blocks: list[str] = []
    for table in tables:
        if table.rows:
            rows = [[escaped(cell) for cell in row] for row in table.rows]
            grid = tabulate(rows, table.headers, "github", disable_numparse=True)
            blocks += [f"### {table.title}", grid]
            blocks += ["\n".join(f"- {escaped(note)}" for note in table.notes)]
    for title, items in lists:
        if items:
            blocks += [f"### {title}", "\n".join(f"- {escaped(item)}" for item in items)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def csv_text(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return CSV with quoted texts and bare numbers; None is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(headers)
    writer.writerows(rows)
    return out.getvalue()


def json_text(data: bytes) -> str:
    """Return JSON, indented."""
    return msgspec.json.format(data, indent=2).decode() + "\n"

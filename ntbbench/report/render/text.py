# SPDX-License-Identifier: BSD-3-Clause
"""Plain ASCII for a terminal: at most 80 columns, the answer first."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from textwrap import wrap

from ntbbench.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Document,
    Drawing,
    Notes,
    Table,
    Tone,
    first,
)
from ntbbench.report.wording import ascii_only, brief_facts

WIDTH = 80
GAP = 2  # spaces between columns
INDENT = "  "
CELL_MIN = 8  # a column of words is folded no narrower
MESSAGES_MAX = 3  # of one kind of warning
COLOURS = {"good": "32", "fair": "33", "poor": "35", "bad": "31", "off": "2"}  # codes of ECMA-48
CODES = re.compile(r"\x1b\[[0-9;]*m")


def render(document: Document, *, colour: bool = False) -> str:
    """Return the whole document as lines of at most 80 columns."""
    return joined(lines_of(document, "text", WIDTH), colour=colour)


def joined(lines: Iterable[str], *, colour: bool = False) -> str:
    """Return lines as a text, with or without the colours in them."""
    text = "\n".join(lines).rstrip("\n") + "\n"
    return text if colour else CODES.sub("", text)


def lines_of(document: Document, form: str, width: int) -> Iterator[str]:
    """Yield the lines of a document in a format, a blank one between its parts."""
    yield from head_of(document, width)
    for block in document.parts(form):
        yield from block_lines(block, width)
    if document.warnings:
        yield from ["", "Warnings"]
        for text, messages in document.warnings:
            yield from folded(text, width, INDENT)
            for message in first(messages, MESSAGES_MAX):
                yield from folded(message, width, INDENT * 2)
    if document.facts:
        yield from ["", "Environment"]
        for line in brief_facts(document.facts):
            yield from folded(line, width, INDENT)


def head_of(document: Document, width: int) -> Iterator[str]:
    """Yield the answer, and what was asked."""
    for line in folded(document.verdict, width):
        yield coloured(line, document.tone, strong=True)
    for line in document.lines:
        yield from folded(line, width)


def coloured(text: str, tone: Tone, *, strong: bool = False) -> str:
    """Return a text in the colour of a tone, which its words say too."""
    codes = ";".join(filter(None, ("1" if strong and tone else "", COLOURS.get(tone, ""))))
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text.strip() else text


def folded(text: str, width: int = WIDTH, indent: str = "") -> list[str]:
    """Return `text` as ASCII lines of at most `width` columns, hanging by two."""
    return [
        line.rstrip()
        for line in wrap(
            ascii_only(text),
            width,
            initial_indent=indent,
            subsequent_indent=indent + INDENT,
            break_on_hyphens=False,
        )
    ]


def block_lines(block: Block, width: int, indent: str = "") -> Iterator[str]:
    """Yield the lines of a block, a blank one before it."""
    match block:
        case Table():
            yield from _table(block, width, indent)
        case Notes():
            yield from _notes(block, width, indent)
        case Drawing():
            yield from ["", *folded(block.title, width, indent)]
            yield from ((indent + ascii_only(line)).rstrip() for line in block.lines)
        case Details():
            yield from ["", *folded(block.title, width, indent)]
            for inner in block.blocks:
                yield from block_lines(inner, width, indent + INDENT)


def _notes(notes: Notes, width: int, indent: str) -> Iterator[str]:
    if notes.title and notes.rows:
        yield from ["", *folded(notes.title, width, indent)]
        indent += INDENT
    for text, inner in notes.rows:
        yield from folded(text, width, indent)
        for line in inner:
            yield from folded(line, width, indent + INDENT)


def _table(table: Table, width: int, indent: str) -> Iterator[str]:
    """Yield a table; one with more columns than fit is cut, and its keys begin each part."""
    if not table.rows:
        return
    margin = indent + INDENT * bool(table.title)
    for at, part in enumerate(
        _parts(table, width - len(margin) - len(INDENT) * bool(table.groups))
    ):
        title = table.title if at == 0 else f"{table.title.partition(':')[0]}, continued"
        if table.title:
            yield from ["", *folded(title, width, indent)]
        elif at:
            yield ""
        yield from _grid(part, width, margin)
    for note in table.notes:
        yield from folded(note, width, indent + INDENT)


def _parts(table: Table, room: int) -> Iterator[Table]:
    """Yield the table in parts of as many columns as fit; words may be folded to fit."""
    widths = _widths(table)
    if any(column.align == "left" for column in table.columns[table.keys :]):
        widths = [min(width, CELL_MIN) for width in widths]
    if sum(widths) + GAP * (len(widths) - 1) <= room:
        yield table
        return
    chosen = keys = list(range(table.keys))
    for at in range(table.keys, len(widths)):
        used = sum(widths[column] + GAP for column in chosen) + widths[at]
        if used > room and len(chosen) > len(keys):
            yield from _part(table, chosen)
            chosen = keys
        chosen = [*chosen, at]
    yield from _part(table, chosen)


def _part(table: Table, chosen: Sequence[int]) -> Iterator[Table]:
    """Yield the table with these columns; a later part has no rows that say nothing there.

    A part that says nothing at all has every row.
    """
    bodies = [[row[column] for column in chosen[table.keys :]] for row in table.rows]
    everything = table.keys in chosen or not any(map(_says, bodies))
    groups: list[tuple[str, int]] = []
    rows: list[list[Cell]] = []
    start = 0
    for heading, size in table.groups or [("", len(table.rows))]:
        kept = [[row[column] for column in chosen] for row in table.rows[start : start + size]]
        kept = [row for row in kept if everything or _says(row[table.keys :])]
        rows += kept
        groups += [(heading, len(kept))] if kept else []
        start += size
    if rows:
        columns = [table.columns[column] for column in chosen]
        yield replace(table, columns=columns, rows=rows, groups=groups if table.groups else ())


def _says(cells: Sequence[Cell]) -> bool:
    return any(cell.text not in ("", "-") for cell in cells)


def _widths(table: Table) -> list[int]:
    columns = zip(*([ascii_only(cell.text) for cell in row] for row in table.rows), strict=True)
    return [
        max(1, *map(len, (*_head(column).split("\n"), *cells)))
        for column, cells in zip(table.columns, columns, strict=True)
    ]


def _head(column: Column) -> str:
    return "\n".join(ascii_only(line) for line in (column.head or column.title).split("\n"))


def _grid(table: Table, width: int, indent: str) -> Iterator[str]:
    """Yield heads, a rule and rows; the widest columns of words are folded until they fit."""
    widths = _widths(table)
    inner = indent + INDENT * bool(table.groups)
    room = width - len(inner) - GAP * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 1:
        # Words fold between two of them; a number and its unit stay in one line where they can.
        wordy = [
            w if c.align == "left" and w > CELL_MIN else 0
            for w, c in zip(widths, table.columns, strict=True)
        ]
        widest = wordy if any(wordy) else widths
        widths[widest.index(max(widest))] -= 1
    heads = [_folded(_head(column), w) for column, w in zip(table.columns, widths, strict=True)]
    if any(map(any, heads)):
        top = max(map(len, heads))
        heads = [[""] * (top - len(head)) + head for head in heads]  # on the rule
        yield from _lines(heads, widths, table.columns, inner)
        yield inner + "-" * (sum(widths) + GAP * (len(widths) - 1))
    rows = iter(table.rows)
    for heading, members in table.groups or [("", len(table.rows))]:
        if heading and members:
            yield from folded(heading, width, indent)
        for row in islice(rows, members):
            cells = [_folded(ascii_only(c.text), w) for c, w in zip(row, widths, strict=True)]
            tones = [cell.tone for cell in row]
            yield from _lines(cells, widths, table.columns, inner, tones)


def _folded(text: str, width: int) -> list[str]:
    """Return the lines of a cell: at least one."""
    if len(text) <= width and "\n" not in text:
        return [text]
    return [part for line in text.split("\n") for part in wrap(line, width) or [""]]


def _lines(
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    columns: Sequence[Column],
    indent: str,
    tones: Sequence[Tone] = (),
) -> Iterator[str]:
    """Yield the lines of a row: words to the left, numbers to the right."""
    for parts in zip_longest(*cells, fillvalue=""):
        padded = [
            part.ljust(width) if column.align == "left" else part.rjust(width)
            for part, width, column in zip(parts, widths, columns, strict=True)
        ]
        padded[-1] = padded[-1].rstrip()
        inked = [coloured(part, tone or "") for part, tone in zip_longest(padded, tones)]
        yield (indent + (" " * GAP).join(inked)).rstrip()

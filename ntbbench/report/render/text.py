# SPDX-License-Identifier: BSD-3-Clause
"""Plain ASCII for a terminal: at most 80 columns, the answer first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import wrap

from tabulate import tabulate

from ntbbench.report.document import Block, Cell, Details, Document, Drawing, Notes, Table
from ntbbench.report.wording import ascii_only, brief_facts

WIDTH = 80
GAP = 2  # tabulate puts two spaces between columns
INDENT = "  "
CELL_MIN = 8  # a column of words is folded no narrower
MESSAGES_MAX = 3  # of one kind of warning


def render(document: Document) -> str:
    """Return the document as lines of at most 80 columns."""
    return "\n".join(lines_of(document, "text", WIDTH)).rstrip("\n") + "\n"


def lines_of(document: Document, form: str, width: int) -> Iterator[str]:
    """Yield the lines of a document in a format, a blank one between its parts."""
    yield from folded(document.verdict, width)
    for line in document.lines:
        yield from folded(line, width)
    for block in document.parts(form):
        yield from _block(block, width, "")
    if document.warnings:
        yield from ["", "Warnings"]
        for text, messages in document.warnings:
            yield from folded(text, width, INDENT)
            for message in _first(messages):
                yield from folded(message, width, INDENT * 2)
    if document.facts:
        yield from ["", "Environment"]
        for line in brief_facts(document.facts):
            yield from folded(line, width, INDENT)


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


def _first(messages: Sequence[str]) -> Sequence[str]:
    left = len(messages) - MESSAGES_MAX
    return messages if left <= 0 else [*messages[:MESSAGES_MAX], f"and {left} more"]


def _block(block: Block, width: int, indent: str) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block, width, indent)
        case Notes():
            yield from _notes(block, width, indent)
        case Drawing():
            yield from ["", *folded(block.title, width, indent)]
            yield from (indent + ascii_only(line) for line in block.lines)
        case Details():
            yield from ["", *folded(block.title, width, indent)]
            for inner in block.blocks:
                yield from _block(inner, width, indent + INDENT)


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
    for at, part in enumerate(_parts(table, width - len(indent) - len(INDENT))):
        title = table.title if at == 0 else f"{table.title.partition(':')[0]}, continued"
        if title:
            yield from ["", *folded(title, width, indent)]
        yield from _grid(part, width, indent + (INDENT if title else ""))
    for note in table.notes:
        yield from folded(note, width, indent + INDENT)


def _parts(table: Table, room: int) -> Iterator[Table]:
    """Yield the table in parts of as many columns as fit; words may still be folded to fit."""
    widths = _widths(table)
    if sum(widths) + GAP * (len(widths) - 1) <= room or _foldable(table):
        yield table
        return
    keys = list(range(table.keys))
    left = room - sum(widths[: table.keys]) - GAP * table.keys
    step = max(1, (left + GAP) // (max(widths[table.keys :]) + GAP))
    for start in range(table.keys, len(widths), step):
        chosen = [*keys, *range(start, min(start + step, len(widths)))]
        yield _with_columns(table, chosen, everything=start == table.keys)


def _with_columns(table: Table, chosen: Sequence[int], *, everything: bool) -> Table:
    """Return the table with these columns; a later part has no rows without a number.

    A part that has no numbers at all is of words, and has every row.
    """
    bodies = [[row[column] for column in chosen[table.keys :]] for row in table.rows]
    everything = everything or not any(map(_has_number, bodies))
    groups: list[tuple[str, int]] = []
    rows: list[list[Cell]] = []
    start = 0
    for heading, size in table.groups or [("", len(table.rows))]:
        kept = [[row[column] for column in chosen] for row in table.rows[start : start + size]]
        kept = [row for row in kept if everything or _has_number(row[table.keys :])]
        rows += kept
        groups += [(heading, len(kept))] if kept else []
        start += size
    columns = [table.columns[column] for column in chosen]
    return replace(table, columns=columns, rows=rows, groups=groups if table.groups else ())


def _has_number(cells: Sequence[Cell]) -> bool:
    return any(cell.value is not None for cell in cells)


def _foldable(table: Table) -> bool:
    return any(column.align == "left" for column in table.columns[table.keys :])


def _widths(table: Table) -> list[int]:
    heads = [max(map(len, _head(table, at).split("\n"))) for at in range(len(table.columns))]
    cells = [max(len(ascii_only(row[at].text)) for row in table.rows) for at in range(len(heads))]
    return [max(pair) for pair in zip(heads, cells, strict=True)]


def _head(table: Table, at: int) -> str:
    return table.columns[at].head or table.columns[at].title


def _grid(table: Table, width: int, indent: str) -> Iterator[str]:
    """Yield heads, a rule and rows; the widest columns of words are folded until they fit."""
    widths = _widths(table)
    room = width - len(indent) - GAP * (len(widths) - 1)
    while sum(widths) > room and max(widths) > CELL_MIN:
        widths[widths.index(max(widths))] -= 1
    texts = [
        [_fold(ascii_only(cell.text), w) for cell, w in zip(row, widths, strict=True)]
        for row in table.rows
    ]
    heads = [_fold(_head(table, at), w) for at, w in enumerate(widths)]
    top = max(1 + head.count("\n") for head in heads)
    heads = ["\n" * (top - 1 - head.count("\n")) + head for head in heads]  # on the rule
    lines = tabulate(
        [heads, *texts],
        tablefmt="plain",  # its header would pad every column by two more
        disable_numparse=True,
        colalign=[column.align for column in table.columns],
    ).splitlines()
    yield from ((indent + line).rstrip() for line in lines[:top])
    yield indent + "-" * max(map(len, lines))
    sizes = [max(1 + text.count("\n") for text in row) for row in texts]
    at, row = top, 0
    for heading, members in table.groups or [("", len(texts))]:
        if heading and members:
            yield from folded(heading, width, indent)
        height = sum(sizes[row : row + members])
        yield from ((indent + line).rstrip() for line in lines[at : at + height])
        at, row = at + height, row + members


def _fold(text: str, width: int) -> str:
    lines = text.split("\n")
    return "\n".join("\n".join(wrap(line, width)) if len(line) > width else line for line in lines)

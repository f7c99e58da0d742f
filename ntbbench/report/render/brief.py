# SPDX-License-Identifier: BSD-3-Clause
"""What a terminal of 24 lines shows at once: the answer, what needs attention, what -v adds."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ntbbench.report.document import Block, Cell, Document, Notes, Table
from ntbbench.report.render.text import WIDTH, block_lines, folded, head_of, joined
from ntbbench.report.render.text import render as render_all
from ntbbench.report.wording import ascii_only

LINES = 23  # the next prompt takes one
WARNINGS_MAX = 3
HEAD_MAX = 7  # lines above the first table
NOTE_MAX = 200  # characters of a note that a cut table keeps


def render(document: Document, *, colour: bool = False) -> str:
    """Return the document cut to a screen; one whose tables are the answer is never cut."""
    if document.whole:
        return render_all(document, colour=colour)
    lines, tail = _head(document), list(_warnings(document))
    left: list[str] = []
    room = LINES - len(lines) - len(tail) - 3  # blank, environment, what -v adds
    for block in document.parts("brief"):
        shown, whole = _fitting(block, room)
        lines += shown
        room -= len(shown)
        left += [] if shown or whole else [block.title]
    left += [block.title for block in document.blocks if block.detail]
    return joined([*lines, *tail, *_last(document, left)], colour=colour)


def _head(document: Document) -> list[str]:
    """Return the answer and what was asked; long sentences about the latter make room for rows."""
    lines = list(head_of(document, WIDTH))
    answer = len(list(head_of(replace(document, lines=()), WIDTH)))
    most = max(HEAD_MAX, answer)
    return lines if len(lines) <= most + 1 else [*lines[:most], "..."]


def _fitting(block: Block, room: int) -> tuple[list[str], bool]:
    """Return the lines of a block that fit, of a list its first rows; and whether that is all."""
    many = isinstance(block, Table | Notes) and len(block.rows) > room
    lines = [] if many else list(block_lines(block, WIDTH))
    if not many and len(lines) <= room:
        return lines, True
    if isinstance(block, Table) and block.notes and not many:
        short = [note for note in block.notes[:1] if len(note) <= NOTE_MAX]
        lines = list(block_lines(replace(block, notes=short), WIDTH))
        if len(lines) <= room:
            return lines, True
    if isinstance(block, Table | Notes):
        for size in range(min(len(block.rows) - 1, room), 0, -1):
            lines = list(block_lines(_first_rows(block, size), WIDTH))
            if len(lines) < room:
                return [*lines, f"  ... and {len(block.rows) - size} more with -v"], False
    return [], False


def _first_rows(block: Table | Notes, size: int) -> Block:
    """Return a block with so many rows, and the first note of a table.

    Of a table those that say something is wrong, then the first; in their own order.
    """
    if isinstance(block, Notes):
        return replace(block, rows=block.rows[:size])
    places = list(range(len(block.rows)))
    if not block.ordered:
        places.sort(key=lambda at: not any(map(_stands_out, block.rows[at])))
    kept = sorted(places[:size])
    groups, start = [], 0
    for heading, members in block.groups:
        here = sum(start <= at < start + members for at in kept)
        groups += [(heading, here)] if here else []
        start += members
    notes = [note for note in block.notes[:1] if len(note) <= NOTE_MAX]
    return replace(block, rows=[block.rows[at] for at in kept], groups=groups, notes=notes)


def _stands_out(cell: Cell) -> bool:
    return cell.tone == "bad" or (cell.strong and not cell.tone and cell.value is None)


def _warnings(document: Document) -> Iterator[str]:
    if not document.warnings:
        return
    yield from ["", "Warnings"]
    for text, messages in document.warnings[:WARNINGS_MAX]:
        many = f" ({len(messages)})" if len(messages) > 1 else ""
        yield from folded(f"{text}{many}", WIDTH, "  ")
    if len(document.warnings) > WARNINGS_MAX:
        yield f"  ... and {len(document.warnings) - WARNINGS_MAX} more with -v"


def _last(document: Document, left: list[str]) -> Iterator[str]:
    """Yield the environment in a line, and what -v adds."""
    names = [name.partition(":")[0] for name in dict.fromkeys(left) if name]
    if names or document.facts:
        yield ""
    if document.facts:
        yield _cut(f"Environment: {', '.join(_facts(document.facts))}", WIDTH)
        names.append("the whole environment")
    if names:
        yield _cut(f"-v adds: {', '.join(names)}", WIDTH)


def _cut(line: str, width: int) -> str:
    """Return a line of at most `width` columns of ASCII, cut between two words."""
    line = ascii_only(line)
    return line if len(line) <= width else f"{line[: width - 3].rpartition(' ')[0].rstrip(',')} ..."


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the first fact of each kind."""
    for key, value in facts.items():
        first = next(iter(value.values()), None) if isinstance(value, Mapping) else value
        if isinstance(first, str) and first:
            yield f"{key} {first}"

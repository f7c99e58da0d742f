# SPDX-License-Identifier: BSD-3-Clause
"""GitHub's Markdown for a pull request: the answer and what disagrees in sight, details folded."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from string import ascii_letters, digits

from ntbbench.core.names import printable
from ntbbench.report.document import (
    Align,
    Block,
    Cell,
    Details,
    Document,
    Drawing,
    Notes,
    Table,
    first,
)
from ntbbench.report.wording import ascii_only, brief_facts, plural

MESSAGES_MAX = 3  # of one kind of warning
ROWS_MAX = 100  # of an ordered table: a comment on GitHub holds 65,536 characters
# What would start markup, a mention, an issue number or a link. An underscore inside a word
# (ntb_hw_epf) starts nothing and stays readable.
MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
PLAIN = ascii_letters + digits + " .,%+-()"  # characters that start nothing inside a line
BLOCK = re.compile(r"^(\d*)([-+=#.)])")  # at the start of a line: a list, a heading
LINKS = re.compile(
    r"@(?=\w)|#(?=\d)|(?<=www)\.|:(?=//)|(?<![\w:]):(?=[a-z0-9_+-]+:)|(?<=\bGH)-(?=\d)",
    re.IGNORECASE,
)


def render(document: Document) -> str:
    """Return the document as Markdown, ASCII only: other characters as numeric entities."""
    parts = [f"### {escaped(document.title)}", f"**{escaped(document.verdict)}**"]
    parts += [_line(line) for line in document.lines]
    for block in document.parts("md"):
        parts += _block(block)
    if document.warnings:
        shown = [(text, first(messages, MESSAGES_MAX)) for text, messages in document.warnings]
        parts += ["**Warnings**", _list(shown)]
    if document.facts:
        facts = "\n".join(f"- {_line(line)}" for line in brief_facts(document.facts))
        parts.append(_details("Environment", [facts]))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, on one line and inside a table cell."""
    if not text.strip(PLAIN):
        return text
    text = escape(MARKUP.sub(r"\\\g<0>", printable(text)), quote=False)
    text = LINKS.sub(lambda match: f"&#{ord(match[0])};", text)
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _line(text: str) -> str:
    return BLOCK.sub(r"\1\\\2", escaped(text))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block)
        case Notes():
            if block.rows:
                yield from [f"**{escaped(block.title)}**"] * bool(block.title)
                yield _list(block.rows)
        case Drawing():
            fence = "```"
            lines = [ascii_only(line).replace(fence, "'''") for line in block.lines]
            yield "\n".join([f"**{escaped(block.title)}**", "", fence, *lines, fence])
        case Details():
            inner = [part for one in block.blocks for part in _block(one)]
            yield _details(block.title, inner, is_open=block.attention)


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    left = max(len(table.rows) - ROWS_MAX, 0) if table.ordered else 0
    shown = len(table.rows) - left
    rows = [[_cell(cell) for cell in row] for row in table.rows[:shown]]
    names = [escaped(column.title) for column in table.columns]
    align = [column.align for column in table.columns]
    if table.groups:
        rows = [
            [escaped(text), *row] for text, row in zip(_headings(table)[:shown], rows, strict=True)
        ]
        names, align = ["", *names], ["left", *align]
    yield from [f"**{escaped(table.title)}**"] * bool(table.title)
    yield "\n".join(_grid(names, rows, align))
    more = [f"{plural(left, 'more row')} left out"] if left else []
    if table.notes or more:
        yield "\n".join(f"- {_line(note)}" for note in [*more, *table.notes])


def _grid(
    names: Sequence[str], rows: Sequence[Sequence[str]], align: Sequence[Align]
) -> Iterator[str]:
    """Yield the lines of a table, whose columns are aligned for readers of the source too."""
    widths = [max(3, *map(len, cells)) for cells in zip(names, *rows, strict=True)]
    rules = [
        ":" + "-" * (w - 1) if a == "left" else "-" * (w - 1) + ":"
        for a, w in zip(align, widths, strict=True)
    ]
    for row in (names, rules, *rows):
        cells = (
            t.ljust(w) if a == "left" else t.rjust(w)
            for t, w, a in zip(row, widths, align, strict=True)
        )
        yield f"| {' | '.join(cells)} |"


def _headings(table: Table) -> list[str]:
    """Return what stands before each row: the heading of its group at the first of them."""
    return [
        heading if row == 0 else "" for heading, members in table.groups for row in range(members)
    ]


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.strong and text else text


def _list(rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    lines: list[str] = []
    for text, inner in rows:
        lines.append(f"- {_line(text)}")
        lines += [f"  - {_line(line)}" for line in inner]
    return "\n".join(lines)


def _details(title: str, parts: Sequence[str], *, is_open: bool = False) -> str:
    body = "\n\n".join(parts)
    tag = "details open" if is_open else "details"
    return f"<{tag}><summary>{escaped(title)}</summary>\n\n{body}\n\n</details>"

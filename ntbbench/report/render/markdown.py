# SPDX-License-Identifier: BSD-3-Clause
"""GitHub's Markdown for a pull request: the answer and tables in sight, details folded."""

import re
from collections.abc import Iterator, Sequence
from html import escape

from tabulate import tabulate

from ntbbench.report.document import Block, Cell, Details, Document, Drawing, Notes, Table
from ntbbench.report.wording import brief_facts, plural, printable

MESSAGES_MAX = 3  # of one kind of warning
ROWS_MAX = 100  # of an ordered table: a comment on GitHub holds 65,536 characters
# What would start markup, a mention, an issue number or a link. An underscore inside a word
# (ntb_hw_epf) starts nothing and stays readable.
MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
BLOCK = re.compile(r"^(\d*)([-+=#.)])")  # at the start of a line: a list, a heading
LINKS = re.compile(r"@(?=\w)|#(?=\d)|(?<=www)\.|:(?=//)", re.IGNORECASE)


def render(document: Document) -> str:
    """Return the document as Markdown, ASCII only: other characters as numeric entities."""
    parts = [f"### {document.title}", f"**{escaped(document.verdict)}**"]
    parts += [_line(line) for line in document.lines]
    for block in document.parts("md"):
        parts += _block(block)
    if document.warnings:
        shown = [(text, messages[:MESSAGES_MAX]) for text, messages in document.warnings]
        parts += ["**Warnings**", _list(shown)]
    if document.facts:
        facts = "\n".join(f"- {_line(line)}" for line in brief_facts(document.facts))
        parts.append(_details("Environment", [facts]))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, on one line and inside a table cell."""
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
            lines = [line.replace(fence, "'''") for line in block.lines]
            yield "\n".join([f"**{escaped(block.title)}**", "", fence, *lines, fence])
        case Details():
            inner = [part for one in block.blocks for part in _block(one)]
            yield _details(block.title, inner)


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    left = len(table.rows) - ROWS_MAX if table.ordered else 0
    rows = [[_cell(cell) for cell in row] for row in table.rows[: len(table.rows) - max(left, 0)]]
    names = [escaped(column.title) for column in table.columns]
    align = [column.align for column in table.columns]
    if table.groups:
        headings = [
            text for text, size in table.groups for text in [text] + [""] * (size - 1) if size
        ]
        rows = [[escaped(text), *row] for text, row in zip(headings, rows, strict=True)]
        names, align = ["", *names], ["left", *align]
    yield from [f"**{escaped(table.title)}**"] * bool(table.title)
    yield tabulate(rows, names, tablefmt="pipe", disable_numparse=True, colalign=align)
    more = [f"{plural(left, 'more row')} left out"] if left > 0 else []
    if table.notes or more:
        yield "\n".join(f"- {_line(note)}" for note in [*more, *table.notes])


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.strong and text else text


def _list(rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    lines: list[str] = []
    for text, inner in rows:
        lines.append(f"- {_line(text)}")
        lines += [f"  - {_line(line)}" for line in inner]
    return "\n".join(lines)


def _details(title: str, parts: Sequence[str]) -> str:
    body = "\n\n".join(parts)
    return f"<details><summary>{escaped(title)}</summary>\n\n{body}\n\n</details>"

# SPDX-License-Identifier: BSD-3-Clause
"""One self-contained page for a browser: the answer, figures, tables to sort and filter."""

from collections.abc import Iterator

from ntbbench.report import page
from ntbbench.report.document import Block, Details, Document, Drawing, Notes, Section, Table
from ntbbench.report.wording import facts


def render(document: Document) -> str:
    """Return the document as one HTML file that asks for nothing."""
    return page.render(page_of(document))


def page_of(document: Document) -> page.Page:
    """Return the sections of the page: figures, blocks, warnings, environment."""
    drawn = document.figures() if document.figures is not None else ()
    sections = [_drawn(section) for section in drawn if not section.below]
    for number, block in enumerate(document.parts("html")):
        sections += _section(block, f"part-{number}")
    sections += [_drawn(section) for section in drawn if section.below]
    if document.warnings:
        sections.append(_notes(Notes("Warnings", document.warnings), "warnings"))
    if document.facts:
        rows = page.Facts(tuple(facts(document.facts)))
        sections.append(page.Section("Environment", (rows,), name="environment"))
    lines = (document.verdict, *document.lines)
    return page.Page(document.title, lines, tuple(sections))


def _drawn(section: Section) -> page.Section:
    return page.Section(section.title, tuple(section.figures), section.name, section.intro)


def _section(block: Block, name: str) -> Iterator[page.Section]:
    match block:
        case Table():
            if block.rows:
                yield _table(block, name)
        case Notes():
            if block.rows:
                yield _notes(block, name)
        case Drawing():
            yield page.Section(block.title, (page.Lines(tuple(block.lines)),), name=name)
        case Details():
            yield page.Section(block.title, ())
            for number, inner in enumerate(block.blocks):
                for section in _section(inner, f"{name}-{number}"):
                    yield page.Section("", section.blocks, "", section.intro)


def _table(table: Table, name: str) -> page.Section:
    columns = tuple(page.Column(column.title, column.hint) for column in table.columns)
    rows = [
        tuple(page.Cell(cell.text, cell.value, cell.tone, cell.hint) for cell in row)
        for row in table.rows
    ]
    if table.groups:
        columns = (page.Column(""), *columns)
        headings = [text for text, members in table.groups for _ in range(members)]
        rows = [(page.Cell(text), *row) for text, row in zip(headings, rows, strict=True)]
    block = page.Table(f"{name}-table", columns, tuple(rows))
    return page.Section(table.title, (block,), name=name, intro=" ".join(table.notes))


def _notes(notes: Notes, name: str) -> page.Section:
    rows = tuple((text, tuple(inner)) for text, inner in notes.rows)
    return page.Section(notes.title, (page.Notes(rows),), name=name if notes.title else "")

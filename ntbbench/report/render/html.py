# SPDX-License-Identifier: BSD-3-Clause
"""One self-contained page for a browser: the answer, figures, tables to sort and filter."""

from collections.abc import Sequence

from ntbbench.report.document import Block, Details, Document, Notes, Table, first
from ntbbench.report.page import fill
from ntbbench.report.wording import facts

MESSAGES_MAX = 20  # of one kind of warning
FEW_ROWS = 10  # of a table that needs no filter


def render(document: Document) -> str:
    """Return the document as one HTML file that asks for nothing."""
    drawn = document.figures() if document.figures is not None else ()
    return fill(
        "document.html",
        drawn=any(section.figures for section in drawn),
        document=document,
        above=[section for section in drawn if not section.below],
        below=[section for section in drawn if section.below],
        blocks=[(block, f"part-{number}") for number, block in enumerate(_blocks(document))],
        facts=facts(document.facts),
        few_rows=FEW_ROWS,
        is_shown=_is_shown,
        headings_of=_headings,
    )


def _blocks(document: Document) -> Sequence[Block]:
    """Return what the page shows in its order: large tables that only a page has come last."""
    notes = [(text, first(messages, MESSAGES_MAX)) for text, messages in document.warnings]
    shown = [block for block in document.parts("html") if _is_shown(block)]
    return [
        *(block for block in shown if not _is_large(block)),
        *([Notes("Warnings", notes)] if notes else []),
        *(block for block in shown if _is_large(block)),
    ]


def _is_shown(block: Block) -> bool:
    match block:
        case Table() | Notes():
            return bool(block.rows)
        case Details():
            return any(map(_is_shown, block.blocks))
    return True


def _is_large(block: Block) -> bool:
    return isinstance(block, Table) and block.shown == "page"


def _headings(table: Table) -> list[str]:
    """Return the heading of each row's group: a reader may sort the rows."""
    return [heading for heading, members in table.groups for _ in range(members)]

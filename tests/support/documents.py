# SPDX-License-Identifier: BSD-3-Clause
"""Documents of any content, for the renderers' tests."""

from hypothesis import strategies as st
from msgspec import Struct

from ntbbench.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Document,
    Drawing,
    Notes,
    Sheet,
    Table,
)


class Record(Struct, frozen=True):
    """What JSON writes."""

    schema: str = "a record/1"


def plain(*blocks: Block, **more: object) -> Document:
    """Return a document with these blocks."""
    return Document(**{"title": "a title", "verdict": "An answer", "record": Record()} | more,
                    blocks=blocks)  # fmt: skip


TEXTS = st.text(max_size=40) | st.sampled_from(["a_b *c* |d|", "- 1. #3 @x", "<b>&amp;", "w" * 200])
CELLS = st.builds(Cell, TEXTS, st.none() | st.floats(allow_nan=False), st.booleans())


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Return a table of up to 12 columns, with or without groups."""
    sides = st.sampled_from(["left", "right"])
    heads = st.lists(st.builds(Column, TEXTS, TEXTS, TEXTS, sides), min_size=1, max_size=12)
    columns = draw(heads)
    row = st.lists(CELLS, min_size=len(columns), max_size=len(columns))
    rows = draw(st.lists(row, max_size=6))
    split = draw(st.integers(0, len(rows)))
    groups = [(draw(TEXTS), split), (draw(TEXTS), len(rows) - split)]
    return Table(
        draw(TEXTS),
        columns,
        rows,
        draw(st.lists(TEXTS, max_size=2)),
        draw(st.sampled_from([(), groups])),
        draw(st.integers(1, len(columns))),
        draw(st.sampled_from(["everywhere", "page", "terminal"])),
    )


NOTES = st.builds(Notes, TEXTS, st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=2)), max_size=3))
DRAWINGS = st.builds(Drawing, TEXTS, st.lists(st.text("ab |-`é", max_size=60), max_size=3))
BLOCKS = tables() | NOTES | DRAWINGS
DOCUMENTS = st.builds(
    Document,
    title=TEXTS,
    verdict=TEXTS,
    record=st.just(Record()),
    lines=st.lists(TEXTS, max_size=2),
    blocks=st.lists(BLOCKS | st.builds(Details, TEXTS, st.lists(BLOCKS, max_size=2)), max_size=3),
    warnings=st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=5)), max_size=2),
    facts=st.dictionaries(TEXTS, TEXTS | st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=2),
    sheet=st.just(lambda: Sheet(["a"], [[1]])),
)

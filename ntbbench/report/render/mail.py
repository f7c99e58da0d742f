# SPDX-License-Identifier: BSD-3-Clause
"""Plain text for a mailing list: at most 75 columns, no tabs, ASCII.

Of a test it says on what it ran; other environments stay out of a mail.
"""

from collections.abc import Iterator
from dataclasses import replace

from ntbbench.report.document import Document
from ntbbench.report.render.text import INDENT, folded, joined, lines_of
from ntbbench.report.wording import brief_facts

WIDTH = 75  # a reply quotes with two characters, and lists wrap at 78


def render(document: Document) -> str:
    """Return the document as lines of at most 75 columns; trailers stay as they are."""
    return joined(_lines(document))


def _lines(document: Document) -> Iterator[str]:
    yield from lines_of(replace(document, facts={}), "mail", WIDTH)
    if document.ran:
        yield from ["", "Tested on"]
        for line in brief_facts(document.facts):
            yield from folded(line, WIDTH, INDENT)
    if document.trailers:
        yield from ["", *document.trailers]

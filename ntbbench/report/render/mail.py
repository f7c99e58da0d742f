# SPDX-License-Identifier: BSD-3-Clause
"""Plain text for a mailing list: at most 75 columns, no tabs, ASCII, no environment."""

from dataclasses import replace

from ntbbench.report.document import Document
from ntbbench.report.render.text import joined, lines_of

WIDTH = 75  # a reply quotes with two characters, and lists wrap at 78


def render(document: Document) -> str:
    """Return the document as lines of at most 75 columns."""
    return joined(lines_of(replace(document, facts={}), "mail", WIDTH))

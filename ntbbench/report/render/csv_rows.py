# SPDX-License-Identifier: BSD-3-Clause
"""Raw numbers for other tools: CSV with bare numbers and quoted texts, nothing scaled."""

import csv
import io
import re
from typing import Literal

from ntbbench.core.errors import InputError
from ntbbench.report.document import Document, Quoting

FORMULA = re.compile(r"[=+\-@\t\r].")
# Of the headers, and of the rows below them.
QUOTING: dict[Quoting, tuple[Literal[0, 2], Literal[0, 2]]] = {
    "texts": (csv.QUOTE_NONNUMERIC, csv.QUOTE_NONNUMERIC),
    "rows": (csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC),
    "needed": (csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL),
}


def render(document: Document) -> str:
    """Return the document's sheet as CSV (RFC 4180 quoting, lines end with a newline).

    Texts are as written, so a reader that obeys the quotes gets them back unchanged; None is empty.
    Only a text that a spreadsheet would run as a formula gets an apostrophe before it.

    Raises
    ------
    InputError : the report has no rows of numbers.
    """
    if document.sheet is None:
        raise InputError("--format", "csv", f"a format of `{document.title}`: it has no rows")
    sheet = document.sheet()
    head, body = QUOTING[sheet.quoting]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=head).writerow(sheet.headers)
    csv.writer(out, lineterminator="\n", quoting=body).writerows(
        [_inert(cell) for cell in row] for row in sheet.rows
    )
    return out.getvalue()


def _inert(cell: object) -> object:
    """Return a cell that no spreadsheet runs."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell

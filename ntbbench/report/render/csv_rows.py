# SPDX-License-Identifier: BSD-3-Clause
"""Raw numbers for other tools: CSV with bare numbers and quoted texts, nothing scaled."""

import csv
import io

from ntbbench.core.errors import InputError
from ntbbench.report.document import Document


def render(document: Document) -> str:
    """Return the document's sheet as CSV (RFC 4180 quoting, lines end with a newline).

    Texts are quoted and otherwise as written, so a reader that obeys the quotes gets them back
    unchanged; None is empty.

    Raises
    ------
    InputError : the report has no rows of numbers.
    """
    if document.sheet is None:
        raise InputError("--format", "csv", f"a format of `{document.title}`: it has no rows")
    sheet = document.sheet()
    out = io.StringIO()
    writer = csv.writer(
        out,
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if sheet.quoted else csv.QUOTE_MINIMAL,
    )
    writer.writerow(sheet.headers)
    writer.writerows(sheet.rows)
    return out.getvalue()

# SPDX-License-Identifier: BSD-3-Clause
"""The record itself, as the result file holds it."""

import msgspec

from ntbbench.report.document import Document


def render(document: Document) -> str:
    """Return the record as JSON: the keys and values of the saved file, indented."""
    return msgspec.json.format(msgspec.json.encode(document.record), indent=2).decode() + "\n"

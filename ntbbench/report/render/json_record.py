# SPDX-License-Identifier: BSD-3-Clause
"""The record itself, as the result file holds it."""

import msgspec

from ntbbench.core.result_file import encoded
from ntbbench.report.document import Document


def render(document: Document) -> str:
    """Return the record as JSON: the keys and values of the saved file, indented."""
    packed = bytearray(encoded(document.record))
    if document.indent:
        packed = bytearray(msgspec.json.format(packed, indent=document.indent))
    packed += b"\n"  # not to the text: a copy of a large report is a hundred megabytes
    return packed.decode()

# SPDX-License-Identifier: BSD-3-Clause
"""JSON: the record itself, schema ntbbench.compare/1."""

import msgspec

from ntbbench.compare.records import Report

READABLE = 1_000  # more comparisons are written without indentation: half the size


def render(report: Report) -> str:
    """Return the report as JSON; a number that is not defined is null."""
    packed = bytearray()
    msgspec.json.Encoder().encode_into(report, packed)
    if len(report.comparisons) <= READABLE:
        packed = bytearray(msgspec.json.format(packed, indent=1))
    packed += b"\n"  # here and not to the text: of a large report each copy is a hundred megabytes
    return packed.decode()

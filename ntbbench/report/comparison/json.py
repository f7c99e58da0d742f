# SPDX-License-Identifier: BSD-3-Clause
"""JSON: the record itself, schema ntbbench.compare/1."""

import msgspec

from ntbbench.analyse.comparison import Report


def render(report: Report) -> str:
    """Return the report as JSON; a number that is not defined is null."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"

# SPDX-License-Identifier: BSD-3-Clause
"""A record in a format, as a command prints it."""

from msgspec import Struct

from ntbbench.report.registry import kind_of
from ntbbench.report.render import renderer


def rendered(record: Struct, name: str) -> str:
    """Return the report of a record in a format."""
    return renderer(name)(kind_of(record).document(record))

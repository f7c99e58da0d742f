# SPDX-License-Identifier: BSD-3-Clause
"""The keys of a scenario of `ntbbench simulate`, as a table for a terminal."""

from collections.abc import Mapping

from ntbbench.core.options import Kind
from ntbbench.report.plain import Table, text_tables


def keys_text(sections: Mapping[str, Mapping[str, Kind]]) -> str:
    """Return every key with what it is and what it takes, a table a section, 80 columns."""
    tables = [
        Table(
            f"[{section}]",
            ("key", "what", "allowed"),
            [(f"{section}.{key}", kind.text, kind.allowed) for key, kind in found.items()],
        )
        for section, found in sections.items()
    ]
    return "\n".join(text_tables(tables)).rstrip() + "\n"

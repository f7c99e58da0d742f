# SPDX-License-Identifier: BSD-3-Clause
"""Sections of options: every key with what it is, what it takes, and its default."""

from collections.abc import Iterator

from ntbbench.core.options import Option, OptionList, OptionSection
from ntbbench.report.document import Cell, Column, Document, Sheet, Table, words
from ntbbench.report.wording import plural

COLUMNS = [Column(title, align="left") for title in ("key", "what", "allowed", "default")]


def document(listed: OptionList) -> Document:
    """Return the reference of a list of options, a table for each section."""
    count = sum(len(section.options) for section in listed.sections)
    return Document(
        title="ntbbench options",
        verdict=f"{plural(count, 'key')} in {plural(len(listed.sections), 'section')}.",
        whole=True,
        record=listed,
        blocks=[_table(section) for section in listed.sections],
        sheet=lambda: _sheet(listed),
    )


def _table(section: OptionSection) -> Table:
    title = f"[{section.name}]: {section.about}" if section.name else section.about
    rows = [
        (Cell(_name(section, option)), *words(option.text, option.allowed, default(option)))
        for option in section.options
    ]
    return Table(title, COLUMNS, rows)


def default(option: Option) -> str:
    """Return the default as a user writes it; "": there is none."""
    value = option.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _name(section: OptionSection, option: Option) -> str:
    return f"{section.name}.{option.key}" if section.name else option.key


def _sheet(listed: OptionList) -> Sheet:
    def rows() -> Iterator[list[object]]:
        for section in listed.sections:
            for option in section.options:
                words = (option.text, option.allowed, default(option))
                yield [_name(section, option), option.kind, *words]

    return Sheet(["key", "kind", "what", "allowed", "default"], rows())

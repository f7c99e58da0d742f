# SPDX-License-Identifier: BSD-3-Clause
"""The reference pages in docs/reference/, made of what the code declares: `make reference`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from msgspec import Struct
from msgspec.structs import fields

from ntbbench.core.fields import Declared, declared
from ntbbench.report.kinds import RESULTS

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
METRICS = """\
# Fields of results

Made by `make reference` from the records themselves; `ntbbench schema KIND` prints the same as JSON
Schema. Kinds: an *axis* names a point, a *count* is exact (any change is a finding), a *series* is
noisy (compared by its samples), a *fact* is there to read, a *verdict* is a conclusion.
"""
BETTER = {"lower": "lower", "higher": "higher", "none": ""}


def pages() -> dict[str, str]:
    """Return every page by its file name."""
    return {"metrics.md": metrics_page()}


def metrics_page() -> str:
    """Return the fields of every kind of result."""
    parts = [METRICS]
    for name, kind in RESULTS.items():
        parts.append(f"## {name}: `{kind.schema}`\n")
        for record in structs(kind.record_type(), []):
            if declared(record):
                summary = (record.__doc__ or "").strip().splitlines()[0]
                parts.append(f"**{record.__name__}**: {summary}\n\n{table(record)}")
    return "\n".join(parts)


def structs(kind: Any, seen: list[type[Struct]]) -> Iterator[type[Struct]]:
    """Yield the records that a type is made of, itself first, each once."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        if kind in seen:
            return
        seen.append(kind)
        yield kind
        hints = get_type_hints(kind)
        for field in fields(kind):
            yield from structs(hints[field.name], seen)
    for part in get_args(kind):
        yield from structs(part, seen)


def table(record: type[Struct]) -> str:
    """Return the declared fields of a record as a table."""
    lines = ["| field | title | kind | unit | better | definition |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(row, declared(record).values())]) + "\n"


def row(field: Declared) -> str:
    """Return one field as a row."""
    better = BETTER[field.better] if field.kind in ("count", "series") else ""
    cells = (f"`{field.name}`", field.title, field.kind, field.unit, better, field.definition)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def write_all() -> None:
    """Write every page anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all()

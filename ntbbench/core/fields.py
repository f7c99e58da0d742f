# SPDX-License-Identifier: BSD-3-Clause
"""Fields of results, declared once on their record; everything that shows them reads this.

A record annotates a field with one of the kinds below:

    doorbells_rung: Annotated[int, count("doorbells rung", "peer_db_set() calls of the sender")]

From that line come the field's CSV column, its title and hint in a table, its metric in `compare`
with the direction, its row of docs/reference/metrics.md and its property of the JSON Schema.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, Literal, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields, replace

# An axis names a point, a count is exact, a series is noisy, a verdict is a finding.
Kind = Literal["axis", "count", "series", "fact", "verdict"]
COMPARED: tuple[Kind, ...] = ("count", "series", "verdict")
Better = Literal["lower", "higher", "none"]  # none: no direction is known, any change is worse


class Declared(Struct, frozen=True, kw_only=True):
    """What a record says of one of its fields."""

    name: str  # the key in the JSON
    title: str
    definition: str  # one sentence; a hint, and a row of the reference
    kind: Kind
    unit: str = ""  # as it is written behind a number; empty for counts and words
    better: Better = "none"
    head: str = ""  # the title for a narrow column; a newline breaks it
    ranks: Sequence[str] = ()  # the words of a verdict, worst first
    type: Any = None


def _declare(
    kind: Kind,
    title: str,
    definition: str = "",
    *,
    unit: str = "",
    better: Better = "none",
    head: str = "",
    ranks: Sequence[str] = (),
) -> Meta:
    """Return the annotation; msgspec itself writes title and description into the JSON Schema."""
    about = Declared(
        name="",
        title=title,
        definition=definition,
        kind=kind,
        unit=unit,
        better=better,
        head=head,
        ranks=ranks,
    )
    shown: dict[str, str] = {"x-kind": kind}
    shown |= {"x-unit": unit} if unit else {}
    shown |= {"x-better": better} if kind in COMPARED else {}
    return Meta(
        title=title,
        description=definition or None,
        extra_json_schema=shown,
        extra={"declared": about},
    )


axis = partial(_declare, "axis")  # what was asked for: it names a point, and is never compared
count = partial(_declare, "count")  # an exact number: any change of it is a finding
series = partial(_declare, "series")  # a noisy number, which is compared by its samples
fact = partial(_declare, "fact")  # what a reader should know and nothing compares
verdict = partial(_declare, "verdict", better="higher")  # what was concluded


@cache
def declared(record: type[Struct]) -> Mapping[str, Declared]:
    """Return the fields of `record` that are declared, by name, in the order of the record."""
    hints = get_type_hints(record, include_extras=True)
    found: dict[str, Declared] = {}
    for field in fields(record):
        for meta in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(meta, Meta) and meta.extra and "declared" in meta.extra:
                about, plain = meta.extra["declared"], hints[field.name].__origin__
                found[field.name] = replace(about, name=field.encode_name, type=plain)
    return found


def plain_type(record: type[Struct], name: str) -> Any:
    """Return the type of a field without what is declared of it."""
    hint = get_type_hints(record, include_extras=True)[name]
    return getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint

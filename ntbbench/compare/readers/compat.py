# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ntbbench compat`: the verdict, the counts and the hazards of each cell, all exact."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ntbbench.compare.readers.checked import exact_value, split_environment
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.fields import Better

PREFIX = "ntbbench.compat/"
KNOWN = "ntbbench.compat/1"
VERDICTS = ("link-down", "missed", "misrouted", "fallback", "per-vector")  # worst first


class Cell(Struct, frozen=True, kw_only=True):
    """One pair of patch prefixes in one direction."""

    direction: str
    ep: int | str
    rc: int | str
    verdict: str
    amplification: float | None = None
    missed: int
    misrouted: int
    cases: int | UnsetType = UNSET
    hazards: list[Any] = []
    ep_slots: int | UnsetType = UNSET
    rc_vectors: int | UnsetType = UNSET
    mw_count: int | UnsetType = UNSET
    doorbell: str | UnsetType = UNSET


class Compat(Struct, frozen=True, kw_only=True):
    """A compat result, as far as it is compared."""

    schema: str
    cells: list[Cell]
    environment: dict[str, Any] = {}


def read(data: bytes, label: str, where: str) -> Variant:
    """Return the variant that a compat result holds."""
    result = msgspec.json.decode(data, type=Compat)
    settings = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    strict, loose = split_environment(result.environment)
    for key, raw in settings.items():
        text = bytes(raw)
        if key not in {"schema", "cells", "environment"} and text[:1] not in b"[{":
            strict[key] = text.decode()
    variant = Variant(label, result.schema, {}, strict, loose)
    for cell in result.cells:
        add_cell(variant, cell, where)
    return variant


def add_cell(variant: Variant, cell: Cell, where: str) -> None:
    """Add every metric of one cell.

    Raises
    ------
    InputError
        for a verdict that is none, and for a cell that stands there twice.
    """
    name = f"{cell.direction}/ep {cell.ep}/rc {cell.rc}"
    for key in ("ep_slots", "rc_vectors", "mw_count", "doorbell"):
        value = getattr(cell, key)
        name += "" if value is UNSET else f"/{key} {value}"
    if f"{name}:verdict" in variant.series:
        raise InputError(where, name, "each cell once")
    if cell.verdict not in VERDICTS:
        raise InputError(f"{where}: verdict of {name}", cell.verdict, f"one of {VERDICTS}")

    def add(quantity: str, better: Better = "lower", **fields: Any) -> None:
        metric = f"{name}:{quantity}"
        variant.series[metric] = Series(metric=metric, kind="exact", better=better, **fields)

    rank = VERDICTS.index(cell.verdict)
    add("verdict", better="higher", value=cell.verdict, rank=rank)
    add("missed", value=exact_value(cell.missed, where, name))
    add("misrouted", value=exact_value(cell.misrouted, where, name))
    if cell.cases is not UNSET:
        add("cases", better="none", value=cell.cases)
    if cell.amplification is None:
        variant.absent[f"{name}:amplification"] = "not defined where the link is down"
    else:
        add("amplification", value=exact_value(cell.amplification, where, name))
    hazards = sorted(
        h if isinstance(h, str) else msgspec.json.encode(h, order="sorted").decode()
        for h in cell.hazards
    )
    add("hazards", better="higher", value="; ".join(hazards), rank=-len(hazards))

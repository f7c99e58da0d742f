# SPDX-License-Identifier: BSD-3-Clause
"""A result of `ab`: both sides of a comparison in one file, paired by block."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ntbbench.ab.records import AB_SCHEMA, AbMetric, AbResult, AbRun
from ntbbench.compare.readers.checked import samples_of
from ntbbench.compare.records import Side
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.result_file import load_as

SIDES: tuple[Side, Side] = ("base", "candidate")


def load_ab(path: Path) -> AbResult:
    """Return the result in a file; InputError where its runs do not fit each other."""
    result = load_as(path, AB_SCHEMA, AbResult)
    check_blocks(result, path)
    return result


def check_blocks(result: AbResult, path: Path) -> None:
    """Raise InputError where a block lacks a side, or a run a value that is a sample."""
    for block, runs in _by_block(result).items():
        if sorted(run.side for run in runs) != sorted(SIDES):
            raise InputError(f"{path}: block", block, "each side once")
    for run in result.runs:
        if len(run.values) != len(result.metrics):
            where = f"{path}: block {run.block}: values"
            raise InputError(where, len(run.values), f"{len(result.metrics)}, one a metric")
        samples_of(run.values, f"{path}: block {run.block}", "values")


def _by_block(result: AbResult) -> Mapping[int, list[AbRun]]:
    found: dict[int, list[AbRun]] = {}
    for run in result.runs:
        found.setdefault(run.block, []).append(run)
    return found


def ab_sides(result: AbResult) -> list[Variant]:
    """Return the base and the candidate; sample n of each is of block n, warm-ups are left out.

    A metric that its format calls exact has one value a side while all runs agree on it, warm-ups
    included; where a run does not, it is noisy and one of the family.
    """
    repeats = [
        about.kind == "exact" and all(_repeats(result, side, place) for side in SIDES)
        for place, about in enumerate(result.metrics)
    ]
    return [_side(result, side, repeats) for side in SIDES]


def _repeats(result: AbResult, side: Side, place: int) -> bool:
    """Return whether each run of a side gives the same number; a single run does not tell."""
    values = [run.values[place] for run in result.runs if run.side == side]
    return len(values) > 1 and len(set(values)) == 1


def _side(result: AbResult, side: Side, repeats: Sequence[bool]) -> Variant:
    runs = sorted((r for r in result.runs if r.side == side and r.block > 0), key=lambda r: r.block)
    table = np.array([run.values for run in runs]).reshape(len(runs), len(result.metrics))
    series = {
        about.name: _series(about, side, table[:, place], is_exact=repeats[place])
        for place, about in enumerate(result.metrics)
        if len(runs)
    }
    rows = np.arange(1, len(runs) + 1, dtype=np.int64)
    noisy = [name for name, one in series.items() if one.kind == "noisy"]
    return Variant(side, AB_SCHEMA, series, row_numbers=dict.fromkeys(noisy, rows), runs=len(runs))


def _series(about: AbMetric, side: Side, values: NDArray[np.float64], *, is_exact: bool) -> Series:
    known = Series(metric=about.name, kind="noisy", unit=about.unit, better=about.better)
    if not is_exact:
        return replace(known, samples=samples_of(values, side, about.name))
    value = float(values[0])
    return replace(known, kind="exact", value=int(value) if value.is_integer() else value)

# SPDX-License-Identifier: BSD-3-Clause
"""A result of `ab`: both sides of a comparison in one file, paired by block."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ntbbench.ab.records import AB_SCHEMA, AbResult, AbRun
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
    """Return the base and the candidate; sample n of each is of block n, warm-ups are left out."""
    return [_side(result, side) for side in SIDES]


def _side(result: AbResult, side: Side) -> Variant:
    runs = sorted((r for r in result.runs if r.side == side and r.block > 0), key=lambda r: r.block)
    table = np.array([run.values for run in runs]).reshape(len(runs), len(result.metrics))
    series = {
        about.name: Series(
            metric=about.name,
            kind="noisy",
            unit=about.unit,
            better=about.better,
            samples=samples_of(table[:, place], side, about.name),
        )
        for place, about in enumerate(result.metrics)
        if len(runs)
    }
    rows = np.arange(1, len(runs) + 1, dtype=np.int64)
    return Variant(side, AB_SCHEMA, series, row_numbers=dict.fromkeys(series, rows), runs=len(runs))

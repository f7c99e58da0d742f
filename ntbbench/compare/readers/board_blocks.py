# SPDX-License-Identifier: BSD-3-Clause
"""A result of `board run`: every variant in one file, its cells paired by block."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from ntbbench.board.board_records import BOARD_SCHEMA, BoardResult
from ntbbench.compare.readers.checked import samples_of
from ntbbench.compare.records import Own
from ntbbench.compare.series import Series, Variant
from ntbbench.core.errors import InputError
from ntbbench.core.result_file import load_as

# What is compared, and which way is better; other numbers of a run are shown.
COMPARED: dict[str, Own] = {
    "throughput": "higher",
    "lost": "lower",
    "round trip p50": "lower",
    "round trip p99": "lower",
    "half round trip p50": "lower",
    "half round trip p99": "lower",
    "ping-pong round trip": "lower",
    "ping-pong period": "lower",
    "copy throughput": "higher",
    "receiver CPU": "lower",
    "sender CPU": "lower",
    "doorbell interrupts": "lower",
    "amplification": "lower",
}


def load_board_result(path: Path) -> BoardResult:
    """Return the result in a file; InputError where its runs do not fit each other."""
    result = load_as(path, BOARD_SCHEMA, BoardResult)
    check_board(result, path)
    return result


def check_board(result: BoardResult, path: Path) -> None:
    """Raise InputError where a run is of no cell, there twice, or holds what is no sample."""
    seen = set()
    names = {one.get("name") for one in result.board.get("variants", ())}
    for run in result.runs:
        where = f"{path}: block {run.block}"
        if not 0 <= run.cell < len(result.cells):
            raise InputError(f"{where}: cell", run.cell, f"0 to {len(result.cells) - 1}")
        if run.variant not in names:
            raise InputError(f"{where}: variant", run.variant, f"one of {sorted(names)}")
        key = (run.block, run.variant, run.cell)
        if key in seen:
            raise InputError(f"{where}: cell", run.cell, "each cell once a variant")
        seen.add(key)
        samples_of([one.value for one in run.measures], where, "measures")


def compared(result: BoardResult, path: Path) -> list[Variant]:
    """Return the variants of a result that has several; InputError: there is nothing to compare."""
    variants = board_variants(result)
    if len(variants) < 2:
        raise InputError(f"{path}: variants", variants[0].label, "two or more, to compare")
    return variants


def board_variants(result: BoardResult) -> list[Variant]:
    """Return the variants in their order; sample n of each metric is of a block, warm-ups apart."""
    own = {one["name"]: one.get("better", "higher") for one in result.board.get("commands", ())}
    ways = COMPARED | own
    return [_variant(result, one["name"], ways) for one in result.board.get("variants", ())]


def _variant(result: BoardResult, name: str, ways: dict[str, Own]) -> Variant:
    samples: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    units = {}
    for run in result.runs:
        for one in run.measures if run.variant == name and run.block > 0 else ():
            if one.name in ways:
                key = (result.cells[run.cell].label, one.name)
                samples[key][run.block] = one.value
                units[key] = one.unit
    series, rows = {}, {}
    for (cell, measure), by_block in samples.items():
        metric = f"{cell}: {measure}"
        blocks = sorted(by_block)
        rows[metric] = np.array(blocks, dtype=np.int64)
        series[metric] = Series(
            metric=metric,
            quantity=measure,
            kind="noisy",
            unit=units[cell, measure],
            better=ways[measure],
            samples=samples_of([by_block[block] for block in blocks], name, metric),
        )
    runs = max(map(len, rows.values()), default=0)
    return Variant(name, BOARD_SCHEMA, series, row_numbers=rows, runs=runs)

# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of settings in which cells stop working, folded into a few rows."""

from collections.abc import Iterable

from ntbbench.pair.series.prefix_matrix import BrokenCell, Regression

GROUP_HEADERS = ("windows", "EP slots", "RC vectors", "directions", "cells EP/RC", "verdict")


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as ranges: 3,5-8."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def grouped(regressions: Iterable[Regression]) -> list[list[str]]:
    """Return rows that list every setting: equal ones merged by way, vectors, slots."""
    by_way: dict[tuple[int, int, int, str, str], set[str]] = {}
    for r in regressions:
        for verdict, cells in _cells(r.cells).items():
            place = (r.mw_count, r.ep_slots, r.rc_vectors, cells, verdict)
            by_way.setdefault(place, set()).add(f"{r.direction} {r.doorbell}")
    by_vectors: dict[tuple[int, int, str, str, str], list[int]] = {}
    for (windows, slots, vectors, cells, verdict), ways in by_way.items():
        by_vectors.setdefault((windows, slots, _ways(ways), cells, verdict), []).append(vectors)
    by_slots: dict[tuple[int, str, str, str, str], list[int]] = {}
    for (windows, slots, way, cells, verdict), many in by_vectors.items():
        by_slots.setdefault((windows, ranges(many), way, cells, verdict), []).append(slots)
    return [
        [str(windows), ranges(slots_in), vectors_in, way, cells, verdict]
        for (windows, vectors_in, way, cells, verdict), slots_in in by_slots.items()
    ]


def _cells(cells: Iterable[BrokenCell]) -> dict[str, str]:
    """Return for each verdict its cells, as products of ranges."""
    columns: dict[tuple[str, int], list[int]] = {}
    for cell in cells:
        columns.setdefault((cell.verdict, cell.ep), []).append(cell.rc)
    merged: dict[tuple[str, str], list[int]] = {}
    for (verdict, ep), rc in columns.items():
        merged.setdefault((verdict, ranges(rc)), []).append(ep)
    texts: dict[str, list[str]] = {}
    for (verdict, rc_text), eps in merged.items():
        texts.setdefault(verdict, []).append(f"{ranges(eps)}/{rc_text}")
    return {verdict: " ".join(parts) for verdict, parts in texts.items()}


def _ways(ways: set[str]) -> str:
    """Return directions, with the doorbell modes only where not all of them are meant."""
    by_direction: dict[str, list[str]] = {}
    for way in sorted(ways):
        direction, _, mode = way.partition(" ")
        by_direction.setdefault(direction, []).append(mode)
    if len(by_direction) == 2 and all(len(modes) == 3 for modes in by_direction.values()):
        return "both"
    return " ".join(
        direction if len(modes) == 3 else f"{direction} ({','.join(modes)})"
        for direction, modes in by_direction.items()
    )

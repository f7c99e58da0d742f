# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of settings in which cells stop working, folded into a few rows."""

from collections.abc import Hashable, Iterable, Mapping

from ntbbench.analyse.compat import BrokenCell, Regression

GROUP_HEADERS = ("windows", "EP slots", "RC vectors", "directions", "cells EP/RC", "verdict")

Key = tuple[Hashable, ...]


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
    """Return rows that list every setting: equal ones merged by mode, direction, vectors, slots."""
    merged: dict[Key, set[str]] = {}
    for r in regressions:
        for verdict, cells in _cells(r.cells).items():
            key = (r.mw_count, r.ep_slots, r.rc_vectors, cells, verdict)
            merged.setdefault(key, set()).add(f"{r.direction} {r.doorbell}")
    by_vectors: dict[Key, list[int]] = {}
    for (windows, slots, vectors, cells, verdict), ways in merged.items():
        key = (windows, slots, _ways(ways), cells, verdict)
        by_vectors.setdefault(key, []).append(_int(vectors))
    by_slots: dict[Key, list[int]] = {}
    for (windows, slots, way, cells, verdict), vectors in by_vectors.items():
        by_slots.setdefault((windows, ranges(vectors), way, cells, verdict), []).append(_int(slots))
    return [
        [str(windows), ranges(slots), str(vectors), str(way), str(cells), str(verdict)]
        for (windows, vectors, way, cells, verdict), slots in by_slots.items()
    ]


def _cells(cells: Iterable[BrokenCell]) -> Mapping[str, str]:
    """Return for each verdict its cells, as products of ranges."""
    columns: dict[tuple[str, int], list[int]] = {}
    for cell in cells:
        columns.setdefault((cell.verdict, _int(cell.ep)), []).append(_int(cell.rc))
    rows: dict[tuple[str, str], list[int]] = {}
    for (verdict, ep), rc in columns.items():
        rows.setdefault((verdict, ranges(rc)), []).append(ep)
    texts: dict[str, list[str]] = {}
    for (verdict, rc_text), ep in rows.items():
        texts.setdefault(verdict, []).append(f"{ranges(ep)}/{rc_text}")
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


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is not a number of patches, slots or vectors")
    return value

# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of prefixes: a coloured grid of verdicts, hazards, and settings that break it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from msgspec import UNSET
from msgspec.structs import astuple

from ntbbench.pair.drivers.kernel_around import Hazard
from ntbbench.pair.drivers.patches import ROOT_FIX, number_ranges
from ntbbench.pair.records import (
    SETTING,
    BrokenCell,
    Cell,
    CompatResult,
    Exhaustive,
    InSetting,
    Regression,
)
from ntbbench.pair.setting import DIRECTIONS
from ntbbench.pair.verdict import WORKS, Verdict, rows
from ntbbench.report import document as report
from ntbbench.report.document import Column, Document, Sheet, Table, Tone, column, words
from ntbbench.report.views.record_tables import record_table

TITLES = {"ep-to-rc": "EP rings RC", "rc-to-ep": "RC rings EP"}
SHOWN: dict[Verdict, tuple[str, Tone]] = {
    Verdict.LINK_DOWN: ("NO LINK", "off"),
    Verdict.MISSED: ("MISSED", "bad"),
    Verdict.MISROUTED: ("MISROUTE", "poor"),
    Verdict.FALLBACK: ("fall", "fair"),
    Verdict.PER_VECTOR: ("vec", "good"),
}
LETTERS = {
    Hazard.SLEEPS: "S",
    Hazard.OUT_OF_RANGE: "O",
    Hazard.MISREAD: "V",
    Hazard.WRONG_BIT: "B",
}
ROWS = (
    "A cell is one pair of drivers in one direction. Rows: patches of the endpoint's half (1-7) "
    "that are applied, columns: of the root complex's (8-12); root-fix: the rejected alternative, "
    "bit 0 in slot 1."
)
VERDICTS = (
    "vec: per-vector, works; fall: fallback, works, wakes all; the number is the amplification: "
    "tasklet_schedule() calls per doorbell interrupt."
)
HAZARDS = "; ".join(f"{letter}: {hazard}" for hazard, letter in LETTERS.items()) + "."
CELL = tuple(Cell.__struct_fields__)


def document(result: CompatResult) -> Document:
    """Return the report of the matrix."""
    found = result.exhaustive
    searched = [] if found is UNSET else [found]
    return Document(
        title="ntbbench compat",
        verdict=verdict_of(result.cells),
        record=result,
        lines=[setting_line(result), *map(_searched, searched)],
        blocks=[
            _grid("Verdicts", result.cells, verdict_cell, [ROWS, VERDICTS]),
            _grid("Hazards", result.cells, hazard_cell, [HAZARDS]),
            *map(_broken, searched),
            replace(record_table("All cells", Cell, result.cells), shown="page"),
        ],
        sheet=lambda: Sheet([*SETTING, *CELL], _sheet_rows(result)),
    )


def verdict_of(cells: Sequence[Cell]) -> str:
    """Return in one sentence what works with what."""
    prefixes = [cell for cell in cells if ROOT_FIX not in (cell.ep, cell.rc)]
    mixed = [cell for cell in cells if (cell.ep == ROOT_FIX) != (cell.rc == ROOT_FIX)]
    answer = "Every" if _working(prefixes) == len(prefixes) else "NOT every"
    return (
        f"{answer} prefix works with every prefix of the other half: {_working(prefixes)} of "
        f"{len(prefixes)} cells work, with one root-fix side {_working(mixed)} of {len(mixed)}"
    )


def setting_line(result: InSetting) -> str:
    """Return the setting in words."""
    return (
        f"{result.ep_slots} slots, {result.rc_vectors} vectors, {result.mw_count} windows, "
        f"doorbell {result.doorbell}"
    )


def _working(cells: Iterable[Cell]) -> int:
    return sum(cell.verdict in WORKS for cell in cells)


def _searched(found: Exhaustive) -> str:
    return (
        f"All settings (3..32 slots, 4..32 vectors, 1..4 windows, 3 doorbell modes, both "
        f"directions): {found.settings}; 0/0 works in {found.working}; in "
        f"{len(found.regressions)} of those, cells of other prefixes do not; with one root-fix "
        f"side {found.root_fix_cells} cells do not."
    )


def _grid(
    title: str,
    cells: Sequence[Cell],
    show: Callable[[Cell], report.Cell],
    notes: Sequence[str],
) -> Table:
    by_place = {(cell.direction, cell.ep, cell.rc): cell for cell in cells}
    columns = [Column("EP/RC", ROWS, align="left"), *(Column(str(rc)) for rc in rows("rc"))]
    body = [
        [report.Cell(str(ep)), *(show(by_place[direction, ep, rc]) for rc in rows("rc"))]
        for direction in DIRECTIONS
        for ep in rows("ep")
    ]
    groups = [(TITLES[direction], len(rows("ep"))) for direction in DIRECTIONS]
    return Table(title, columns, body, notes, groups)


def verdict_cell(cell: Cell) -> report.Cell:
    """Return a cell's verdict in at most eight characters, and its amplification if it works."""
    text, tone = SHOWN[Verdict(cell.verdict)]
    if cell.verdict in WORKS and cell.amplification is not None:
        text += f" {cell.amplification:.4g}"
    missed = f"{cell.missed} of {cell.cases} missed, {cell.misrouted} misrouted"
    hazards = ", ".join(cell.hazards) or "none"
    return report.Cell(text, tone=tone, hint=f"{cell.verdict}; {missed}; hazards: {hazards}")


def hazard_cell(cell: Cell) -> report.Cell:
    """Return a cell's hazards as letters."""
    letters = "".join(LETTERS[Hazard(hazard)] for hazard in cell.hazards)
    return report.Cell(letters or "-", hint=", ".join(cell.hazards))


def _sheet_rows(result: CompatResult) -> Iterator[list[object]]:
    """Yield the cells of the matrix, then the broken cells of other settings: no counts."""
    asked = [getattr(result, name) for name in SETTING]
    for cell in result.cells:
        yield [*asked, *astuple(cell)[:-1], "; ".join(cell.hazards)]
    for found in result.exhaustive.regressions if result.exhaustive is not UNSET else ():
        other = [getattr(found, name) for name in SETTING]
        for broken in found.cells if other != asked else ():
            yield [*other, found.direction, *astuple(broken), *[None] * (len(CELL) - 4)]


# Thousands of settings in which cells stop working, folded into a few rows.

Row = tuple[Any, ...]


def _broken(found: Exhaustive) -> Table:
    columns = [
        *(column(Regression, name) for name in ("mw_count", "ep_slots", "rc_vectors")),
        *(Column(title, align="left") for title in ("directions", "cells EP/RC", "verdict")),
    ]
    body = [words(*row) for row in folded_settings(found.regressions)]
    return Table("Settings in which 0/0 works and other cells do not", columns, body, keys=3)


def folded_settings(regressions: Iterable[Regression]) -> list[Row]:
    """Return windows, slots, vectors, directions, cells and verdict: equal settings are merged."""
    found: list[Row] = [
        (r.mw_count, r.ep_slots, r.rc_vectors, (r.direction, r.doorbell), cells, verdict)
        for r in regressions
        for verdict, cells in _folded_cells(r.cells)
    ]
    by_way = _merged(found, 3, _ways)
    return _merged(_merged(by_way, 2, number_ranges), 1, number_ranges)


def _folded_cells(cells: Iterable[BrokenCell]) -> list[Row]:
    """Return each verdict with its cells as products of ranges: `0-5/2-5 6-7/0-1`."""
    by_row = _merged([(cell.verdict, cell.ep, cell.rc) for cell in cells], 2, number_ranges)
    products = _merged(by_row, 1, number_ranges)
    return _merged([(verdict, f"{ep}/{rc}") for verdict, ep, rc in products], 1, " ".join)


def _merged(found: Iterable[Row], at: int, join: Callable[[list[Any]], str]) -> list[Row]:
    """Return rows that differ at one place alone as one, with all of their values joined there."""
    values: dict[Row, list[Any]] = {}
    for row in found:
        values.setdefault((*row[:at], *row[at + 1 :]), []).append(row[at])
    return [(*rest[:at], join(many), *rest[at:]) for rest, many in values.items()]


def _ways(ways: Sequence[tuple[str, str]]) -> str:
    """Return directions, with the doorbell modes only where not all of them are meant."""
    modes = {direction: sorted(mode for d, mode in ways if d == direction) for direction, _ in ways}
    if Counter(map(len, modes.values())) == {3: 2}:
        return "both"
    return " ".join(
        direction if len(some) == 3 else f"{direction} ({','.join(some)})"
        for direction, some in sorted(modes.items())
    )

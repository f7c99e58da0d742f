# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of prefixes: a coloured grid of verdicts, hazards, and settings that break it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from msgspec import UNSET
from msgspec.structs import astuple

from ntbbench.pair.drivers.kernel_around import Hazard
from ntbbench.pair.drivers.patches import ROOT_FIX, number_ranges
from ntbbench.pair.records import (
    SETTING,
    BrokenCell,
    CellName,
    CompatCell,
    CompatResult,
    Exhaustive,
    InSetting,
    Regression,
)
from ntbbench.pair.setting import DIRECTIONS, Setting
from ntbbench.pair.verdict import WORKS, Verdict, nearest_break, rows
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
OPTIONS = {"ep_slots": "--ep-slots", "rc_vectors": "--rc-vectors", "mw_count": "--mw-count"}
CELL = tuple(CompatCell.__struct_fields__)


def document(result: CompatResult) -> Document:
    """Return the report of the matrix."""
    found = result.exhaustive
    searched = [] if found is UNSET else [found]
    return Document(
        title="ntbbench compat",
        verdict=verdict_of(result),
        tone="bad" if _broken_prefixes(result.cells) else "good",
        record=result,
        lines=[setting_line(result), *map(_searched, searched)],
        blocks=[
            _folded(result.cells),
            replace(_grid("Verdicts", result.cells, verdict_cell, [ROWS, VERDICTS]), detail=True),
            replace(_grid("Hazards", result.cells, hazard_cell, [HAZARDS]), detail=True),
            *map(_broken, searched),
            replace(record_table("All cells", CompatCell, result.cells), shown="page"),
        ],
        sheet=lambda: Sheet([*SETTING, *CELL], _sheet_rows(result)),
    )


def verdict_of(result: CompatResult) -> str:
    """Return what is broken where; where nothing is, the nearest setting that breaks something."""
    cells = result.cells
    prefixes = [cell for cell in cells if ROOT_FIX not in (cell.ep, cell.rc)]
    mixed = [cell for cell in cells if (cell.ep == ROOT_FIX) != (cell.rc == ROOT_FIX)]
    works = f"{_working(prefixes)} of {len(prefixes)} cells work"
    rest = f"with one root-fix side {_working(mixed)} of {len(mixed)}"
    if broken := _broken_prefixes(cells):
        found = _by_direction(broken)
        return f"NOT every prefix works with every prefix: {found}. {works}, {rest}"
    setting = Setting(*(getattr(result, name) for name in SETTING))
    said = f"Every prefix works with every prefix of the other half: {works}, {rest}"
    near = nearest_break(setting)
    if not near:
        return said
    changed = [
        f"{word} {getattr(near[0], name)}"
        for name, word in OPTIONS.items()
        if getattr(near[0], name) != getattr(setting, name)
    ]
    found = _by_direction({one.direction: one.cells for one in near})
    return f"{said}. Not so with {' '.join(changed)}: {found}"


def _broken_prefixes(cells: Sequence[CompatCell]) -> dict[str, list[BrokenCell]]:
    """Return the prefixes that do not work, by direction."""
    found: dict[str, list[BrokenCell]] = {}
    for cell in cells:
        if isinstance(cell.ep, int) and isinstance(cell.rc, int) and cell.verdict not in WORKS:
            broken = BrokenCell(ep=cell.ep, rc=cell.rc, verdict=cell.verdict)
            found.setdefault(cell.direction, []).append(broken)
    return found


def _by_direction(broken: Mapping[str, Sequence[BrokenCell]]) -> str:
    """Return what is broken in each direction; once where it is the same in both."""
    said: dict[str, list[str]] = {}
    for direction, cells in broken.items():
        folded = ", ".join(f"{verdict} in EP/RC {some}" for verdict, some in _folded_cells(cells))
        said.setdefault(folded, []).append(direction)
    return "; ".join(
        f"{text} ({'both directions' if len(ways) == len(DIRECTIONS) else ways[0]})"
        for text, ways in said.items()
    )


def _folded(cells: Sequence[CompatCell]) -> Table:
    """Return the verdicts with neighbours that are alike as one row or column."""
    shown = {(cell.direction, cell.ep, cell.rc): verdict_cell(cell) for cell in cells}
    places = [(direction, ep) for direction in DIRECTIONS for ep in rows("ep")]
    across = _runs(
        {rc: [shown[direction, ep, rc].text for direction, ep in places] for rc in rows("rc")}
    )
    body, groups = [], []
    for direction in DIRECTIONS:
        firsts = [members[0] for members in across]
        down = _runs({ep: [shown[direction, ep, rc].text for rc in firsts] for ep in rows("ep")})
        body += [
            [report.Cell(_span(members)), *(shown[direction, members[0], rc] for rc in firsts)]
            for members in down
        ]
        groups.append((TITLES[direction], len(down)))
    columns = [Column("EP/RC", align="left"), *(Column(_span(members)) for members in across)]
    return Table("Verdicts", columns, body, [VERDICTS], groups, shown="brief")


def _runs(found: Mapping[CellName, Sequence[str]]) -> list[list[CellName]]:
    """Return the names in their order, neighbours with equal texts together."""
    return [list(members) for _, members in groupby(found, key=lambda name: found[name])]


def _span(members: Sequence[CellName]) -> str:
    ends = dict.fromkeys((members[0], members[-1]))
    return "-".join(map(str, ends))


def setting_line(result: InSetting) -> str:
    """Return the setting in words."""
    return (
        f"{result.ep_slots} slots, {result.rc_vectors} vectors, {result.mw_count} windows, "
        f"doorbell {result.doorbell}"
    )


def _working(cells: Iterable[CompatCell]) -> int:
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
    cells: Sequence[CompatCell],
    show: Callable[[CompatCell], report.Cell],
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


def verdict_cell(cell: CompatCell) -> report.Cell:
    """Return a cell's verdict in at most eight characters, and its amplification if it works."""
    text, tone = SHOWN[Verdict(cell.verdict)]
    if cell.verdict in WORKS and cell.amplification is not None:
        text += f" {cell.amplification:.4g}"
    missed = f"{cell.missed} of {cell.cases} missed, {cell.misrouted} misrouted"
    hazards = ", ".join(cell.hazards) or "none"
    return report.Cell(text, tone=tone, hint=f"{cell.verdict}; {missed}; hazards: {hazards}")


def hazard_cell(cell: CompatCell) -> report.Cell:
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

# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of prefixes: a coloured grid of verdicts, hazards, and settings that break it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from msgspec import UNSET
from msgspec.structs import astuple

from ntbbench.core.options import option
from ntbbench.pair.drivers.kernel_around import Hazard
from ntbbench.pair.drivers.patches import ROOT_FIX, number_ranges
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.host_records import (
    HOST_SETTING,
    BrokenHosts,
    HostCell,
    HostCompat,
    HostExhaustive,
    HostRegression,
    InHostSetting,
)
from ntbbench.pair.joined_hosts import setting_of
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
from ntbbench.pair.search import nearest_break
from ntbbench.pair.setting import HOST_ENDS, VNTB_ENDS, Direction, Ends, by_role
from ntbbench.pair.verdict import WORKS, Verdict, place_of, rows
from ntbbench.report import document as report
from ntbbench.report.document import Column, Document, Sheet, Table, Tone, column, words
from ntbbench.report.views.record_tables import record_table

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
ROOT_FIX_IS = "root-fix: the rejected alternative, bit 0 in slot 1."
ROWS = {
    VNTB_ENDS: "A cell is one pair of drivers in one direction. Rows: patches of the endpoint's "
    "half (1-7) that are applied, columns: of the root complex's (8-12); " + ROOT_FIX_IS,
    HOST_ENDS: "A cell is one pair of hosts in one direction. Rows: patches of host 1's ntb_hw_epf "
    "(8-12) that are applied, columns: of host 2's; " + ROOT_FIX_IS,
}
CORNERS = {VNTB_ENDS: "EP/RC", HOST_ENDS: "hosts 1/2"}
SPACES = {
    VNTB_ENDS: "3..32 slots, 4..32 vectors, 1..4 windows, 3 doorbell modes, both directions",
    HOST_ENDS: "4..32 vectors of either host, 1..4 windows, both directions",
}
VERDICTS = (
    "vec: per-vector, works; fall: fallback, works, wakes all; the number is the amplification: "
    "tasklet_schedule() calls per doorbell interrupt."
)
HAZARDS = "; ".join(f"{letter}: {hazard}" for hazard, letter in LETTERS.items()) + "."
AnyCell = CompatCell | HostCell
Prefixes = tuple[str, int, int]  # verdict, row, column
SIZES = ("mw_count", "ep_slots", "rc_vectors")
HOST_SIZES = ("mw_count", "host1_vectors", "host2_vectors")


def document(result: CompatResult | HostCompat) -> Document:
    """Return the report of the matrix."""
    found, setting = result.exhaustive, setting_of(result)
    ends, cells = setting.ends, list[AnyCell](result.cells)
    searched = [] if found is UNSET else [found]
    notes = [ROWS[ends], VERDICTS]
    kind = HostCell if isinstance(result, HostCompat) else CompatCell
    return Document(
        title="ntbbench compat",
        verdict=verdict_of(result),
        tone="bad" if _broken_prefixes(cells) else "good",
        record=result,
        lines=[setting_line(result), *(_searched(one, ends) for one in searched)],
        blocks=[
            _folded(cells, ends),
            replace(_grid("Verdicts", cells, ends, verdict_cell, notes), detail=True),
            replace(_grid("Hazards", cells, ends, hazard_cell, [HAZARDS]), detail=True),
            *(_broken(one, ends) for one in searched),
            replace(record_table("All cells", kind, cells), shown="page"),
        ],
        sheet=lambda: _sheet(result),
    )


def verdict_of(result: CompatResult | HostCompat) -> str:
    """Return what is broken where; where nothing is, the nearest setting that breaks something."""
    setting, cells = setting_of(result), list[AnyCell](result.cells)
    placed = [(place_of(cell)[1:], cell) for cell in cells]
    prefixes = [cell for names, cell in placed if ROOT_FIX not in names]
    mixed = [cell for names, cell in placed if names.count(ROOT_FIX) == 1]
    works = f"{_working(prefixes)} of {len(prefixes)} cells work"
    rest = f"with one root-fix side {_working(mixed)} of {len(mixed)}"
    if broken := _broken_prefixes(cells):
        found = _by_direction(broken, setting.ends)
        return f"NOT every prefix works with every prefix: {found}. {works}, {rest}"
    peer = "on the other host" if isinstance(result, HostCompat) else "of the other half"
    said = f"Every prefix works with every prefix {peer}: {works}, {rest}"
    near = nearest_break(setting)
    if near is None:
        return said
    other, regressions = near
    changed = " ".join(
        f"{option(name)} {getattr(other, name)}"
        for name in setting.__struct_fields__
        if getattr(other, name) not in (None, getattr(setting, name))
    )
    ways: dict[str, list[Prefixes]] = {}
    for one in regressions:
        ways[one.direction] = [prefixes_of(cell) for cell in one.cells]
    return f"{said}. Not so with {changed}: {_by_direction(ways, setting.ends)}"


def prefixes_of(cell: BrokenCell | BrokenHosts) -> Prefixes:
    """Return the verdict of a broken cell, its row and its column."""
    if isinstance(cell, BrokenHosts):
        return cell.verdict, cell.host1, cell.host2
    return cell.verdict, cell.ep, cell.rc


def _broken_prefixes(cells: Sequence[AnyCell]) -> dict[str, list[Prefixes]]:
    """Return the prefixes that do not work, by direction."""
    found: dict[str, list[Prefixes]] = {}
    for cell in cells:
        direction, first, second = place_of(cell)
        if isinstance(first, int) and isinstance(second, int) and cell.verdict not in WORKS:
            found.setdefault(direction, []).append((cell.verdict, first, second))
    return found


def _by_direction(broken: Mapping[str, Sequence[Prefixes]], ends: Ends) -> str:
    """Return what is broken in each direction; once where it is the same in both."""
    said: dict[str, list[str]] = {}
    for direction, cells in broken.items():
        folded = ", ".join(
            f"{verdict} in {CORNERS[ends]} {some}" for verdict, some in _folded_cells(cells)
        )
        said.setdefault(folded, []).append(direction)
    return "; ".join(
        f"{text} ({'both directions' if len(ways) == len(ends.directions) else ways[0]})"
        for text, ways in said.items()
    )


def heading(direction: Direction, ends: Ends) -> str:
    """Return who rings whom."""
    return "{} rings {}".format(*by_role(direction, *ends.titles))


def _folded(cells: Sequence[AnyCell], ends: Ends) -> Table:
    """Return the verdicts with neighbours that are alike as one row or column."""
    shown = {place_of(cell): verdict_cell(cell) for cell in cells}
    lines, heads = map(rows, ends.halves)
    places = [(direction, row) for direction in ends.directions for row in lines]
    across = _runs(
        {head: [shown[direction, row, head].text for direction, row in places] for head in heads}
    )
    body, groups = [], []
    for direction in ends.directions:
        firsts = [members[0] for members in across]
        down = _runs({row: [shown[direction, row, head].text for head in firsts] for row in lines})
        body += [
            [report.Cell(_span(members)), *(shown[direction, members[0], head] for head in firsts)]
            for members in down
        ]
        groups.append((heading(direction, ends), len(down)))
    columns = [
        Column(CORNERS[ends], align="left"),
        *(Column(_span(members)) for members in across),
    ]
    return Table("Verdicts", columns, body, [VERDICTS], groups, shown="brief")


def _runs(found: Mapping[CellName, Sequence[str]]) -> list[list[CellName]]:
    """Return the names in their order, neighbours with equal texts together."""
    return [list(members) for _, members in groupby(found, key=lambda name: found[name])]


def _span(members: Sequence[CellName]) -> str:
    ends = dict.fromkeys((members[0], members[-1]))
    return "-".join(map(str, ends))


def setting_line(result: InSetting | InHostSetting) -> str:
    """Return the setting in words."""
    if isinstance(result, InHostSetting):
        granted = f"{result.host1_vectors} and {result.host2_vectors} vectors"
        kind = result.irq_type.upper().replace("MSIX", "MSI-X")
        return f"{result.ep_slots} slots, {granted} ({kind}), {result.mw_count} windows"
    return (
        f"{result.ep_slots} slots, {result.rc_vectors} vectors, {result.mw_count} windows, "
        f"doorbell {result.doorbell}"
    )


def _working(cells: Iterable[AnyCell]) -> int:
    return sum(cell.verdict in WORKS for cell in cells)


def _searched(found: Exhaustive | HostExhaustive, ends: Ends) -> str:
    return (
        f"All settings ({SPACES[ends]}): {found.settings}; 0/0 works in {found.working}; in "
        f"{len(found.regressions)} of those, cells of other prefixes do not; with one root-fix "
        f"side {found.root_fix_cells} cells do not."
    )


def _grid(
    title: str,
    cells: Sequence[AnyCell],
    ends: Ends,
    show: Callable[[AnyCell], report.Cell],
    notes: Sequence[str],
) -> Table:
    by_place = {place_of(cell): cell for cell in cells}
    lines, heads = map(rows, ends.halves)
    corner = Column(CORNERS[ends], ROWS[ends], align="left")
    body = [
        [report.Cell(str(row)), *(show(by_place[direction, row, head]) for head in heads)]
        for direction in ends.directions
        for row in lines
    ]
    groups = [(heading(direction, ends), len(lines)) for direction in ends.directions]
    return Table(title, [corner, *(Column(str(head)) for head in heads)], body, notes, groups)


def verdict_cell(cell: AnyCell) -> report.Cell:
    """Return a cell's verdict in at most eight characters, and its amplification if it works."""
    text, tone = SHOWN[Verdict(cell.verdict)]
    if cell.verdict in WORKS and cell.amplification is not None:
        text += f" {cell.amplification:.4g}"
    missed = f"{cell.missed} of {cell.cases} missed, {cell.misrouted} misrouted"
    hazards = ", ".join(cell.hazards) or "none"
    return report.Cell(text, tone=tone, hint=f"{cell.verdict}; {missed}; hazards: {hazards}")


def hazard_cell(cell: AnyCell) -> report.Cell:
    """Return a cell's hazards as letters."""
    letters = "".join(LETTERS[Hazard(hazard)] for hazard in cell.hazards)
    return report.Cell(letters or "-", hint=", ".join(cell.hazards))


def _sheet(result: CompatResult | HostCompat) -> Sheet:
    kind = HostCell if isinstance(result, HostCompat) else CompatCell
    names = setting_fields(result)
    return Sheet([*names, *kind.__struct_fields__], _sheet_rows(result, names))


def setting_fields(result: InSetting | InHostSetting) -> tuple[str, ...]:
    """Return the fields of a record's setting."""
    return HOST_SETTING if isinstance(result, InHostSetting) else SETTING


def _sheet_rows(result: CompatResult | HostCompat, names: Sequence[str]) -> Iterator[list[object]]:
    """Yield the cells of the matrix, then the broken cells of other settings: no counts."""
    asked = [getattr(result, name) for name in names]
    width = 0
    for cell in result.cells:
        values = astuple(cell)
        width = len(values)
        yield [*asked, *values[:-1], "; ".join(cell.hazards)]
    for found in result.exhaustive.regressions if result.exhaustive is not UNSET else ():
        other = [getattr(found, name, None) for name in names]
        for broken in found.cells if other != asked else ():
            yield [*other, found.direction, *astuple(broken), *[None] * (width - 4)]


# Thousands of settings in which cells stop working, folded into a few rows.

Row = tuple[Any, ...]


def _broken(found: Exhaustive | HostExhaustive, ends: Ends) -> Table:
    kind = HostRegression if isinstance(found, HostExhaustive) else Regression
    sizes = HOST_SIZES if isinstance(found, HostExhaustive) else SIZES
    titles = ("directions", f"cells {CORNERS[ends]}", "verdict")
    columns = [
        *(column(kind, name) for name in sizes),
        *(Column(title, align="left") for title in titles),
    ]
    body = [words(*row) for row in folded_settings(found.regressions)]
    return Table("Settings in which 0/0 works and other cells do not", columns, body, keys=3)


def folded_settings(regressions: Iterable[Regression | HostRegression]) -> list[Row]:
    """Return windows, both sizes, directions, cells and verdict: equal settings are merged."""
    found: list[Row] = [
        (*_sizes(r), cells, verdict)
        for r in regressions
        for verdict, cells in _folded_cells(prefixes_of(cell) for cell in r.cells)
    ]
    by_way = _merged(found, 3, _ways)
    return _merged(_merged(by_way, 2, number_ranges), 1, number_ranges)


def _sizes(found: Regression | HostRegression) -> Row:
    """Return windows, both sizes, and the direction with its doorbell mode; hosts have one."""
    if isinstance(found, HostRegression):
        return *(getattr(found, name) for name in HOST_SIZES), (found.direction, "")
    return *(getattr(found, name) for name in SIZES), (found.direction, found.doorbell)


def _folded_cells(cells: Iterable[Prefixes]) -> list[Row]:
    """Return each verdict with its cells as products of ranges: `0-5/2-5 6-7/0-1`."""
    by_row = _merged(list(cells), 2, number_ranges)
    products = _merged(by_row, 1, number_ranges)
    folded = [(verdict, f"{first}/{second}") for verdict, first, second in products]
    return _merged(folded, 1, " ".join)


def _merged(found: Iterable[Row], at: int, join: Callable[[list[Any]], str]) -> list[Row]:
    """Return rows that differ at one place alone as one, with all of their values joined there."""
    values: dict[Row, list[Any]] = {}
    for row in found:
        values.setdefault((*row[:at], *row[at + 1 :]), []).append(row[at])
    return [(*rest[:at], join(many), *rest[at:]) for rest, many in values.items()]


def _ways(ways: Sequence[tuple[str, str]]) -> str:
    """Return directions, with the doorbell modes only where not all of them are meant."""
    modes = {direction: sorted(mode for d, mode in ways if d == direction) for direction, _ in ways}
    parts = {way: f" ({','.join(some)})" for way, some in modes.items() if not _all_modes(some)}
    if len(modes) == 2 and not parts:
        return "both"
    return " ".join(way + parts.get(way, "") for way in sorted(modes))


def _all_modes(some: Sequence[str]) -> bool:
    return len(some) == len(Doorbell) or some == [""]

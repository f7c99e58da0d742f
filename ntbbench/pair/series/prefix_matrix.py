# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of every prefix of one half of the series against every prefix of the other."""

from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path

from msgspec import UNSET

from ntbbench.core.errors import InputError
from ntbbench.core.options import shown
from ntbbench.pair.drivers.kernel_around import Hazard
from ntbbench.pair.drivers.patches import ROOT_FIX, Side, cell_driver, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.drivers.slots import (
    EP_DB_COUNT_MAX,
    MW_COUNT_MAX,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
)
from ntbbench.pair.records import (
    COMPAT_SCHEMA,
    STORY_SCHEMA,
    BrokenCell,
    Cell,
    CellName,
    CompatResult,
    Exhaustive,
    Regression,
    Stories,
    Story,
)
from ntbbench.pair.ring_trace import ring, story_of
from ntbbench.pair.series.verdict import (
    WORKS,
    Traits,
    Verdict,
    judge,
    outcome,
    setting_traits,
    traits,
)
from ntbbench.pair.setting import DIRECTIONS, EP_SLOTS_MIN, Direction, Setting

SLOTS: dict[Side, range] = {
    "ep": range(EP_SLOTS_MIN, EP_DB_COUNT_MAX + 1),
    "rc": range(RC_VECTORS_MIN, RC_VECTORS_MAX + 1),
}
MW_COUNTS = range(1, MW_COUNT_MAX + 1)


def rows(side: Side) -> tuple[CellName, ...]:
    """Return the names of one side's rows or columns: its prefixes, then the root fix."""
    return (*range(len(side_patches(side)) + 1), ROOT_FIX)


def compat(setting: Setting, exhaustive: Exhaustive | None = None) -> CompatResult:
    """Return the matrix of one setting, in both directions."""
    return CompatResult(
        schema=COMPAT_SCHEMA,
        **shown(setting),
        cells=[
            cell(direction, ep, rc, setting)
            for direction in DIRECTIONS
            for ep in rows("ep")
            for rc in rows("rc")
        ],
        exhaustive=UNSET if exhaustive is None else exhaustive,
    )


def cell(direction: Direction, ep: CellName, rc: CellName, setting: Setting) -> Cell:
    """Return one cell of the matrix."""
    found = outcome(direction, cell_driver("ep", ep), cell_driver("rc", rc), setting)
    return Cell(
        direction=direction,
        ep=ep,
        rc=rc,
        verdict=str(found.verdict),
        amplification=found.counts.amplification,
        missed=found.counts.missed,
        misrouted=found.counts.misrouted,
        cases=found.counts.cases,
        hazards=[str(hazard) for hazard in found.hazards],
    )


def check_matrix(result: CompatResult, path: Path) -> None:
    """Raise InputError for a saved matrix that lacks a cell or has words that no matrix has."""
    whole = Counter(product(DIRECTIONS, rows("ep"), rows("rc")))
    if Counter((cell.direction, cell.ep, cell.rc) for cell in result.cells) != whole:
        raise InputError(f"{path}: cells", len(result.cells), "each direction, EP and RC once")
    for found in result.cells:
        for word in sorted({found.verdict, *found.hazards} - {*Verdict, *Hazard}):
            raise InputError(f"{path}: cells", word, "a verdict or a hazard")


def cell_stories(ep: CellName, rc: CellName, setting: Setting) -> Stories:
    """Return the story of a cell in both directions."""
    stories = [_cell_story(direction, ep, rc, setting) for direction in DIRECTIONS]
    return Stories(schema=STORY_SCHEMA, **shown(setting), stories=stories)


def _cell_story(direction: Direction, ep: CellName, rc: CellName, setting: Setting) -> Story:
    """Return the story of the first bit that goes astray, or of bit 0."""
    drivers = cell_driver("ep", ep), cell_driver("rc", rc)
    sender = drivers[0] if direction == "ep-to-rc" else drivers[1]
    bits = max(setting_traits(sender, setting).qp_count, 1)
    traces = [ring(direction, *drivers, setting, 1 << bit) for bit in range(bits)]
    chosen = next((trace for trace in traces if trace.asleep), traces[0])
    return story_of(chosen, str(outcome(direction, *drivers, setting).verdict))


def exhaustive() -> Exhaustive:
    """Return every setting in which a cell stops working although 0/0 works there.

    All doorbell bits of all QP counts: ntb_transport rings bits 0 .. qp_count-1, and qp_count
    follows from slots, vectors and windows.
    """
    settings = working = root_fix = 0
    found: list[Regression] = []
    for mw_count, ep_slots, rc_vectors, doorbell, direction in product(
        MW_COUNTS, SLOTS["ep"], SLOTS["rc"], Doorbell, DIRECTIONS
    ):
        settings += 1
        ep = _row_traits("ep", ep_slots, mw_count, doorbell)
        rc = _row_traits("rc", rc_vectors, mw_count, doorbell)
        if judge(direction, ep[0], rc[0])[0] not in WORKS:
            continue
        working += 1
        broken, broken_root_fix = _broken_cells(direction, ep, rc)
        root_fix += broken_root_fix
        if broken:
            setting = Setting(ep_slots, rc_vectors, mw_count, doorbell)
            found.append(Regression(direction=direction, **shown(setting), cells=list(broken)))
    return Exhaustive(
        settings=settings, working=working, regressions=found, root_fix_cells=root_fix
    )


def nearest_break(setting: Setting) -> Regression | None:
    """Return the setting next to this one in which a cell stops working although 0/0 works.

    Next is what differs in the fewest of slots, vectors and windows, and least in them.
    """
    own = (setting.ep_slots, setting.rc_vectors, setting.mw_count)

    def distance(other: tuple[int, int, int]) -> tuple[int, int]:
        apart = [abs(one - two) for one, two in zip(own, other, strict=True)]
        return sum(map(bool, apart)), sum(apart)

    for sizes in sorted(product(SLOTS["ep"], SLOTS["rc"], MW_COUNTS), key=distance):
        found = _regressions(Setting(*sizes, setting.doorbell))
        if found and sizes != own:
            return found[0]
    return None


def _regressions(setting: Setting) -> list[Regression]:
    """Return the directions in which 0/0 works in a setting and other cells do not."""
    ep = _row_traits("ep", setting.ep_slots, setting.mw_count, setting.doorbell)
    rc = _row_traits("rc", setting.rc_vectors, setting.mw_count, setting.doorbell)
    return [
        Regression(direction=direction, **shown(setting), cells=list(broken))
        for direction in DIRECTIONS
        if judge(direction, ep[0], rc[0])[0] in WORKS
        and (broken := _broken_cells(direction, ep, rc)[0])
    ]


@cache
def _row_traits(side: Side, slots: int, mw_count: int, doorbell: Doorbell) -> tuple[Traits, ...]:
    return tuple(traits(cell_driver(side, name), slots, mw_count, doorbell) for name in rows(side))


@cache
def _broken_cells(
    direction: Direction, ep: tuple[Traits, ...], rc: tuple[Traits, ...]
) -> tuple[tuple[BrokenCell, ...], int]:
    """Return the cells of prefixes that do not work, and the number of those with one root fix."""
    broken: list[BrokenCell] = []
    root_fix = 0
    for (ep_name, ep_side), (rc_name, rc_side) in product(
        zip(rows("ep"), ep, strict=True), zip(rows("rc"), rc, strict=True)
    ):
        verdict, _ = judge(direction, ep_side, rc_side)
        if verdict in WORKS or ep_name == rc_name == ROOT_FIX:
            continue
        if isinstance(ep_name, int) and isinstance(rc_name, int):
            broken.append(BrokenCell(ep=ep_name, rc=rc_name, verdict=str(verdict)))
        else:
            root_fix += 1
    return tuple(broken), root_fix

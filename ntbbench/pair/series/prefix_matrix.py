# SPDX-License-Identifier: BSD-3-Clause
"""The matrix of every prefix of one half of the series against every prefix of the other."""

from collections.abc import Iterator
from functools import cache
from itertools import product

from msgspec import UNSET, Struct, UnsetType

from ntbbench.pair.drivers.patches import ROOT_FIX, Side, cell_driver, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.drivers.slots import (
    EP_DB_COUNT_MAX,
    MW_COUNT_MAX,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
)
from ntbbench.pair.series.verdict import WORKS, Traits, judge, outcome, traits
from ntbbench.pair.setting import DIRECTIONS, EP_SLOTS_MIN, Direction, Setting

COMPAT_SCHEMA = "ntbbench.compat/1"
EP_SLOTS = range(EP_SLOTS_MIN, EP_DB_COUNT_MAX + 1)
RC_VECTORS = range(RC_VECTORS_MIN, RC_VECTORS_MAX + 1)

CellName = int | str


class Cell(Struct, frozen=True, kw_only=True):
    """One direction of one pair of drivers: the row and column, and what became of its rings."""

    direction: str
    ep: CellName  # a prefix of the patches, or "root-fix"
    rc: CellName
    verdict: str
    amplification: float | None  # None: nothing was delivered
    missed: int
    misrouted: int
    cases: int
    hazards: list[str]


class BrokenCell(Struct, frozen=True, kw_only=True):
    """A cell of two prefixes that does not work."""

    ep: int
    rc: int
    verdict: str


class Regression(Struct, frozen=True, kw_only=True):
    """A setting in which 0/0 works and other cells do not."""

    direction: str
    ep_slots: int
    rc_vectors: int
    mw_count: int
    doorbell: str
    cells: list[BrokenCell]


class Exhaustive(Struct, frozen=True, kw_only=True):
    """Every setting: how many there are, in how many 0/0 works, and where a cell then does not.

    `settings` and `working` count one for each direction.
    """

    settings: int
    working: int
    regressions: list[Regression]  # of prefixes
    root_fix_cells: int  # cells of all settings with one root-fix side: too many to list


class CompatResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `ntbbench compat` found."""

    schema: str
    ep_slots: int
    rc_vectors: int
    mw_count: int
    doorbell: str
    cells: list[Cell]
    exhaustive: Exhaustive | UnsetType = UNSET


def rows(side: Side) -> tuple[CellName, ...]:
    """Return the names of one side's rows or columns: its prefixes, then the root fix."""
    return (*range(len(side_patches(side)) + 1), ROOT_FIX)


def compat(setting: Setting, exhaustive: Exhaustive | None = None) -> CompatResult:
    """Return the matrix of one setting, in both directions."""
    return CompatResult(
        schema=COMPAT_SCHEMA,
        ep_slots=setting.ep_slots,
        rc_vectors=setting.rc_vectors,
        mw_count=setting.mw_count,
        doorbell=str(setting.doorbell),
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


def all_settings() -> Iterator[Setting]:
    """Yield every setting: slots, vectors, windows and doorbell modes that both drivers accept."""
    for mw_count, ep_slots, rc_vectors, doorbell in product(
        range(1, MW_COUNT_MAX + 1),
        EP_SLOTS,
        RC_VECTORS,
        Doorbell,
    ):
        yield Setting(ep_slots, rc_vectors, mw_count, doorbell)


def exhaustive() -> Exhaustive:
    """Return every setting in which a cell stops working although 0/0 works there.

    All doorbell bits of all QP counts: ntb_transport rings bits 0 .. qp_count-1, and qp_count
    follows from slots, vectors and windows.
    """
    settings = working = root_fix = 0
    found: list[Regression] = []
    for setting, direction in product(all_settings(), DIRECTIONS):
        settings += 1
        ep = row_traits("ep", setting.ep_slots, setting.mw_count, setting.doorbell)
        rc = row_traits("rc", setting.rc_vectors, setting.mw_count, setting.doorbell)
        if judge(direction, ep[0], rc[0])[0] not in WORKS:
            continue
        working += 1
        broken, broken_root_fix = broken_cells(direction, ep, rc)
        root_fix += broken_root_fix
        if broken:
            found.append(_regression(direction, setting, broken))
    return Exhaustive(
        settings=settings, working=working, regressions=found, root_fix_cells=root_fix
    )


@cache
def row_traits(side: Side, slots: int, mw_count: int, doorbell: Doorbell) -> tuple[Traits, ...]:
    """Return the traits of all rows (or columns) of one side."""
    return tuple(traits(cell_driver(side, name), slots, mw_count, doorbell) for name in rows(side))


@cache
def broken_cells(
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


def _regression(
    direction: Direction, setting: Setting, broken: tuple[BrokenCell, ...]
) -> Regression:
    return Regression(
        direction=direction,
        ep_slots=setting.ep_slots,
        rc_vectors=setting.rc_vectors,
        mw_count=setting.mw_count,
        doorbell=str(setting.doorbell),
        cells=list(broken),
    )

# SPDX-License-Identifier: BSD-3-Clause
"""All settings of an endpoint function: in which of them a cell stops working, and the nearest."""

from functools import cache
from itertools import product
from typing import Any

from msgspec.structs import replace

from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    MW_COUNT_MAX,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
)
from ntbbench.pair.drivers.patches import ROOT_FIX, Side, cell_driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.host_records import BrokenHosts, HostExhaustive, HostRegression
from ntbbench.pair.joined_hosts import AnySetting, HostSetting
from ntbbench.pair.records import BrokenCell, Exhaustive, Regression
from ntbbench.pair.setting import EP_SLOTS_MIN, Direction, Ends, Setting
from ntbbench.pair.verdict import WORKS, Traits, judge, rows, traits

SLOTS: dict[Side, range] = {
    "ep": range(EP_SLOTS_MIN, EP_DB_COUNT_MAX + 1),
    "rc": range(RC_VECTORS_MIN, RC_VECTORS_MAX + 1),
}
MW_COUNTS = range(1, MW_COUNT_MAX + 1)
GRANTED = ("host1_vectors", "host2_vectors")
Broken = tuple[Any, Any, str]  # row, column, verdict
Sizes = tuple[int, int, int]  # slots of both ends, windows


def modes(setting: AnySetting) -> tuple[Doorbell, ...]:
    """Return how rings may reach the second end's peer: of hosts there is one way."""
    return (setting.doorbell,) if isinstance(setting, HostSetting) else tuple(Doorbell)


DEFAULT = Setting()


def exhaustive(own: AnySetting = DEFAULT) -> Exhaustive | HostExhaustive:
    """Return every setting of the function of `own` in which a cell stops working although 0/0
    works there.

    All doorbell bits of all QP counts: ntb_transport rings bits 0 .. qp_count-1, and qp_count
    follows from slots, vectors and windows.
    """
    ends = own.ends
    sizes = product(MW_COUNTS, *(SLOTS[half] for half in ends.halves))
    settings = working = root_fix = 0
    found: list[Any] = []
    for (mw_count, first, second), doorbell, direction in product(
        sizes, modes(own), ends.directions
    ):
        settings += 1
        sides = both_traits(ends, (first, second, mw_count), doorbell)
        if judge(direction, sides[0][0], sides[1][0])[0] not in WORKS:
            continue
        working += 1
        broken, broken_root_fix = _broken_cells(direction, ends, *sides)
        root_fix += broken_root_fix
        if broken:
            found.append(_regression(ends, direction, (first, second, mw_count), doorbell, broken))
    kind = HostExhaustive if isinstance(own, HostSetting) else Exhaustive
    return kind(settings=settings, working=working, regressions=found, root_fix_cells=root_fix)


def _regression(
    ends: Ends,
    direction: Direction,
    sizes: Sizes,
    doorbell: Doorbell,
    broken: tuple[Broken, ...],
) -> Regression | HostRegression:
    first, second, mw_count = sizes
    if ends is HostSetting.ends:
        return HostRegression(
            direction=direction,
            host1_vectors=first,
            host2_vectors=second,
            mw_count=mw_count,
            cells=[BrokenHosts(host1=one, host2=two, verdict=what) for one, two, what in broken],
        )
    return Regression(
        direction=direction,
        ep_slots=first,
        rc_vectors=second,
        mw_count=mw_count,
        doorbell=str(doorbell),
        cells=[BrokenCell(ep=one, rc=two, verdict=what) for one, two, what in broken],
    )


def nearest_break(setting: AnySetting) -> tuple[AnySetting, list[Any]] | None:
    """Return the setting next to this one in which a cell stops working although 0/0 works, and
    its regression for each direction in which it does; None: there is no such setting.

    Next is what differs in the fewest of slots, vectors and windows, and least in them.
    """
    hosts = isinstance(setting, HostSetting)
    names = ("ep_slots", "mw_count") if hosts else ("ep_slots", "rc_vectors", "mw_count")
    ranges = {"ep_slots": SLOTS["ep"], "rc_vectors": SLOTS["rc"], "mw_count": MW_COUNTS}
    own = tuple(getattr(setting, name) for name in names)

    def distance(other: tuple[int, ...]) -> tuple[int, int]:
        apart = [abs(one - two) for one, two in zip(own, other, strict=True)]
        return sum(map(bool, apart)), sum(apart)

    for sizes in sorted(product(*(ranges[name] for name in names)), key=distance):
        if sizes == own:
            continue
        values: dict[str, Any] = dict(zip(names, sizes, strict=True))
        other = replace(setting, **values, **dict.fromkeys(GRANTED) if hosts else {})
        if found := _regressions(other):
            return other, found
    return None


def _regressions(setting: AnySetting) -> list[Any]:
    """Return the directions in which 0/0 works in a setting and other cells do not."""
    ends, sizes = setting.ends, (*setting.slots, setting.mw_count)
    sides = both_traits(ends, sizes, setting.doorbell)
    return [
        _regression(ends, direction, sizes, setting.doorbell, broken)
        for direction in ends.directions
        if judge(direction, sides[0][0], sides[1][0])[0] in WORKS
        and (broken := _broken_cells(direction, ends, *sides)[0])
    ]


def both_traits(
    ends: Ends, sizes: Sizes, doorbell: Doorbell
) -> tuple[tuple[Traits, ...], tuple[Traits, ...]]:
    """Return the traits of all rows, then of all columns, of the matrix with these sizes."""
    *slots, mw_count = sizes
    first, second = (
        _row_traits(half, count, mw_count, doorbell)
        for half, count in zip(ends.halves, slots, strict=True)
    )
    return first, second


@cache
def _row_traits(side: Side, slots: int, mw_count: int, doorbell: Doorbell) -> tuple[Traits, ...]:
    return tuple(traits(cell_driver(side, name), slots, mw_count, doorbell) for name in rows(side))


@cache
def _broken_cells(
    direction: Direction, ends: Ends, first: tuple[Traits, ...], second: tuple[Traits, ...]
) -> tuple[tuple[Broken, ...], int]:
    """Return the cells of prefixes that do not work, and the number of those with one root fix."""
    broken: list[Broken] = []
    root_fix = 0
    both = zip(ends.halves, (first, second), strict=True)
    sides = (zip(rows(half), one, strict=True) for half, one in both)
    for (row, row_side), (column, column_side) in product(*sides):
        verdict, _ = judge(direction, row_side, column_side)
        if verdict in WORKS or row == column == ROOT_FIX:
            continue
        if ROOT_FIX in (row, column):
            root_fix += 1
        else:
            broken.append((row, column, str(verdict)))
    return tuple(broken), root_fix

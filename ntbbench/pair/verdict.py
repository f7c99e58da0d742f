# SPDX-License-Identifier: BSD-3-Clause
"""Does a doorbell wake the right queue, for one pair and for every prefix against every other?

All of it is computed; a driver that refuses the setting raises DriverError.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal

from msgspec import UNSET

from ntbbench.core.errors import InputError
from ntbbench.core.options import shown
from ntbbench.ntb.transport import UINT_BITS, QpCount
from ntbbench.pair.behaviour import (
    RESERVED_SLOTS,
    receiving,
    receiving_hazards,
    sending,
    sending_hazards,
    valid_mask,
)
from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    MW_COUNT_MAX,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
    DriverError,
    Hazard,
)
from ntbbench.pair.drivers.patches import ROOT_FIX, Driver, Side, cell_driver, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.records import (
    COMPAT_SCHEMA,
    STORY_SCHEMA,
    BrokenCell,
    CellName,
    CompatCell,
    CompatResult,
    Exhaustive,
    Regression,
    Stories,
)
from ntbbench.pair.ring_trace import ring, story_of
from ntbbench.pair.setting import DIRECTIONS, EP_SLOTS_MIN, Direction, Setting, transport_qps


class Verdict(StrEnum):
    """What becomes of the doorbells of one direction, the worst first."""

    LINK_DOWN = "link-down"
    MISSED = "missed"
    MISROUTED = "misrouted"
    FALLBACK = "fallback"
    PER_VECTOR = "per-vector"


WORKS = frozenset({Verdict.FALLBACK, Verdict.PER_VECTOR})

Slots = tuple[tuple[int, ...], ...]
Masks = tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class DoorbellCounts:
    """Single-bit rings of bits 0 .. qp_count-1, one case each, summed."""

    cases: int  # rings
    interrupts: int  # interrupts that reported a vector to the NTB core
    schedule_calls: int  # tasklet_schedule() calls of the doorbell path
    missed: int  # cases whose QP was not scheduled
    misrouted: int  # those of them that scheduled another QP instead

    @property
    def amplification(self) -> float | None:
        """schedule_calls / interrupts; None where nothing was delivered."""
        return self.schedule_calls / self.interrupts if self.interrupts else None


@dataclass(frozen=True)
class Outcome:
    """The verdict on one direction of one pair in one setting."""

    verdict: Verdict
    counts: DoorbellCounts
    hazards: tuple[Hazard, ...]


NOTHING = DoorbellCounts(0, 0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Traits:
    """As much of one side as decides a verdict; sides with equal traits cannot be told apart.

    Made by `traits` alone, which gives equal ones out as one object: they compare and hash by
    identity, which thousands of settings need.
    """

    qp_count: int  # QPs of its ntb_transport
    slots: Slots  # for bits 0 .. qp_count-1, the slots that a ring puts on the wire
    masks: Masks  # for the slots that such bits can touch, the vector masks of the interrupt
    fallback: bool  # the driver has no vector callbacks


_the_traits = cache(Traits)


@cache
def traits(driver: Driver, slots: int, mw_count: int, doorbell: Doorbell) -> Traits:
    """Return the traits of one side; `slots` as in `behaviour.sending`."""
    qp_count = transport_qps(valid_mask(driver, slots), mw_count).qp_count
    receives = receiving(driver, slots, doorbell)
    return _the_traits(
        qp_count,
        sending(driver, slots).slots[:qp_count],
        receives.masks[: qp_count + RESERVED_SLOTS],
        receives.fallback,
    )


def setting_traits(driver: Driver, setting: Setting) -> Traits:
    """Return the traits of one side in a setting."""
    slots = setting.slots_of(driver.side)
    return traits(driver, slots, setting.mw_count, setting.doorbell)


def outcome(direction: Direction, ep: Driver, rc: Driver, setting: Setting) -> Outcome:
    """Return what becomes of the doorbells of one direction."""
    ep_traits, rc_traits = setting_traits(ep, setting), setting_traits(rc, setting)
    verdict, counts = judge(direction, ep_traits, rc_traits)
    sender, receiver = (ep, rc) if direction == "ep-to-rc" else (rc, ep)
    sends = sender, setting.slots_of(sender.side)
    receives = receiver, setting.slots_of(receiver.side), setting.doorbell
    met = sending_hazards(*sends) | receiving_hazards(*receives)
    rung = sending(*sends).slots[: min(ep_traits.qp_count, rc_traits.qp_count)]
    seen = receiving(*receives)
    shown = ((slot, bit) for bit, slots in enumerate(rung) for slot in slots if seen.masks[slot])
    if any(seen.db_reads[slot] != 1 << bit for slot, bit in shown):
        met |= {Hazard.WRONG_BIT}
    return Outcome(verdict, counts, tuple(hazard for hazard in Hazard if hazard in met))


@cache
def judge(direction: Direction, ep: Traits, rc: Traits) -> tuple[Verdict, DoorbellCounts]:
    """Return the verdict on one direction and the counts behind it."""
    if ep.qp_count != rc.qp_count:
        return Verdict.LINK_DOWN, NOTHING
    sender, receiver = (ep, rc) if direction == "ep-to-rc" else (rc, ep)
    counts = _count_rings(sender.slots, receiver.masks)
    return _verdict(counts, receiver.fallback), counts


def _count_rings(slots: Slots, masks: Masks) -> DoorbellCounts:
    """Ring each bit once and count what the receiver's transport schedules; see `Traits`."""
    qp_bitmap = (1 << len(slots)) - 1
    interrupts = schedule_calls = missed = misrouted = 0
    for bit, rung in enumerate(slots):
        woken = 0
        for slot in rung:
            reported = masks[slot]
            interrupts += reported is not None
            for mask in reported or ():
                woken |= mask & qp_bitmap
                schedule_calls += (mask & qp_bitmap).bit_count()
        if not woken >> bit & 1:
            missed += 1
            misrouted += woken != 0
    return DoorbellCounts(len(slots), interrupts, schedule_calls, missed, misrouted)


def _verdict(counts: DoorbellCounts, fallback: bool) -> Verdict:
    """Return the verdict on a link that is up.

    A pair that works is `per-vector` when the driver has vector callbacks and each interrupt
    schedules one tasklet; the embedded doorbell fires every vector, so it never is.
    """
    if counts.missed:
        return Verdict.MISSED if counts.missed > counts.misrouted else Verdict.MISROUTED
    if fallback or counts.schedule_calls != counts.interrupts:
        return Verdict.FALLBACK
    return Verdict.PER_VECTOR


Link = Literal["up", "down"]


@dataclass(frozen=True)
class PairLink:
    """The QPs of either transport, and what becomes of the link."""

    # the QPs that each side's ntb_transport makes; None: its driver refuses the setting
    ep: QpCount | None
    rc: QpCount | None
    # nt->qp_count of EP and RC, which they publish. Without a doorbell bit it wraps and the
    # windows limit it, although a client gets no QP
    counts: tuple[int | None, int | None]
    link: Link  # "up" when both publish the same number of QPs and a client can get one
    cause: str  # why the link is down; "" when it is up


def pair_link(ep: Driver, rc: Driver, setting: Setting, max_num_clients: int = 0) -> PairLink:
    """Return the link of two drivers; `max_num_clients` is ntb_transport's, 0 where unset.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_probe, ntb_transport_link_work: NUM_QPS of
    the peer must equal nt->qp_count, else it tries again for ever), Linux 6.12 and 7.3.
    """
    qps: dict[Side, QpCount] = {}
    published: dict[Side, int] = {}
    refused = ""
    for driver in (ep, rc):
        try:
            mask = valid_mask(driver, setting.slots_of(driver.side))
        except DriverError as error:
            refused = f"the driver of {driver.side.upper()} refuses: {error}"
            break  # without a bound endpoint there is no PCI device for the root complex to find
        qps[driver.side] = transport_qps(mask, setting.mw_count, max_num_clients)
        count = (mask.bit_length() - 1) % (1 << UINT_BITS)  # it wraps for an empty mask
        limited = max_num_clients and max_num_clients < count
        published[driver.side] = max_num_clients if limited else min(count, setting.mw_count)
    counts = published.get("ep"), published.get("rc")
    cause = refused or _apart(qps["ep"], qps["rc"], counts)
    return PairLink(qps.get("ep"), qps.get("rc"), counts, "down" if cause else "up", cause)


def _apart(ep: QpCount, rc: QpCount, counts: tuple[int | None, int | None]) -> str:
    """Return why the link of two sides does not come up, or ""."""
    if counts[0] != counts[1]:
        return (
            f"ntb_transport computed qp_count {counts[0]} on EP ({ep.limit}) and {counts[1]} on RC "
            f"({rc.limit}); the link waits for equal NUM_QPS for ever"
        )
    made = next(((side, qps) for side, qps in (("EP", ep), ("RC", rc)) if not qps.qp_count), None)
    return f"no client gets a QP on {made[0]}: {made[1].limit}" if made else ""


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


def cell(direction: Direction, ep: CellName, rc: CellName, setting: Setting) -> CompatCell:
    """Return one cell of the matrix."""
    found = outcome(direction, cell_driver("ep", ep), cell_driver("rc", rc), setting)
    return CompatCell(
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
    """Return the story of the first bit that goes astray, or of bit 0, in both directions."""
    drivers = cell_driver("ep", ep), cell_driver("rc", rc)
    stories = []
    for direction in DIRECTIONS:
        sender = drivers[0] if direction == "ep-to-rc" else drivers[1]
        bits = max(setting_traits(sender, setting).qp_count, 1)
        traces = [ring(direction, *drivers, setting, 1 << bit) for bit in range(bits)]
        chosen = next((trace for trace in traces if trace.asleep), traces[0])
        stories.append(story_of(chosen, str(outcome(direction, *drivers, setting).verdict)))
    return Stories(schema=STORY_SCHEMA, **shown(setting), stories=stories)


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


def nearest_break(setting: Setting) -> list[Regression]:
    """Return the setting next to this one in which a cell stops working although 0/0 works.

    One for each direction in which it does; none: there is no such setting.

    Next is what differs in the fewest of slots, vectors and windows, and least in them.
    """
    own = (setting.ep_slots, setting.rc_vectors, setting.mw_count)

    def distance(other: tuple[int, int, int]) -> tuple[int, int]:
        apart = [abs(one - two) for one, two in zip(own, other, strict=True)]
        return sum(map(bool, apart)), sum(apart)

    for sizes in sorted(product(SLOTS["ep"], SLOTS["rc"], MW_COUNTS), key=distance):
        found = _regressions(Setting(*sizes, setting.doorbell))
        if found and sizes != own:
            return found
    return []


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

# SPDX-License-Identifier: BSD-3-Clause
"""Does a doorbell wake the right queue, for one pair and for every prefix against every other?

All of it is computed; a driver that refuses the setting raises DriverError.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

from msgspec import UNSET

from ntbbench.core.errors import InputError
from ntbbench.ntb.transport import UINT_BITS, QpCount
from ntbbench.pair.behaviour import (
    RESERVED_SLOTS,
    receiving,
    receiving_hazards,
    sending,
    sending_hazards,
    valid_mask,
)
from ntbbench.pair.drivers.kernel_around import DriverError, Hazard
from ntbbench.pair.drivers.patches import ROOT_FIX, Driver, Side, cell_driver, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.host_records import (
    HOST_COMPAT_SCHEMA,
    HostCell,
    HostCompat,
    HostExhaustive,
    HostStories,
)
from ntbbench.pair.joined_hosts import AnySetting, HostSetting, setting_of
from ntbbench.pair.records import (
    COMPAT_SCHEMA,
    CellName,
    CompatCell,
    CompatResult,
    Exhaustive,
    Stories,
)
from ntbbench.pair.ring_trace import ring, stories, story_of
from ntbbench.pair.setting import Direction, Ends, by_role, transport_qps


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


def setting_traits(driver: Driver, setting: AnySetting) -> Traits:
    """Return the traits of one side in a setting."""
    return traits(driver, setting.slots_of(driver.side), setting.mw_count, setting.doorbell)


def outcome(direction: Direction, first: Driver, second: Driver, setting: AnySetting) -> Outcome:
    """Return what becomes of the doorbells of one direction."""
    ends = list(zip((first, second), setting.slots, strict=True))
    both = [traits(*end, setting.mw_count, setting.doorbell) for end in ends]
    verdict, counts = judge(direction, *both)
    sends, (receiver, slots) = by_role(direction, *ends)
    receives = receiver, slots, setting.doorbell
    met = sending_hazards(*sends) | receiving_hazards(*receives)
    rung = sending(*sends).slots[: min(one.qp_count for one in both)]
    seen = receiving(*receives)
    shown = ((slot, bit) for bit, slots in enumerate(rung) for slot in slots if seen.masks[slot])
    if any(seen.db_reads[slot] != 1 << bit for slot, bit in shown):
        met |= {Hazard.WRONG_BIT}
    return Outcome(verdict, counts, tuple(hazard for hazard in Hazard if hazard in met))


@cache
def judge(direction: Direction, first: Traits, second: Traits) -> tuple[Verdict, DoorbellCounts]:
    """Return the verdict on one direction and the counts behind it."""
    if first.qp_count != second.qp_count:
        return Verdict.LINK_DOWN, NOTHING
    sender, receiver = by_role(direction, first, second)
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
    """The QPs of either transport, and what becomes of the link; first and second end."""

    # the QPs that each side's ntb_transport makes; None: its driver refuses the setting
    qps: tuple[QpCount | None, QpCount | None]
    # nt->qp_count of both, which they publish. Without a doorbell bit it wraps and the windows
    # limit it, although a client gets no QP
    counts: tuple[int | None, int | None]
    link: Link  # "up" when both publish the same number of QPs and a client can get one
    cause: str  # why the link is down; "" when it is up


def pair_link(
    first: Driver, second: Driver, setting: AnySetting, max_num_clients: int = 0
) -> PairLink:
    """Return the link of two drivers; `max_num_clients` is ntb_transport's, 0 where unset.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_probe, ntb_transport_link_work: NUM_QPS of
    the peer must equal nt->qp_count, else it tries again for ever), Linux 6.12 and 7.3.
    """
    qps: list[QpCount | None] = [None, None]
    counts: list[int | None] = [None, None]
    titles, cause = setting.ends.titles, ""
    for end, (driver, slots) in enumerate(zip((first, second), setting.slots, strict=True)):
        try:
            mask = valid_mask(driver, slots)
        except DriverError as error:
            cause = f"the driver of {titles[end]} refuses: {error}"
            break  # without a bound endpoint there is no PCI device for the root complex to find
        qps[end] = transport_qps(mask, setting.mw_count, max_num_clients)
        count = (mask.bit_length() - 1) % (1 << UINT_BITS)  # it wraps for an empty mask
        limited = max_num_clients and max_num_clients < count
        counts[end] = max_num_clients if limited else min(count, setting.mw_count)
    cause = cause or _apart(titles, qps, counts)
    found = (qps[0], qps[1]), (counts[0], counts[1])
    return PairLink(*found, "down" if cause else "up", cause)


def _apart(
    titles: Sequence[str], qps: Sequence[QpCount | None], counts: Sequence[int | None]
) -> str:
    """Return why the link of two sides does not come up, or ""."""
    limits = [made.limit for made in qps if made]
    if counts[0] != counts[1]:
        return (
            f"ntb_transport computed qp_count {counts[0]} on {titles[0]} ({limits[0]}) and "
            f"{counts[1]} on {titles[1]} ({limits[1]}); the link waits for equal NUM_QPS for ever"
        )
    none = next((end for end, made in enumerate(qps) if made and not made.qp_count), None)
    return "" if none is None else f"no client gets a QP on {titles[none]}: {limits[none]}"


def rows(side: Side) -> tuple[CellName, ...]:
    """Return the names of one side's rows or columns: its prefixes, then the root fix."""
    return (*range(len(side_patches(side)) + 1), ROOT_FIX)


def compat(
    setting: AnySetting, exhaustive: Exhaustive | HostExhaustive | None = None
) -> CompatResult | HostCompat:
    """Return the matrix of one setting, in both directions."""
    found: dict[str, Any] = {
        **setting.recorded(),
        "cells": [cell(*place, setting) for place in places(setting.ends)],
        "exhaustive": UNSET if exhaustive is None else exhaustive,
    }
    if isinstance(setting, HostSetting):
        return HostCompat(schema=HOST_COMPAT_SCHEMA, **found)
    return CompatResult(schema=COMPAT_SCHEMA, **found)


def places(ends: Ends) -> list[tuple[Direction, CellName, CellName]]:
    """Return the cells of a matrix: direction, row and column."""
    return list(product(ends.directions, rows(ends.halves[0]), rows(ends.halves[1])))


def cell(
    direction: Direction, first: CellName, second: CellName, setting: AnySetting
) -> CompatCell | HostCell:
    """Return one cell of the matrix."""
    ends = setting.ends
    found = outcome(direction, *cell_drivers(first, second, ends), setting)
    kind = HostCell if isinstance(setting, HostSetting) else CompatCell
    return kind(
        direction=direction,
        **dict(zip(ends.names, (first, second), strict=True)),
        verdict=str(found.verdict),
        amplification=found.counts.amplification,
        missed=found.counts.missed,
        misrouted=found.counts.misrouted,
        cases=found.counts.cases,
        hazards=[str(hazard) for hazard in found.hazards],
    )


def cell_drivers(first: CellName, second: CellName, ends: Ends) -> tuple[Driver, Driver]:
    """Return the drivers of a cell's row and column."""
    return cell_driver(ends.halves[0], first), cell_driver(ends.halves[1], second)


def place_of(cell: CompatCell | HostCell) -> tuple[str, CellName, CellName]:
    """Return where a cell stands in its matrix: direction, row and column."""
    if isinstance(cell, HostCell):
        return cell.direction, cell.host1, cell.host2
    return cell.direction, cell.ep, cell.rc


def check_matrix(result: CompatResult | HostCompat, path: Path) -> None:
    """Raise InputError for a saved matrix that lacks a cell or has words that no matrix has."""
    ends = setting_of(result).ends
    if Counter(map(place_of, result.cells)) != Counter(places(ends)):
        once = f"each direction, {' and '.join(ends.titles)} once"
        raise InputError(f"{path}: cells", len(result.cells), once)
    for found in result.cells:
        for word in sorted({found.verdict, *found.hazards} - {*Verdict, *Hazard}):
            raise InputError(f"{path}: cells", word, "a verdict or a hazard")


def cell_stories(first: CellName, second: CellName, setting: AnySetting) -> Stories | HostStories:
    """Return the story of the first bit that goes astray, or of bit 0, in both directions."""
    drivers = cell_drivers(first, second, setting.ends)
    found = []
    for direction in setting.ends.directions:
        sender, slots = by_role(direction, *zip(drivers, setting.slots, strict=True))[0]
        bits = max(traits(sender, slots, setting.mw_count, setting.doorbell).qp_count, 1)
        traces = [ring(direction, *drivers, setting, 1 << bit) for bit in range(bits)]
        chosen = next((trace for trace in traces if trace.asleep), traces[0])
        found.append(story_of(chosen, str(outcome(direction, *drivers, setting).verdict)))
    return stories(setting, found)

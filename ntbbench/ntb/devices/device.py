# SPDX-License-Identifier: BSD-3-Clause
"""One NTB device as its driver presents it: doorbells, vectors, windows, scratchpads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ntbbench.ntb.records import Citation, Rule
from ntbbench.ntb.vectormap import DB_BITS_MAX, VectorMap

Sized = Literal["fixed", "db_count", "free"]
DbRead = Literal["latched", "zero", "legacy"]
IrqLayout = Literal["slots", "vectors", "all", "doorbells", "messages"]
ALL_BITS = (1 << DB_BITS_MAX) - 1


@dataclass(frozen=True)
class IrqLines:
    """Lines of /proc/interrupts that a device has.

    Parameters
    ----------
    action : the name that its driver gives request_irq().
    layout : what the lines are in their order: the pair's slots, MSI-X vectors, one line for
        doorbells and link, one for the doorbells alone, one for messages.
    counts : how many of them the device has; empty: any number.
    """

    action: str
    layout: IrqLayout
    counts: Sequence[int] = ()


@dataclass(frozen=True)
class IrqGrant:
    """How many interrupts a driver asks for, and the number that it goes by.

    Parameters
    ----------
    low, high : the range that it asks for.
    kept : the number that it keeps, whatever it was granted.
    """

    low: int
    high: int
    kept: int


@dataclass(frozen=True)
class VectorRules:
    """What a driver does with vector numbers, beyond its map.

    Parameters
    ----------
    event_vectors : vectors that it passes to ntb_db_event(); None: of each interrupt source that
        has a valid bit its number, or 0 alone where there are no vector callbacks.
    vectors_beyond : how many vectors db_vector_mask() takes beyond db_vector_count.
    irq_grant : None: it goes by what it was granted.
    citations : the line that decides over a rule.
    """

    event_vectors: tuple[int, ...] | None = None
    vectors_beyond: int = 0
    irq_grant: IrqGrant | None = None
    citations: Mapping[Rule, Citation] = field(default_factory=dict)


@dataclass(frozen=True)
class Hardware:
    """One NTB device: its map, its limits, and where the facts stand.

    Parameters
    ----------
    name : the name on the command line.
    driver : the kernel's driver, or "-".
    description : one line.
    doorbells : doorbell bits of a device of fixed size, the driver's db_count for the epf drivers,
        and what was asked for from `generic`.
    vectors : what `ntb_db_vector_count()` returns; what was asked for from `generic`.
    vector_map : interrupts and masks, bit by bit.
    link_mask : u64 mask of the bits that carry link events; outside db_valid_mask.
    mw_count : outbound memory windows (`ntb_peer_mw_count()`); None: unlimited.
    spad_count : scratchpads (`ntb_spad_count()`); None: unlimited.
    db_read : what `db_read()` shows of a rung bit until `db_clear()`: the bit ("latched"), nothing
        ("zero"), or wrong bits ("legacy": the epf drivers before the series).
    sized : "fixed", by the driver's "db_count", or "free" (doorbells and vectors as asked for).
    source : kernel version, file and functions that the facts were read from.
    irqs : its lines in /proc/interrupts; none where another preset stands for them.
    rules : what the audit holds against it.
    callbacks : the driver has db_vector_count() and db_vector_mask().
    reserved_mask : u64 mask of bits that the hardware has and the driver keeps for other ends.
    lost_mask : u64 mask of bits of db_valid_mask whose ring never arrives: they have no slot.
    mask_past_end : u64, what `db_vector_mask()` returns for vector db_vector_count, the first one
        that does not exist.
    refusal : why ntb_transport gets no such device at all; None: it does.
    """

    name: str
    driver: str
    description: str
    doorbells: int
    vectors: int
    vector_map: VectorMap
    link_mask: int
    mw_count: int | None
    spad_count: int | None
    db_read: DbRead
    sized: Sized
    source: str
    irqs: tuple[IrqLines, ...] = ()
    rules: VectorRules = VectorRules()
    callbacks: bool = True
    reserved_mask: int = 0
    lost_mask: int = 0
    mask_past_end: int = 0
    refusal: str | None = None


def low_bits(count: int) -> int:
    """Return the u64 mask of the `count` lowest bits."""
    return (1 << count) - 1


def shift_masks(vectors: int, shift: int) -> tuple[int, ...]:
    """Return one u64 mask a vector: vector v covers `shift` bits from bit shift * v on."""
    return tuple(low_bits(shift) << shift * vector & ALL_BITS for vector in range(vectors))


def masked_map(db_valid_mask: int, irq_masks: Sequence[int]) -> VectorMap:
    """Return the map of a driver whose vector mask is its interrupt's bits that are valid."""
    return VectorMap(
        db_valid_mask=db_valid_mask,
        irq_masks=tuple(irq_masks),
        db_vector_count=len(irq_masks),
        db_vector_masks=tuple(mask & db_valid_mask for mask in irq_masks),
    )


def plain_map(db_valid_mask: int, irq_masks: Sequence[int]) -> VectorMap:
    """Return the map of a driver without vector callbacks."""
    return masked_map(db_valid_mask, irq_masks).as_fallback()

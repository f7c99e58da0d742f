# SPDX-License-Identifier: BSD-3-Clause
"""One NTB device as its driver presents it, and what it gives in each dispatch mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from ntbbench.core.names import unknown
from ntbbench.ntb.records import NO_SOURCE, AuditRule, Citation
from ntbbench.ntb.transport import QpCount, create_queues, qp_count, queue_bits
from ntbbench.ntb.vectormap import DB_BITS_MAX, VectorMap

Sized = Literal["fixed", "db_count", "free"]
DbRead = Literal["latched", "zero", "legacy"]
IrqLayout = Literal["slots", "vectors", "all", "doorbells", "messages"]
ALL_BITS = (1 << DB_BITS_MAX) - 1


@dataclass(frozen=True)
class IrqLines:
    """Lines of /proc/interrupts that a device has."""

    action: str  # the name that its driver gives request_irq()
    # what the lines are in their order: the pair's slots, MSI-X vectors, one line for doorbells and
    # link, one for the doorbells alone, one for messages
    layout: IrqLayout
    counts: Sequence[int] = ()  # how many of them the device has; empty: any number


@dataclass(frozen=True)
class IrqGrant:
    """How many interrupts a driver asks for, and the number that it goes by."""

    low: int
    high: int
    kept: int  # whatever it was granted


@dataclass(frozen=True)
class VectorRules:
    """What a driver does with vector numbers, beyond its map."""

    # vectors that it passes to ntb_db_event(); None: of each interrupt source that has a valid bit
    # its number, or 0 alone where there are no vector callbacks
    event_vectors: tuple[int, ...] | None = None
    vectors_beyond: int = 0  # how many vectors db_vector_mask() takes beyond db_vector_count
    irq_grant: IrqGrant | None = None  # None: it goes by what it was granted
    # bits of the number that ntb_transport shifts 1 in for its MSI doorbell; 32 before Linux 6.15
    msi_shift_bits: int = DB_BITS_MAX
    # the line that decides over a rule
    citations: Mapping[AuditRule, Citation] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """One NTB device: its map, its limits, and where the facts stand."""

    name: str  # on the command line
    driver: str = "-"  # the kernel's, if one makes it
    description: str
    doorbells: int  # as asked for from `generic`, db_count of the epf drivers, bits of all others
    vectors: int  # what `ntb_db_vector_count()` returns; what was asked for from `generic`
    vector_map: VectorMap
    link_mask: int = 0  # u64 mask of the bits that carry link events; outside db_valid_mask
    mw_count: int | None = None  # outbound memory windows (`ntb_peer_mw_count()`); None: unlimited
    spad_count: int | None = None  # scratchpads (`ntb_spad_count()`); None: unlimited
    # What `db_read()` shows of a rung bit until `db_clear()`: the bit ("latched"), nothing
    # ("zero"), or wrong bits ("legacy": the epf drivers before the series).
    db_read: DbRead = "latched"
    sized: Sized = "fixed"  # by the driver's "db_count", or "free": as asked for
    source: str = NO_SOURCE  # kernel version, file and functions that the facts were read from
    irqs: tuple[IrqLines, ...] = ()  # in /proc/interrupts; none where another preset stands for it
    alike: str = ""  # the preset that stands for it there: its lines are the same
    # The release, as 6.15, whose kernels and later ones have other facts; "": there is none. Stable
    # kernels may have them earlier.
    before: str = ""
    since: str = ""  # the release, as 5.7, before which no kernel has these facts
    called: str = ""  # in a sentence, where the name alone says little
    rules: VectorRules = VectorRules()  # what the audit holds against it
    callbacks: bool = True  # the driver has db_vector_count() and db_vector_mask()
    reserved_mask: int = 0  # u64 mask of bits that the driver keeps for other ends
    lost_mask: int = 0  # u64 mask of valid bits whose ring never arrives: they have no slot
    mask_past_end: int = 0  # u64, `db_vector_mask()` of the first vector that does not exist
    refusal: str | None = None  # why ntb_transport gets no such device at all; None: it does


def low_bits(count: int) -> int:
    """Return the u64 mask of the `count` lowest bits."""
    return (1 << count) - 1


def shift_masks(vectors: int, shift: int) -> tuple[int, ...]:
    """Return one u64 mask a vector: vector v covers `shift` bits from bit shift * v on."""
    return tuple(low_bits(shift) << shift * vector & ALL_BITS for vector in range(vectors))


def masked_map(db_valid_mask: int, irq_masks: Sequence[int]) -> VectorMap:
    """Return the map of a driver whose vector mask is its interrupt's bits that are valid."""
    masks = tuple(mask & db_valid_mask for mask in irq_masks)
    return VectorMap(db_valid_mask, tuple(irq_masks), len(irq_masks), masks)


def plain_map(db_valid_mask: int, irq_masks: Sequence[int]) -> VectorMap:
    """Return the map of a driver without vector callbacks."""
    return masked_map(db_valid_mask, irq_masks).as_fallback()


Dispatch = Literal["fallback", "per-vector", "msi"]
DISPATCHES: tuple[str, ...] = get_args(Dispatch)


@dataclass(frozen=True)
class Provision:
    """What one device gives to one request for queues."""

    qps: QpCount  # ntb_transport's queue pairs
    queues: int  # netdev queues that exist after the request
    active: int  # u64 mask of the doorbell bits (QPs) of those queues
    reason: str | None  # why the request failed; None: it did not


def provision(
    hardware: Hardware, dispatch: str, queues_requested: int, max_num_clients: int = 0
) -> Provision:
    """Return what `ethtool -L DEV combined <queues_requested>` gives; InputError: no such mode."""
    _check_dispatch(dispatch)
    qps = queue_pairs(hardware, dispatch, max_num_clients)
    queues = create_queues(queues_requested, qps)
    active = sum(1 << bit for bit in queue_bits(qps.qp_bitmap)[: queues.created])
    reason = queues.error
    if reason is None and dispatch == "msi":
        reason = _msi_refusal(hardware, qps, queues_requested)
    return Provision(qps, queues.created, active, reason)


def queue_pairs(hardware: Hardware, dispatch: str, max_num_clients: int) -> QpCount:
    """Return the queue pairs that ntb_transport makes of `hardware`."""
    if hardware.refusal:
        return QpCount(0, hardware.refusal, 0, False, None)
    return qp_count(
        hardware.vector_map.db_valid_mask,
        mw_count=hardware.mw_count,
        spad_count=hardware.spad_count,
        use_msi=dispatch == "msi",
        max_num_clients=max_num_clients,
    )


def _msi_refusal(hardware: Hardware, qps: QpCount, queues_requested: int) -> str | None:
    """Return why these queues would not all be dispatched by MSI; None: they are.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_probe: use_msi needs a window of its own;
    ntb_transport_setup_qp_msi: a QP without scratchpads for its descriptor keeps its doorbell),
    Linux 7.3.
    """
    if not qps.use_msi:
        return f"use_msi needs more than one memory window, mw_count is {hardware.mw_count}"
    if qps.msi_qp_count is not None and queues_requested > qps.msi_qp_count:
        return (
            f"use_msi: {hardware.spad_count} scratchpads hold the MSI descriptors of "
            f"{qps.msi_qp_count} QPs, {queues_requested} requested; the others keep their doorbell"
        )
    return None


def dispatch_map(hardware: Hardware, dispatch: str, queues: int) -> VectorMap:
    """Return the interrupts of `hardware` and what the receiver makes of them.

    "per-vector" is what the driver reports; "fallback" the same device without vector callbacks;
    "msi" has an interrupt for each of the `queues` that exist, which schedules its QP alone.
    InputError: no such mode.

    Source: include/linux/ntb.h (ntb_db_vector_mask), drivers/ntb/ntb_transport.c
    (ntb_transport_isr), Linux 7.3.
    """
    _check_dispatch(dispatch)
    full = hardware.vector_map
    if dispatch == "per-vector":
        return full
    if dispatch == "fallback":
        return full.as_fallback()
    qp_masks = tuple(1 << bit for bit in queue_bits(full.db_valid_mask)[:queues])
    return VectorMap(sum(qp_masks), qp_masks, len(qp_masks), qp_masks)


def _check_dispatch(dispatch: str) -> None:
    if dispatch not in DISPATCHES:
        raise unknown("dispatch", dispatch, DISPATCHES)

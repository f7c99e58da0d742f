# SPDX-License-Identifier: BSD-3-Clause
"""What one side does, as seen from its wire: found by running its driver, ring by ring.

A verdict on a pair needs no more than this of either side, so it can be computed for thousands
of settings: each driver runs once for each number of slots, not once for each pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ntbbench.pair.drivers.core_ops import NtbDevice, db_vector_mask
from ntbbench.pair.drivers.hazards import DriverError, Hazard
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb
from ntbbench.pair.drivers.slots import (
    EP_DB_COUNT_MAX,
    EPF_IRQ_DB_START,
    MW_COUNT_MAX,
    U64,
    U64_BITS,
)
from ntbbench.pair.setting import bound_vntb, probed_epf

QP_BITS = MW_COUNT_MAX  # QPs that the pair's windows can give: ntb_transport rings their bits only
RESERVED_SLOTS = EPF_IRQ_DB_START  # bit b rings slot b + 2, so qp_count bits touch qp_count + 2
# db_counts that someone may write after attach: the largest that patch 4 accepts, and one that
# no shift of a u64 survives.
REWRITTEN_DB_COUNTS = (EP_DB_COUNT_MAX, U64_BITS + 1)


@dataclass(frozen=True)
class Sending:
    """What a side does when ntb_transport rings one bit.

    Parameters
    ----------
    slots : for bits 0 .. QP_BITS-1, the slots that the wire carries; () after an errno.
    hazards : met while ringing; `rare_sending_hazards` looks for more.
    """

    slots: tuple[tuple[int, ...], ...]
    hazards: frozenset[Hazard]


@dataclass(frozen=True)
class Receiving:
    """What a side does with the interrupt of each slot.

    Parameters
    ----------
    masks : for slots 0 .. QP_BITS+1, `ntb_db_vector_mask()` of each vector that the interrupt
        reports, in order; None where nothing reaches the NTB core.
    db_reads : for the same slots, db_read() after the interrupt, nothing cleared.
    fallback : the core falls back to db_valid_mask.
    hazards : met while receiving; `rare_receiving_hazards` looks for more.
    """

    masks: tuple[tuple[int, ...] | None, ...]
    db_reads: tuple[int, ...]
    fallback: bool
    hazards: frozenset[Hazard]


@cache
def valid_mask(driver: Driver, slots: int) -> int:
    """Return the db_valid_mask of one side; `slots` as in `sending`."""
    return _device(driver, slots, Doorbell.POLL, Log()).db_valid_mask()


@cache
def sending(driver: Driver, slots: int) -> Sending:
    """Run the sending half of one side: each bit alone.

    Parameters
    ----------
    driver : one side's driver.
    slots : the slots of that side, link and reserved included: the endpoint's db_count, or the
        vectors granted to the root complex.
    """
    log = Log()
    device = _device(driver, slots, Doorbell.POLL, log)
    rung = tuple(_ring(device, 1 << bit, log) for bit in range(QP_BITS))
    return Sending(rung, device.sanitizer.hazards)


@cache
def rare_sending_hazards(driver: Driver, slots: int) -> frozenset[Hazard]:
    """Return the hazards of ringing several bits at once, and after a late configfs write."""
    log = Log()
    device = _device(driver, slots, Doorbell.POLL, log)
    _ring(device, device.db_valid_mask(), log)
    hazards = device.sanitizer.hazards
    if driver.side == "ep":
        for other in _rewritten(driver, slots, Doorbell.POLL, log):
            _ring(other, 1, log)
            hazards |= other.sanitizer.hazards
    return hazards


@cache
def receiving(driver: Driver, slots: int, doorbell: Doorbell) -> Receiving:
    """Run the receiving half of one side: the interrupt of each slot alone.

    Parameters
    ----------
    driver, slots : as in `sending`.
    doorbell : how rings reach the endpoint; without effect on the root complex.
    """
    log = Log()
    device = _device(driver, slots, doorbell, log)
    masks: list[tuple[int, ...] | None] = []
    db_reads = []
    for slot in range(QP_BITS + RESERVED_SLOTS):
        masks.append(_deliver(device, slot, log))
        db_reads.append(device.db_read())
        device.db_clear(U64)
    fallback = device.db_vector_ops is None
    return Receiving(tuple(masks), tuple(db_reads), fallback, device.sanitizer.hazards)


class Log:
    """What one device told its surroundings."""

    def __init__(self) -> None:
        self.device: NtbDevice | None = None
        self.masks: list[int] = []
        self.slots: list[int] = []

    def add_event(self, vector: int) -> None:
        """Take ntb_db_event(): the core asks for the vector's mask."""
        if self.device is not None:
            self.masks.append(db_vector_mask(self.device, vector))

    def add_slot(self, slot: int) -> None:
        """Take a write to a slot."""
        self.slots.append(slot)

    def add_msi(self, number: int) -> None:
        """Take an MSI; MSI n is slot n - 1."""
        self.slots.append(number - 1)


def _device(driver: Driver, slots: int, doorbell: Doorbell, log: Log) -> Epf | Vntb:
    """Return one side, set up and with its wire and its core connected to `log`."""
    device: Epf | Vntb
    if driver.side == "ep":
        device = bound_vntb(driver, slots, doorbell, log.add_event, log.add_msi)
    else:
        device = probed_epf(driver, contiguous_irqs(slots), log.add_event, log.add_slot)
    log.device = device
    return device


def _ring(device: Epf | Vntb, db_bits: int, log: Log) -> tuple[int, ...]:
    """Ring as ntb_transport does, from atomic context; return the slots on the wire."""
    log.slots.clear()
    try:
        with device.sanitizer.atomic():
            device.peer_db_set(db_bits)
    except DriverError:
        return ()
    if isinstance(device, Vntb):
        device.run_peer_db_work()
    return tuple(log.slots)


def _deliver(device: Epf | Vntb, slot: int, log: Log) -> tuple[int, ...] | None:
    """Let the interrupt of a slot arrive, if it exists; return the masks that the core sees."""
    log.masks.clear()
    if isinstance(device, Vntb):
        device.write_doorbell(slot)
        device.poll()
    elif slot < len(device.irqs):
        device.isr(slot)
    return tuple(log.masks) or None


@cache
def rare_receiving_hazards(driver: Driver, slots: int, doorbell: Doorbell) -> frozenset[Hazard]:
    """Return the hazards of irqs that do not follow each other, or of a late configfs write."""
    log = Log()
    hazards: frozenset[Hazard] = frozenset()
    if driver.side == "ep":
        for vntb in _rewritten(driver, slots, doorbell, log):
            _deliver(vntb, driver.db_start, log)
            hazards |= vntb.sanitizer.hazards
        return hazards
    epf = probed_epf(driver, scattered_irqs(slots), log.add_event, log.add_slot)
    for slot in range(driver.db_start, slots):
        _deliver(epf, slot, log)
    return epf.sanitizer.hazards


def _rewritten(driver: Driver, slots: int, doorbell: Doorbell, log: Log) -> Iterator[Vntb]:
    """Yield endpoints whose db_count was written again after attach, where that is accepted."""
    for db_count in REWRITTEN_DB_COUNTS:
        vntb = bound_vntb(driver, slots, doorbell, log.add_event, log.add_msi)
        log.device = vntb
        try:
            vntb.config.store("db_count", str(db_count))
        except DriverError:
            continue
        yield vntb

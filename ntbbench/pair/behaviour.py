# SPDX-License-Identifier: BSD-3-Clause
"""What one side does, as seen from its wire: found by running its driver, ring by ring.

A verdict on a pair needs no more than this of either side, so it can be computed for thousands
of settings: each driver runs once for each number of slots, not once for each pair.
"""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from ntbbench.pair.drivers.kernel_around import (
    EP_DB_COUNT_MAX,
    EP_MSIS,
    EPF_IRQ_DB_START,
    MW_COUNT_MAX,
    U64,
    U64_BITS,
    DriverError,
    Hazard,
    db_vector_mask,
)
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import Driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb
from ntbbench.pair.setting import bound_vntb, probed_epf, ring_in_atomic

QP_BITS = MW_COUNT_MAX  # QPs that the pair's windows can give: ntb_transport rings their bits only
RESERVED_SLOTS = EPF_IRQ_DB_START  # bit b rings slot b + 2, so qp_count bits touch qp_count + 2
# db_counts that someone may write after attach: the largest that patch 4 accepts, and one that
# no shift of a u64 survives.
REWRITTEN_DB_COUNTS = (EP_DB_COUNT_MAX, U64_BITS + 1)


class OneSide:
    """One driver, set up; its core and its wire write down what it does.

    slots: the slots of that side, link and reserved included: the endpoint's db_count, or the
        vectors granted to the root complex.
    doorbell: how rings reach the endpoint; without effect on the root complex.
    irqs: gives the Linux irq numbers of the root complex's vectors.
    DriverError: a driver that refuses its slots.
    """

    def __init__(
        self,
        driver: Driver,
        slots: int,
        doorbell: Doorbell = Doorbell.POLL,
        irqs: Callable[[int], tuple[int, ...]] = contiguous_irqs,
    ) -> None:
        self.driver = driver
        self.vectors: list[int] = []  # reported to the core by the last interrupt
        self.masks: list[int] = []  # the core's ntb_db_vector_mask() of each
        self.db_reads: list[int] = []  # what db_read() then shows
        self.link_events = 0  # of the last interrupts
        self.rung: list[int] = []  # the slots of the last ring
        self.work_rings = 0  # rings left to make while deferred work raises another
        self.device: Epf | Vntb
        if driver.side == "ep":
            self.device = bound_vntb(driver, slots, doorbell, self._event, self._raise_msi)
        else:
            self.device = probed_epf(driver, irqs(slots), self._event, self.rung.append)

    def _event(self, vector: int) -> None:
        self.vectors.append(vector)
        self.masks.append(db_vector_mask(self.device, vector))
        self.db_reads.append(self.device.db_read())

    def _raise_msi(self, number: int) -> None:
        self.rung.append(number - 1)
        if self.work_rings and isinstance(self.device, Vntb) and self.device.peer_db_work.running:
            self.work_rings -= 1
            self.device.peer_db_set(1 << (len(self.rung) - 1) % 2)
        if number > EP_MSIS:
            raise DriverError(errno.EINVAL, "pci_epc_raise_irq", f"MSI {number} of {EP_MSIS}")

    @property
    def hazards(self) -> frozenset[Hazard]:
        """The hazards met so far."""
        return self.device.sanitizer.hazards

    def interrupt(self, *slots: int) -> None:
        """Let the interrupts of slots arrive, those that there are; a poll finds all of them."""
        for seen in (self.vectors, self.masks, self.db_reads):
            seen.clear()
        if isinstance(self.device, Vntb):
            for slot in slots:
                self.device.write_doorbell(slot)
            self.device.poll()
            return
        self.device.link_events = 0
        for slot in slots:
            if slot < len(self.device.irqs):
                self.device.isr(slot)
        self.link_events = self.device.link_events

    def ring(self, *rings: int) -> int:
        """Ring as ntb_transport does, from atomic context; return 0 or the first negative errno.

        Deferred work runs after the last of `rings`, each a mask of bits.
        """
        self.rung.clear()
        refused = [ring_in_atomic(self.device, db_bits) for db_bits in rings]
        if isinstance(self.device, Vntb):
            self.device.run_peer_db_work()
        return next((-error.code for error in refused if error is not None), 0)


@dataclass(frozen=True)
class Sending:
    """What a side does when ntb_transport rings one bit."""

    # for bits 0 .. QP_BITS-1, the slots that the wire carries; () after an errno
    slots: tuple[tuple[int, ...], ...]
    hazards: frozenset[Hazard]  # met while ringing; `sending_hazards` looks for more


@dataclass(frozen=True)
class Receiving:
    """What a side does with the interrupt of each slot."""

    # for slots 0 .. QP_BITS+1, `ntb_db_vector_mask()` of each vector that the interrupt
    # reports, in order; None where nothing reaches the NTB core
    masks: tuple[tuple[int, ...] | None, ...]
    db_reads: tuple[int, ...]  # for the same slots, db_read() after the interrupt, nothing cleared
    fallback: bool  # the core falls back to db_valid_mask
    hazards: frozenset[Hazard]  # met while receiving; `receiving_hazards` looks for more


@cache
def valid_mask(driver: Driver, slots: int) -> int:
    """Return the db_valid_mask of one side; `slots` as of `OneSide`."""
    return OneSide(driver, slots).device.db_valid_mask()


@cache
def sending(driver: Driver, slots: int) -> Sending:
    """Run the sending half of one side: each bit alone."""
    side = OneSide(driver, slots)
    rung = []
    for bit in range(QP_BITS):
        side.ring(1 << bit)
        rung.append(tuple(side.rung))
    return Sending(tuple(rung), side.hazards)


@cache
def sending_hazards(driver: Driver, slots: int) -> frozenset[Hazard]:
    """Return the hazards of ringing one bit, several at once, and after a late configfs write."""
    side = OneSide(driver, slots)
    side.ring(side.device.db_valid_mask())
    hazards = sending(driver, slots).hazards | side.hazards
    for other in _rewritten(driver, slots, Doorbell.POLL):
        other.ring(1)
        hazards |= other.hazards
    return hazards


@cache
def receiving(driver: Driver, slots: int, doorbell: Doorbell) -> Receiving:
    """Run the receiving half of one side: the interrupt of each slot alone."""
    side = OneSide(driver, slots, doorbell)
    masks: list[tuple[int, ...] | None] = []
    db_reads = []
    for slot in range(QP_BITS + RESERVED_SLOTS):
        side.interrupt(slot)
        masks.append(tuple(side.masks) or None)
        db_reads.append(side.device.db_read())
        side.device.db_clear(U64)
    return Receiving(tuple(masks), tuple(db_reads), not side.device.has_vector_ops, side.hazards)


@cache
def receiving_hazards(driver: Driver, slots: int, doorbell: Doorbell) -> frozenset[Hazard]:
    """Return the hazards of being rung, also with scattered irqs or a late configfs write.

    A wrong bit in db_read() is not among them: it depends on what the peer rings.
    """
    hazards = receiving(driver, slots, doorbell).hazards
    for vntb in _rewritten(driver, slots, doorbell):
        vntb.interrupt(driver.db_start)
        hazards |= vntb.hazards
    if driver.side == "ep":
        return hazards
    epf = OneSide(driver, slots, irqs=scattered_irqs)
    for slot in range(driver.db_start, slots):
        epf.interrupt(slot)
    return hazards | epf.hazards


def _rewritten(driver: Driver, slots: int, doorbell: Doorbell) -> Iterator[OneSide]:
    """Yield endpoints whose db_count was written again after attach, where that is accepted."""
    for db_count in REWRITTEN_DB_COUNTS if driver.side == "ep" else ():
        side = OneSide(driver, slots, doorbell)
        if isinstance(side.device, Vntb):
            try:
                side.device.config.store("db_count", str(db_count))
            except DriverError:
                continue
            yield side

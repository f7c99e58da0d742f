# SPDX-License-Identifier: BSD-3-Clause
"""ntb_hw_epf, the driver of the root complex, as a state machine."""

import errno
from collections.abc import Callable, Sequence

from ntbbench.pair.drivers.kernel_around import (
    EPF_IRQ_LINK,
    MW_COUNT_MAX,
    RC_DB_COUNT_MIN,
    RC_VECTORS_MAX,
    RC_VECTORS_MIN,
    U64,
    U64_BITS,
    DbEvent,
    DriverError,
    Hazard,
    Sanitizer,
    ffs,
)
from ntbbench.pair.drivers.patches import Driver

IRQ_BASE = 40  # any number: the first Linux irq of the device

WriteDoorbell = Callable[[int], None]  # writes the peer's db_data of a slot to its doorbell


def contiguous_irqs(vectors: int) -> tuple[int, ...]:
    """Return irq numbers as most systems grant them: one after the other."""
    return tuple(range(IRQ_BASE, IRQ_BASE + vectors))


def scattered_irqs(vectors: int) -> tuple[int, ...]:
    """Return irq numbers with a gap after the first three, as an irq domain may grant them."""
    return tuple(IRQ_BASE + n + (n >= 3) * RC_VECTORS_MAX for n in range(vectors))


class Epf:
    """One ntb_hw_epf.

    `irqs` are the Linux irq numbers of the granted vectors in order; `db_event` receives the
    vectors of ntb_db_event(); `write_doorbell` carries out the write that rings a slot of the peer.

    Source: drivers/ntb/hw/epf/ntb_hw_epf.c, Linux 6.12.95 (no patch), 6.12.117 (9-11), 7.3 (all).

    Deviates: patches 10 and 11 apart exist in no released kernel. Each is taken to do what its
    description says: 10 skips the reserved slot and subtracts 2; 11 keeps a mask of the vectors
    that are reported and drops those beyond the last doorbell. MSI and MSI-X are not told apart.
    """

    def __init__(
        self, driver: Driver, irqs: Sequence[int], db_event: DbEvent, write_doorbell: WriteDoorbell
    ) -> None:
        self.driver = driver
        self.irqs = tuple(irqs)
        self.sanitizer = Sanitizer()
        self.db_count = 0
        self.mw_count = 0
        self.db_val = 0  # before patch 11 an int that holds a number, after it a mask
        self.link_events = 0  # calls of ntb_link_event()
        self.requested: set[int] = set()  # vectors whose irq has a handler
        self._valid_mask = 0
        self._db_event = db_event
        self._write_doorbell = write_doorbell
        self.has_vector_ops = driver.has(12)

    def probe(self, mw_count: int, failing_vector: int | None = None) -> None:
        """Set the device up; request_irq() fails for `failing_vector`, if there is one.

        DriverError: ENOSPC with too few vectors, EINVAL for too many windows (before patch 11 only
            after the irqs were requested, which then stay), EBUSY where request_irq() failed.
        """
        if self.driver.has(11):
            self._check_mw_count(mw_count)
        self._init_isr(failing_vector)
        if not self.driver.has(11):
            self._check_mw_count(mw_count)
        self.mw_count = mw_count
        reserved = self.driver.db_start - 1 if self.driver.has(9) else 0
        top = self.sanitizer.bit(self.db_count - reserved, U64_BITS, "BIT_ULL(db_count)")
        self._valid_mask = top - 1

    def _check_mw_count(self, mw_count: int) -> None:
        if mw_count > MW_COUNT_MAX:
            raise DriverError(errno.EINVAL, "ntb_epf_init_dev", f"Unsupported MW count: {mw_count}")

    def _init_isr(self, failing_vector: int | None) -> None:
        granted = len(self.irqs)
        call = "pci_alloc_irq_vectors"
        if granted < RC_VECTORS_MIN:
            few = f"{granted} vectors, at least {RC_VECTORS_MIN} are needed"
            raise DriverError(errno.ENOSPC, call, few)
        if granted > RC_VECTORS_MAX:
            many = f"{granted} vectors, at most {RC_VECTORS_MAX} are asked for"
            raise DriverError(errno.EINVAL, call, many)
        for vector in range(granted):
            if vector == failing_vector:
                # Before the prerequisite those requested so far stay, with a freed device behind.
                if "isr-unwind" in self.driver.prerequisites or self.driver.has(11):
                    self.requested.clear()
                raise DriverError(errno.EBUSY, "request_irq", f"vector {vector} refused")
            self.requested.add(vector)
        self.db_count = granted - 1

    # The receiving half.

    def isr(self, slot: int) -> None:
        """Handle the interrupt of a granted vector; vector and slot are the same number."""
        with self.sanitizer.atomic():
            irq_no = self._irq_no(slot)
            if not self.driver.has(11):
                self.db_val = irq_no + 1
            self.link_events += irq_no == EPF_IRQ_LINK
            base = self.driver.db_start if self.driver.has(10) else 0
            # Below it are the link and, with patch 10, the reserved slot, which gives a warning.
            if not EPF_IRQ_LINK <= irq_no < max(base, EPF_IRQ_LINK + 1):
                vector = irq_no - base
                if self.driver.has(11):
                    # The kernel compares unsigned numbers: a negative vector is out of range too.
                    if not 0 <= vector < self.db_vector_count():
                        return
                    self.db_val |= 1 << vector
                self._db_event(vector)

    def _irq_no(self, slot: int) -> int:
        if self.driver.has(11):
            return slot
        if "irq-base" not in self.driver.prerequisites:
            self.sanitizer.might_sleep("pci_irq_vector() in hardirq takes a mutex")
        irq_no = self.irqs[slot] - self.irqs[0]
        if irq_no != slot:
            self.sanitizer.reports.append((Hazard.MISREAD, f"slot {slot} taken for {irq_no}"))
        return irq_no

    # The operations that the NTB core calls.

    def db_valid_mask(self) -> int:
        """Return the doorbell bits: before patch 9 the reserved slot counts as a doorbell."""
        return self._valid_mask

    def db_vector_count(self) -> int:
        """Return the vectors that patch 12 reports: the real doorbells."""
        reserved = self.driver.db_start - 1
        return 0 if self.db_count < RC_DB_COUNT_MIN else self.db_count - reserved

    def db_vector_mask(self, vector: int) -> int:
        """Return the one bit of a vector, or 0 for a vector out of range."""
        return 1 << vector if 0 <= vector < self.db_vector_count() else 0

    def db_read(self) -> int:
        """Return db_val as the u64 that the core sees; an int is widened with its sign."""
        return self.db_val & U64

    def db_clear(self, db_bits: int) -> None:
        """Clear the given bits; before patch 11 everything, whatever the bits."""
        self.db_val = self.db_val & ~db_bits if self.driver.has(11) else 0

    def peer_db_set(self, db_bits: int) -> None:
        """Ring the lowest of the bits; DriverError: EINVAL, a slot beyond the own db_count."""
        slot = ffs(db_bits) + self.driver.db_start - 1
        if slot > self.db_count:
            beyond = f"DB interrupt {slot} greater than Max Supported {self.db_count}"
            raise DriverError(errno.EINVAL, "ntb_epf_peer_db_set", beyond)
        self._write_doorbell(slot)

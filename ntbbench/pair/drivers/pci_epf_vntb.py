# SPDX-License-Identifier: BSD-3-Clause
"""pci-epf-vntb, the driver of the endpoint, as a state machine, and its configfs attributes."""

import errno
import re
from collections.abc import Callable
from enum import StrEnum

from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.pair.drivers.kernel_around import (
    DB_BAR_BYTES_MIN,
    EP_DB_COUNT_MAX,
    EP_DB_COUNT_UNSET,
    INT_BITS,
    MW_COUNT_MAX,
    SPAD_COUNT,
    U32_BYTES,
    U64,
    U64_BITS,
    DbEvent,
    DriverError,
    Sanitizer,
    ffs,
)
from ntbbench.pair.drivers.patches import Driver

VNTB_PEER_DB_WORK_BUDGET = 5  # pci-epf-vntb.c, Linux 7.3
BUDGET_MAX = 1 << 16  # a model of more has no meaning and takes for ever
RaiseBit = Callable[[int], None]  # raises the MSI of one doorbell bit; it may sleep


class PeerDbWork:
    """`peer_db_pending` and `peer_db_work`, one atomic step at a time.

    A step is what other CPUs can see happen: taking a snapshot with xchg(0), raising the lowest
    bit of it, or looking for more after the last snapshot that the budget allows. Between steps
    anything may ring. InputError: a budget below 1.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c (vntb_epf_peer_db_work,
    vntb_epf_peer_db_set, epf_ntb_epc_init, epf_ntb_epc_cleanup), Linux 7.3.
    """

    def __init__(self, raise_bit: RaiseBit, budget: int = VNTB_PEER_DB_WORK_BUDGET) -> None:
        if not 1 <= budget <= BUDGET_MAX:
            raise InputError("budget", budget, f"1 .. {BUDGET_MAX} snapshots a run")
        self._raise_bit = raise_bit
        self.budget = budget  # snapshots that a run may take
        self.pending = 0
        self.enabled = False
        self.queued = False
        self.running = False
        self.db_bits = 0  # what is left of the snapshot in hand
        self.snapshots_left = 0
        self.snapshots = 0  # taken in all, not counting the empty ones
        self.runs = 0

    def enable(self) -> None:
        """Clear what is pending and let the work run (epf_ntb_epc_init)."""
        self.pending = 0
        self.enabled = True

    def disable(self) -> None:
        """Wait for a run to end, refuse further ones, clear what is pending (cleanup)."""
        self.enabled = False
        self.queued = False
        while self.running:
            self.step()
        self.pending = 0

    def set(self, db_bits: int) -> None:
        """Add bits, already masked and not 0, and queue the work."""
        self.pending |= db_bits
        self.queued = self.enabled  # one that is queued already stays so once

    def step(self) -> None:
        """Do the next thing; nothing if the work is neither running nor queued."""
        if not self.running:
            if self.queued:
                self.queued, self.running = False, True
                self.runs += 1
                self.snapshots_left = self.budget
        elif self.db_bits:
            bit = (self.db_bits & -self.db_bits).bit_length() - 1  # ffs64()
            self.db_bits &= ~(1 << bit)
            self._raise_bit(bit)
        elif self.snapshots_left:
            self.snapshots_left -= 1
            self.db_bits, self.pending = self.pending, 0
            self.snapshots += self.db_bits > 0
            self.running = self.db_bits > 0
        else:
            self.running = False
            self.queued |= self.enabled and bool(self.pending)

    def drain(self) -> None:
        """Step until the work has nothing left to do."""
        while self.running or self.queued:
            self.step()


U32_MAX = (1 << 32) - 1
ATTRIBUTES = ("db_count", "num_mws", "spad_count")


class VntbConfig:
    """The numbers that configfs sets, and the errnos of a wrong write.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c (EPF_NTB_W, epf_ntb_db_count_store,
    epf_ntb_num_mws_store, epf_ntb_configure_interrupt), Linux 6.12.95 and 7.3; lib/kstrtox.c.

    Deviates: the attributes of single windows, BARs and PCI ids are left out; so is the upper
    limit of spad_count, which only memory sets.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.attached = False
        self.db_count = EP_DB_COUNT_UNSET
        self.num_mws = 0
        self.spad_count = SPAD_COUNT

    @property
    def db_count_min(self) -> int:
        """The smallest db_count of the patched driver: link, reserved, one doorbell."""
        return self.driver.db_start + 1

    def store(self, attribute: str, text: str) -> None:
        """Write `text` to an attribute; InputError: no such attribute.

        DriverError: EOPNOTSUPP after attach (patch 5), EINVAL or ERANGE for what is no u32, EINVAL
            outside the attribute's range (db_count: with patch 4).
        """
        if attribute not in ATTRIBUTES:
            raise unknown("attribute", attribute, ATTRIBUTES)
        if self.driver.has(5) and self.attached:
            raise DriverError(errno.EOPNOTSUPP, attribute, "the EPC is attached")
        value = kstrtou32(attribute, text)
        if attribute == "num_mws":
            _check(attribute, "", value, 0, MW_COUNT_MAX)
        if attribute == "db_count" and self.driver.has(4):
            _check(attribute, "DB count ", value, self.db_count_min, EP_DB_COUNT_MAX)
        setattr(self, attribute, value)

    def configure_interrupt(self) -> None:
        """Check db_count as bind does; DriverError: EINVAL for one that the driver refuses."""
        low = int("db-count-zero" in self.driver.prerequisites)
        low = self.db_count_min if self.driver.has(4) else low
        _check("epf_ntb_configure_interrupt", "DB count ", self.db_count, low, EP_DB_COUNT_MAX)


def _check(call: str, what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise DriverError(errno.EINVAL, call, f"{what}{value} out of range ({low} - {high})")


def kstrtou32(call: str, text: str) -> int:
    """Return a u32 as kstrtou32() with base 0 does; DriverError: EINVAL or ERANGE."""
    match = re.fullmatch(r"\+?(0[xX][0-9a-fA-F]+|[0-9]+)\n?", text)
    if match is None:
        raise DriverError(errno.EINVAL, call, "not a number")
    digits = match[1]
    octal = digits.startswith("0") and digits.isdigit() and len(digits) > 1
    try:
        value = int(digits, 8 if octal else 0)
    except ValueError:
        raise DriverError(errno.EINVAL, call, "not a number") from None
    if value > U32_MAX:
        raise DriverError(errno.ERANGE, call, "beyond 32 bits")
    return value


VIRQ_BASE = 100  # any number: the handler compares, it does not compute

RaiseMsi = Callable[[int], None]  # pci_epc_raise_irq(): MSI numbers are 1-based


class Doorbell(StrEnum):
    """How the peer's rings reach the endpoint."""

    POLL = "poll"  # memory words, read every 5 ms
    MSI = "msi"  # one irq a slot
    EMBEDDED = "embedded"  # one irq for all slots


class Vntb:
    """One bound or unbound pci-epf-vntb.

    `db_event` receives the vectors of ntb_db_event(), under the core's ctx_lock; `raise_msi` raises
    an MSI towards the host, of which MSI n is slot n - 1.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c, Linux 6.12.95 (no patch) and 7.3 (all).

    Deviates: a ring of a slot that bind did not fill writes 0 to offset 0 of the doorbell BAR. In
    the irq modes that may hit the irq of another slot; here, as in polled mode, it is lost.
    """

    def __init__(
        self,
        driver: Driver,
        doorbell: Doorbell,
        db_event: DbEvent,
        raise_msi: RaiseMsi,
        budget: int = VNTB_PEER_DB_WORK_BUDGET,
    ) -> None:
        self.driver = driver
        self.doorbell = doorbell
        self.config = VntbConfig(driver)
        self.sanitizer = Sanitizer()
        self.db = 0
        self.db_data = [0] * EP_DB_COUNT_MAX  # read by the peer: what to write to ring a slot
        self.epf_db: list[int] = []
        self.virqs: list[int] = []  # db_msg[].virq
        self.peer_db_work = PeerDbWork(self._raise_bit, budget)
        self.failed_raises: list[str] = []  # dev_err() of the deferred work
        self._db_event = db_event
        self._raise_msi = raise_msi
        self.has_vector_ops = driver.has(7)

    def bind(self) -> None:
        """Attach to the endpoint controller; DriverError: EINVAL for a refused db_count."""
        self.config.configure_interrupt()
        count = self.config.db_count
        for slot in range(count):
            self.db_data[slot] = 1 + slot
        if self.doorbell is Doorbell.POLL:
            self.epf_db = [0] * (max(count * U32_BYTES, DB_BAR_BYTES_MIN) // U32_BYTES)
        else:
            shared = self.doorbell is Doorbell.EMBEDDED
            self.virqs = [VIRQ_BASE + (0 if shared else slot) for slot in range(count)]
        self.config.attached = True
        if self.driver.has(2):
            self.peer_db_work.enable()

    def unbind(self) -> None:
        """Detach from the endpoint controller: stop the works, free the doorbells."""
        if self.driver.has(2):
            self.peer_db_work.disable()
        self.config.attached = False
        self.epf_db, self.virqs = [], []
        self.db_data = [0] * EP_DB_COUNT_MAX

    # The receiving half.

    @property
    def first_slot(self) -> int:
        """The slot at which the loops over slots start: before patch 3, the reserved one."""
        return self.driver.db_start if self.driver.has(3) else 1

    def write_doorbell(self, slot: int) -> None:
        """Take the peer's write to a slot's doorbell, with the data that it read for it."""
        data = self.db_data[slot]
        if not data:
            return
        if self.doorbell is Doorbell.POLL:
            self.epf_db[slot] = data
        else:
            self._handle_irq(self.virqs[slot])

    def poll(self) -> None:
        """Run the doorbell half of the command handler once (a kworker, every 5 ms).

        A ring that lands between a slot's event and its clearing is wiped.
        """
        if self.doorbell is not Doorbell.POLL:
            return
        for slot in range(self.first_slot, self.config.db_count):
            if self.sanitizer.load(self.epf_db, slot, "epf_db"):
                self._report(slot)
                self.epf_db[slot] = 0

    def _handle_irq(self, irq: int) -> None:
        """Run the doorbell irq handler: every slot whose virq is the one that fired."""
        with self.sanitizer.atomic():
            for slot in range(self.first_slot, self.config.db_count):
                if self.sanitizer.load(self.virqs, slot, "db_msg") == irq:
                    self._report(slot)

    def _report(self, slot: int) -> None:
        # The bit is counted from slot 1 before patch 3, but the vector is the slot itself.
        bit = slot - self.first_slot
        self.db |= self.sanitizer.bit(bit, INT_BITS, "1 << doorbell bit")
        with self.sanitizer.atomic():
            self._db_event(bit if self.driver.has(3) else slot)

    # The operations that the NTB core calls.

    def db_valid_mask(self) -> int:
        """Return the doorbell bits: before patch 6 link and reserved slot count as doorbells."""
        if not self.driver.has(6):
            top = self.sanitizer.bit(self.config.db_count, U64_BITS, "BIT_ULL(db_count)")
            return (top - 1) & U64
        return (1 << self.db_vector_count()) - 1

    def db_vector_count(self) -> int:
        """Return the vectors that patch 7 reports: the doorbell slots of an acceptable db_count."""
        if not self.config.db_count_min <= self.config.db_count <= EP_DB_COUNT_MAX:
            return 0
        return self.config.db_count - self.driver.db_start

    def db_vector_mask(self, vector: int) -> int:
        """Return the one bit of a vector, or 0 for a vector out of range."""
        return 1 << vector if 0 <= vector < self.db_vector_count() else 0

    def db_read(self) -> int:
        """Return the bits reported and not yet cleared."""
        return self.db

    def db_clear(self, db_bits: int) -> None:
        """Clear the given bits."""
        self.db &= ~db_bits

    def peer_db_set(self, db_bits: int) -> None:
        """Ring the peer in any context; DriverError: before patch 2, what the controller said."""
        if not self.driver.has(2):
            self._raise_slot(ffs(db_bits) + self.driver.db_start - 1)
            return
        db_bits &= self.db_valid_mask()
        if db_bits:
            self.peer_db_work.set(db_bits)

    def run_peer_db_work(self) -> None:
        """Run the deferred work (a kworker) until nothing is pending."""
        self.peer_db_work.drain()

    def _raise_bit(self, bit: int) -> None:
        try:
            self._raise_slot(bit + self.driver.db_start)
        except DriverError as error:
            self.failed_raises.append(str(error))

    def _raise_slot(self, slot: int) -> None:
        self.sanitizer.might_sleep("pci_epc_raise_irq() takes epc->lock")
        self._raise_msi(slot + 1)

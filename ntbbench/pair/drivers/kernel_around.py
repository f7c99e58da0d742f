# SPDX-License-Identifier: BSD-3-Clause
"""What stands around a driver: NTB core, ntb_transport, the wire's slots, a debug kernel."""

import errno
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ntbbench.core.errors import ExitCode, NtbbenchError
from ntbbench.ntb.vectormap import bits_of

EPF_IRQ_LINK = 0
EPF_IRQ_RESERVED_DB = 1  # historically skipped; no side rings it on purpose
EPF_IRQ_DB_START = 2
ROOT_FIX_DB_START = 1  # the rejected alternative gives up the skipped slot

EP_DB_COUNT_MAX = 32  # pci-epf-vntb.c: MAX_DB_COUNT
EP_MSIS = 16  # pci-epf-vntb.c asks the controller for these, whatever db_count is
EP_DB_COUNT_UNSET = 0  # configfs has no default
MW_COUNT_MAX = 4  # pci-epf-vntb.c: MAX_MW; ntb_hw_epf.c: NTB_EPF_MAX_MW_COUNT
SPAD_COUNT = 64  # pci-epf-vntb.c
RC_DB_COUNT_MIN = 3  # ntb_hw_epf.c: NTB_EPF_MIN_DB_COUNT
RC_DB_COUNT_MAX = 31  # ntb_hw_epf.c: NTB_EPF_MAX_DB_COUNT
RC_VECTORS_MIN = RC_DB_COUNT_MIN + 1  # one vector more for the link
RC_VECTORS_MAX = RC_DB_COUNT_MAX + 1
DB_BAR_BYTES_MIN = 128  # pci-epf-core.c (pci_epf_alloc_space): no BAR is smaller
U32_BYTES = 4
U64 = (1 << 64) - 1
INT_BITS = 32
U64_BITS = 64


def ffs(db_bits: int) -> int:
    """Return the 1-based number of the lowest set bit, 0 for none, as the kernel's ffs() does.

    ffs() takes an int, so a doorbell bit of 32 or more is cut off and the result is 0.

    Source: include/linux/bitops.h; used in ntb_epf_peer_db_set() and, before patch 2, in
    vntb_epf_peer_db_set().
    """
    low = db_bits & ((1 << INT_BITS) - 1)
    return (low & -low).bit_length()


def slot_of(bit: int) -> int:
    """Return the slot that a doorbell bit rings, whatever the versions of the two drivers."""
    return EPF_IRQ_DB_START + bit


def slot_name(slot: int, db_start: int = EPF_IRQ_DB_START) -> str:
    """Return what a slot stands for."""
    if slot == EPF_IRQ_LINK:
        return "link"
    return "reserved" if slot < db_start else f"doorbell bit {slot - db_start}"


# Linux has two names for this number, and C libraries prefer the other one.
ERRNO_NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP"}


class Hazard(StrEnum):
    """What may go wrong although the doorbell arrives."""

    SLEEPS = "sleeps in atomic context"
    OUT_OF_RANGE = "out-of-range shift or read"
    MISREAD = "vector misread from non-contiguous irqs"
    WRONG_BIT = "wrong bit in db_read"


class DriverError(NtbbenchError):
    """An errno that a driver returned, with the words of its message.

    code: a positive errno; the kernel returns its negative.
    call: the function or configfs attribute that returned it.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, code: int, call: str, message: str) -> None:
        self.code = code
        self.call = call
        self.words = message
        self.name = ERRNO_NAMES.get(code, errno.errorcode[code])
        super().__init__(f"{call}: -{self.name}: {message}")


class Sanitizer:
    """The checks of a debug kernel: DEBUG_ATOMIC_SLEEP, UBSAN's shifts, KASAN's bounds.

    A check that fails is recorded in `reports` and execution goes on, as in the kernel. Where C
    leaves the result undefined, the model goes on with 0.
    """

    def __init__(self) -> None:
        self.reports: list[tuple[Hazard, str]] = []
        self._atomic_depth = 0

    @property
    def hazards(self) -> frozenset[Hazard]:
        """The kinds of hazard seen so far."""
        return frozenset(kind for kind, _ in self.reports)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Run the body in atomic context: a hardirq, a held spinlock, bottom halves off."""
        self._atomic_depth += 1
        try:
            yield
        finally:
            self._atomic_depth -= 1

    def might_sleep(self, what: str) -> None:
        """Report `what` if the context is atomic."""
        if self._atomic_depth:
            self.reports.append((Hazard.SLEEPS, what))

    def bit(self, number: int, width: int, what: str) -> int:
        """Return 1 << number as a u64, computed in a C type of `width` bits (32: signed)."""
        if not 0 <= number < width:
            self.reports.append((Hazard.OUT_OF_RANGE, f"{what}: shift by {number} of {width}"))
            return 0
        one = 1 << number
        if number == width - 1:
            one = -one  # the sign bit of an int: widened to u64 it sets every bit above
        return one & U64

    def load(self, array: Sequence[int], index: int, what: str) -> int:
        """Return array[index]; a read outside gives 0."""
        if not 0 <= index < len(array):
            self.reports.append((Hazard.OUT_OF_RANGE, f"{what}[{index}] of {len(array)}"))
            return 0
        return array[index]


DbEvent = Callable[[int], None]  # ntb_db_event(): the driver reports a vector to the core


class NtbDevice(Protocol):
    """The doorbell operations of one side's `struct ntb_dev`; masks and db_bits are u64."""

    has_vector_ops: bool  # a driver has both vector callbacks or neither (ntb_dev_ops_is_valid)

    def db_valid_mask(self) -> int:
        """Return the bits that the driver calls doorbells."""

    def db_vector_count(self) -> int:
        """Return the number of vectors; the core asks only a driver with vector callbacks."""

    def db_vector_mask(self, vector: int) -> int:
        """Return a vector's bits; the core asks as for db_vector_count()."""

    def db_read(self) -> int:
        """Return the local doorbell register."""

    def db_clear(self, db_bits: int) -> None:
        """Clear bits of the local doorbell register."""


def db_vector_count(ndev: NtbDevice) -> int:
    """Return ntb_db_vector_count(): 1 for a driver without the callback.

    Source: include/linux/ntb.h (ntb_db_vector_count), Linux 7.3.
    """
    return ndev.db_vector_count() if ndev.has_vector_ops else 1


def db_vector_mask(ndev: NtbDevice, vector: int) -> int:
    """Return ntb_db_vector_mask(): `db_valid_mask` whatever the vector, without the callback.

    Source: include/linux/ntb.h (ntb_db_vector_mask), Linux 7.3.
    """
    return ndev.db_vector_mask(vector) if ndev.has_vector_ops else ndev.db_valid_mask()


RUNS_MAX = 10_000  # far above what any ring causes: a livelock of the model, not of the kernel


class Client(StrEnum):
    """What the client above a QP does in its rx_handler."""

    SILENT = "silent"  # posts no buffer there
    REPOSTS = "reposts"  # ntb_netdev: rx_enqueue(), which schedules the tasklet


@dataclass
class Transport:
    """The receive half of one ntb_transport.

    Source: drivers/ntb/ntb_transport.c (ntb_transport_doorbell_callback, ntb_transport_rxc_db,
    ntb_transport_rx_enqueue), Linux 6.1 to 7.3.

    Deviates: one CPU, so tasklets run in the order of their list; the ring of packets is a count.
    """

    ndev: NtbDevice  # the device below
    qp_bitmap: int  # u64, one bit a QP; all of them are active and owned by a client
    client: Client = Client.SILENT  # what the client does with a packet
    schedule_calls: list[int] = field(default_factory=list)  # qp_num of each, in order
    packets: dict[int, int] = field(default_factory=dict)  # waiting, by qp_num
    runs: list[int] = field(default_factory=list)  # qp_num of each tasklet run, in order
    race_checks: list[int] = field(default_factory=list)  # qp_num of each db_read() hit
    _list: deque[int] = field(default_factory=deque)

    def doorbell_callback(self, vector: int) -> None:
        """Schedule the tasklets of the QPs under `vector`, lowest first."""
        mask = db_vector_mask(self.ndev, vector)
        for qp_num in bits_of(self.qp_bitmap & mask):
            self.schedule_calls.append(qp_num)
            self._schedule(qp_num)

    def softirq(self) -> None:
        """Run tasklets until none is scheduled."""
        for _ in range(RUNS_MAX):
            if not self._list:
                return
            qp_num = self._list.popleft()
            self.runs.append(qp_num)
            if self.packets.pop(qp_num, 0) and self.client is Client.REPOSTS:
                self._schedule(qp_num)
            if self.ndev.db_read() >> qp_num & 1:
                self.ndev.db_clear(1 << qp_num)
                self.race_checks.append(qp_num)
                self._schedule(qp_num)
        raise RuntimeError("the tasklets schedule each other without end")

    def _schedule(self, qp_num: int) -> None:
        # tasklet_schedule() on a tasklet that is scheduled already does nothing.
        if qp_num not in self._list:
            self._list.append(qp_num)

# SPDX-License-Identifier: BSD-3-Clause
"""ntb_transport's receive side on the kernel's tasklets: doorbells in, tasklet runs out.

`Receiver` holds what the kernel holds and moves on a call alone: a doorbell is rung, an interrupt
is delivered, a CPU makes one pass over its tasklet list. When each of these happens is the caller's
business (`ntbbench.ntb.loopback` derives it from a recording).
"""

from collections import defaultdict
from dataclasses import dataclass, field

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import DB_BITS_MAX, bits_of, check_u64


def _zeros() -> list[int]:
    return [0] * DB_BITS_MAX


@dataclass
class Tally:
    """What happened to each QP's receive tasklet; every list is indexed by qp_num, 64 long."""

    # tasklet_schedule() calls of the doorbell callback, merged ones included
    schedule_calls: list[int] = field(default_factory=_zeros)
    merged: list[int] = field(default_factory=_zeros)  # those of them that met SCHED already set
    # those that put the tasklet on a list (schedule_calls - merged)
    doorbell: list[int] = field(default_factory=_zeros)
    # times a run put its own tasklet back because db_read() showed its bit
    race_check: list[int] = field(default_factory=_zeros)
    # times a run put its own tasklet back because it had consumed rx_max_entry packets
    budget: list[int] = field(default_factory=_zeros)
    runs: list[int] = field(default_factory=_zeros)  # runs of the tasklet
    useful: list[int] = field(default_factory=_zeros)  # runs that consumed a packet
    interrupts: int = 0  # doorbell interrupts delivered, all QPs together
    coalesced: int = 0  # rings of a bit whose interrupt was pending already, all bits together


class Receiver:
    """The receive tasklets of one port's QPs, and the doorbell register they share.

    active_mask: u64, bit n: QP n exists and is active (its link is up).
    db_read_latched: db_read() shows a rung bit until db_clear() clears it; False: it shows 0.
    rx_max_entry: packets after which a run yields and schedules itself again; None: it never does.
        A ring of rx_max_entry entries holds at most rx_max_entry - 1 packets at a time, so a run
        reaches the limit only while the sender refills the ring from another CPU.
    InputError: a mask outside u64, rx_max_entry below 1.

    Source: Linux 6.12.95 and 7.3, drivers/ntb/ntb_transport.c (ntb_transport_doorbell_callback,
    ntb_transport_rxc_db, ntb_process_rxc), kernel/softirq.c (__tasklet_schedule_common,
    tasklet_action_common), include/linux/interrupt.h (tasklet_schedule); 6.1 is the same.

    Deviates: a run takes no time, so nothing is rung while it runs; receive buffers never run out;
    the client's rx_handler does not post buffers (that would schedule the tasklet once more).
    """

    def __init__(
        self, *, active_mask: int, db_read_latched: bool, rx_max_entry: int | None = None
    ) -> None:
        check_u64("active_mask", active_mask)
        if rx_max_entry is not None and rx_max_entry < 1:
            raise InputError("rx_max_entry", rx_max_entry, "at least 1")
        self.tally = Tally()
        self._active_mask = active_mask
        self._db_read_latched = db_read_latched
        self._rx_max_entry = rx_max_entry
        self._db_bits = 0  # what the device latched and no run has cleared
        self._packets = _zeros()  # by qp_num: in the ring, not consumed
        self._scheduled = 0  # u64 mask of the tasklets whose SCHED is set
        self._lists: defaultdict[int, list[int]] = defaultdict(list)  # by CPU: qp_nums in order

    def ring(self, db_bits: int) -> None:
        """Put one packet into the ring of each QP in `db_bits` (u64) and latch its bit."""
        check_u64("db_bits", db_bits)
        self._db_bits |= db_bits
        for qp_num in bits_of(db_bits):
            self._packets[qp_num] += 1

    def interrupt(self, db_vector_mask: int, cpu: int = 0) -> None:
        """Deliver one doorbell interrupt to `cpu`: schedule each active QP of its vector's mask."""
        self.tally.interrupts += 1
        for qp_num in bits_of(db_vector_mask & self._active_mask):
            self.tally.schedule_calls[qp_num] += 1
            if self._scheduled >> qp_num & 1:
                self.tally.merged[qp_num] += 1
            else:
                self.tally.doorbell[qp_num] += 1
                self._put_on_list(qp_num, cpu)

    def softirq_pass(self, cpu: int = 0) -> int:
        """Take the whole tasklet list of `cpu` and run it; what these runs schedule waits.

        Returns how many tasklets ran.
        """
        taken, self._lists[cpu] = self._lists[cpu], []
        for qp_num in taken:
            self._scheduled &= ~(1 << qp_num)
            self._run(qp_num, cpu)
        return len(taken)

    def drain(self, cpu: int = 0) -> None:
        """Make passes until the tasklet list of `cpu` is empty."""
        while self._lists[cpu]:
            self.softirq_pass(cpu)

    def waiting(self, cpu: int = 0) -> int:
        """Return how many tasklets are on the list of `cpu`."""
        return len(self._lists[cpu])

    def _put_on_list(self, qp_num: int, cpu: int) -> None:
        self._scheduled |= 1 << qp_num
        self._lists[cpu].append(qp_num)

    def _run(self, qp_num: int, cpu: int) -> None:
        """Run one tasklet: consume packets, then the budget or else the race check."""
        waiting = self._packets[qp_num]
        consumed = waiting if self._rx_max_entry is None else min(waiting, self._rx_max_entry)
        self._packets[qp_num] -= consumed
        self.tally.runs[qp_num] += 1
        self.tally.useful[qp_num] += consumed > 0
        if consumed == self._rx_max_entry:
            self.tally.budget[qp_num] += 1
            self._put_on_list(qp_num, cpu)
        elif self._db_read_latched and self._db_bits >> qp_num & 1:
            self._db_bits &= ~(1 << qp_num)
            self.tally.race_check[qp_num] += 1
            self._put_on_list(qp_num, cpu)

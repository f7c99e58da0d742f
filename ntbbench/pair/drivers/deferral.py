# SPDX-License-Identifier: BSD-3-Clause
"""The work item of patch 2: doorbells leave atomic context, and coalesce on the way."""

from collections.abc import Callable

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.slots import ffs64

VNTB_PEER_DB_WORK_BUDGET = 5  # pci-epf-vntb.c, Linux 7.3
BUDGET_MAX = 1 << 16  # a model of more has no meaning and takes for ever

RaiseBit = Callable[[int], None]


class PeerDbWork:
    """`peer_db_pending` and `peer_db_work`, one atomic step at a time.

    A step is what other CPUs can see happen: taking a snapshot with xchg(0), raising the lowest
    bit of it, or looking for more after the last snapshot that the budget allows. Between steps
    anything may ring.

    Parameters
    ----------
    raise_bit : raises the MSI of one doorbell bit; it may sleep.
    budget : snapshots a run takes at most.

    Raises
    ------
    InputError : a budget below 1.

    Source: drivers/pci/endpoint/functions/pci-epf-vntb.c (vntb_epf_peer_db_work,
    vntb_epf_peer_db_set, epf_ntb_epc_init, epf_ntb_epc_cleanup), Linux 7.3.
    """

    def __init__(self, raise_bit: RaiseBit, budget: int = VNTB_PEER_DB_WORK_BUDGET) -> None:
        if not 1 <= budget <= BUDGET_MAX:
            raise InputError("budget", budget, f"1 .. {BUDGET_MAX} snapshots a run")
        self._raise_bit = raise_bit
        self.budget = budget
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
        self._queue()

    def step(self) -> None:
        """Do the next thing; nothing if the work is neither running nor queued."""
        if not self.running:
            self._start()
        elif self.db_bits:
            self._raise_lowest()
        elif self.snapshots_left:
            self._take_snapshot()
        else:
            self.running = False
            if self.pending:
                self._queue()

    def drain(self) -> None:
        """Step until the work has nothing left to do."""
        while self.running or self.queued:
            self.step()

    def _queue(self) -> None:
        # A disabled work is not queued; one that is queued already stays so once.
        self.queued = self.enabled

    def _start(self) -> None:
        if self.queued:
            self.queued = False
            self.running = True
            self.runs += 1
            self.snapshots_left = self.budget

    def _take_snapshot(self) -> None:
        self.snapshots_left -= 1
        self.db_bits, self.pending = self.pending, 0
        if self.db_bits:
            self.snapshots += 1
        else:
            self.running = False

    def _raise_lowest(self) -> None:
        bit = ffs64(self.db_bits)
        self.db_bits &= ~(1 << bit)
        self._raise_bit(bit)

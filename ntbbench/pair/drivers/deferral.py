# SPDX-License-Identifier: BSD-3-Clause
"""The work item of patch 2: doorbells leave atomic context and coalesce, also under a storm."""

from collections.abc import Callable

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.slots import ffs64
from ntbbench.pair.records import StormCount

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
        self._queue()

    def step(self) -> None:
        """Do the next thing; nothing if the work is neither running nor queued."""
        if not self.running:
            self._start()
        elif self.db_bits:
            bit = ffs64(self.db_bits)
            self.db_bits &= ~(1 << bit)
            self._raise_bit(bit)
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


TICKS = 4000
DOORBELLS = 6  # db_count 8
RATE = 0.2  # rings of one bit in a tick: 1.2 in all, more than the work can raise
GAP_MAX = 15  # ticks of other works between two runs


class _Clocked:
    """The work and what the storm remembers of each ring."""

    def __init__(self, budget: int) -> None:
        self.work = PeerDbWork(self._raised, budget)
        self.work.enable()
        self.tick = 0
        self.msis = 0
        self.longest_run = 0
        self.tick_latency: list[int] = []
        self.snapshot_latency: list[int] = []
        self._in_hand: dict[int, tuple[int, int]] = {}
        self._waiting: dict[int, tuple[int, int]] = {}  # bit: (tick, snapshots to wait for)
        self._run_start = 0

    def ring(self, bit: int) -> None:
        """Ring one bit; it coalesces with one that waits already."""
        self._waiting.setdefault(bit, (self.tick, 1 + bool(self.work.db_bits)))
        self.work.set(1 << bit)

    def step(self) -> bool:
        """Do one step of the work; return whether a run ended with it."""
        running, snapshots = self.work.running, self.work.snapshots
        self.work.step()
        if not running:
            self._run_start = snapshots
        if self.work.snapshots > snapshots:
            self._in_hand, self._waiting = self._waiting, {}
            self.longest_run = max(self.longest_run, self.work.snapshots - self._run_start)
        return running and not self.work.running

    def _raised(self, bit: int) -> None:
        rung, snapshots = self._in_hand.pop(bit)
        self.msis += 1
        self.tick_latency.append(self.tick - rung)
        self.snapshot_latency.append(snapshots)


def storm(budget: int, seed: int) -> StormCount:
    """Run one seeded storm, then let the work finish; its rings do not depend on the budget.

    InputError: a budget below 1, or a seed below 0.
    """
    import numpy as np  # noqa: PLC0415  # no other use of the pair takes the time to load it

    if seed < 0:
        raise InputError("--seed", seed, "0 or more")
    rings_seed, gaps_seed = np.random.SeedSequence(seed).spawn(2)
    rung = np.random.Generator(np.random.PCG64DXSM(rings_seed)).random((TICKS, DOORBELLS)) < RATE
    words = (rung @ (1 << np.arange(DOORBELLS))).tolist()
    gaps = np.random.Generator(np.random.PCG64DXSM(gaps_seed)).integers(0, GAP_MAX + 1, TICKS * 4)
    clocked = _Clocked(budget)
    _play(clocked, words, gaps.tolist())
    return StormCount(
        budget=budget,
        rings=int(rung.sum()),
        msis=clocked.msis,
        snapshots=clocked.work.snapshots,
        runs=clocked.work.runs,
        longest_run=clocked.longest_run,
        snapshot_latency_mean=float(np.mean(clocked.snapshot_latency)),
        snapshot_latency_max=max(clocked.snapshot_latency),
        tick_latency_mean=float(np.mean(clocked.tick_latency)),
        tick_latency_max=max(clocked.tick_latency),
    )


def _play(clocked: _Clocked, words: list[int], gaps: list[int]) -> None:
    """Ring what each tick rings; the work steps once a tick, after a gap behind each run."""
    idle_until = 0
    ends = iter(gaps)
    while clocked.tick < len(words) or clocked.work.running or clocked.work.queued:
        for bit in bits_of(words[clocked.tick] if clocked.tick < len(words) else 0):
            clocked.ring(bit)
        if clocked.tick >= idle_until and clocked.step():
            idle_until = clocked.tick + next(ends)
        clocked.tick += 1

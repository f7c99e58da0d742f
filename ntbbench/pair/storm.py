# SPDX-License-Identifier: BSD-3-Clause
"""A storm of doorbells on the deferred work of pci-epf-vntb: what its budget costs."""

from ntbbench.core.errors import InputError
from ntbbench.ntb.vectormap import bits_of
from ntbbench.pair.drivers.pci_epf_vntb import PeerDbWork
from ntbbench.pair.records import StormCount

SEED = 1
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
    """Run one seeded storm, whose rings do not depend on the budget; InputError: a seed below 0."""
    import numpy as np  # noqa: PLC0415  # no other use of the pair takes the time to load it

    if seed < 0:
        raise InputError("--seed", seed, "0 or more")
    rings_seed, gaps_seed = np.random.SeedSequence(seed).spawn(2)
    rung = np.random.Generator(np.random.PCG64DXSM(rings_seed)).random((TICKS, DOORBELLS)) < RATE
    words = (rung @ (1 << np.arange(DOORBELLS))).tolist()
    gaps = np.random.Generator(np.random.PCG64DXSM(gaps_seed)).integers(0, GAP_MAX + 1, TICKS * 4)
    clocked = _Clocked(budget)
    # The work steps once a tick, after a gap behind each run.
    idle_until, ends = 0, iter(gaps.tolist())
    while clocked.tick < len(words) or clocked.work.running or clocked.work.queued:
        for bit in bits_of(words[clocked.tick] if clocked.tick < len(words) else 0):
            clocked.ring(bit)
        if clocked.tick >= idle_until and clocked.step():
            idle_until = clocked.tick + next(ends)
        clocked.tick += 1
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

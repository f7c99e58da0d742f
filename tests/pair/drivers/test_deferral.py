# SPDX-License-Identifier: BSD-3-Clause
"""The deferred work of patch 2: its invariants under any interleaving, and under a storm."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.pci_epf_vntb import VNTB_PEER_DB_WORK_BUDGET, PeerDbWork
from ntbbench.pair.effects import storm

BITS = st.frozensets(st.sampled_from([0, 1, 5, 31, 32, 62, 63]), min_size=1)


class WorkMachine(RuleBasedStateMachine):
    """Rings, steps, init and cleanup in any order; `owed` are bits rung and not raised since."""

    @initialize(budget=st.integers(1, 16))
    def set_up(self, budget: int) -> None:
        self.raised: list[int] = []
        self.work = PeerDbWork(self.raise_bit, budget)
        self.owed: set[int] = set()
        self.rung: set[int] = set()
        self.run_snapshots = 0
        self.work.enable()

    def raise_bit(self, bit: int) -> None:
        assert bit in self.owed, "raised though nobody rang it since the last time"
        self.raised.append(bit)

    @rule(bits=BITS)
    def ring(self, bits: frozenset[int]) -> None:
        self.work.set(sum(1 << bit for bit in bits))
        self.rung |= bits
        if self.work.enabled:
            self.owed |= bits

    @rule(steps=st.integers(1, 12))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            running, snapshots, count = self.work.running, self.work.snapshots, len(self.raised)
            self.work.step()
            self.run_snapshots += self.work.snapshots - snapshots
            if not running:
                self.run_snapshots = 0
            assert self.run_snapshots <= self.work.budget
            # A bit that rang again while its snapshot was raised is owed once more.
            self.owed -= {b for b in self.raised[count:] if not self.work.pending >> b & 1}

    @rule()
    def cleanup(self) -> None:
        self.owed = set(range(64))  # what is in hand may still be raised before disable returns
        self.work.disable()
        assert not (self.work.pending or self.work.running or self.work.queued)
        self.owed = set()

    @rule()
    def init(self) -> None:
        if not self.work.enabled:
            self.work.enable()
            assert self.work.pending == 0

    @rule()
    def drain(self) -> None:
        count = len(self.raised)
        owed = set(self.owed)
        self.work.drain()
        assert set(self.raised[count:]) == owed, "a set bit that was not raised, or another"
        self.owed = set()
        assert self.work.pending == 0 or not self.work.enabled

    @invariant()
    def never_a_bit_that_was_not_rung(self) -> None:
        if hasattr(self, "work"):
            assert set(self.raised) <= self.rung


TestWorkMachine = WorkMachine.TestCase
TestWorkMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_lowest_bit_goes_first_and_a_snapshot_is_finished_before_the_next() -> None:
    raised: list[int] = []
    work = PeerDbWork(raised.append)
    work.enable()
    work.set(0b1010)
    for _ in range(3):  # start, snapshot, raise bit 1
        work.step()
    work.set(0b0001)
    work.drain()
    assert raised == [1, 3, 0]


def test_a_work_that_used_its_budget_requeues_itself() -> None:
    work = PeerDbWork(lambda bit: work.set(1 << bit) if work.snapshots < 12 else None)
    work.enable()
    work.set(1)
    work.drain()
    # 5 + 5 + 2 snapshots; a ring during a run queues another one, and the last finds nothing.
    assert (work.snapshots, work.runs) == (12, 4)
    assert VNTB_PEER_DB_WORK_BUDGET == 5


@pytest.mark.parametrize("budget", [0, -1, 1 << 20])
def test_a_budget_out_of_range_is_refused(budget: int) -> None:
    with pytest.raises(InputError, match="budget"):
        PeerDbWork(lambda _: None, budget)


@pytest.mark.parametrize("budget", range(1, 17))
def test_storm_counts_add_up(budget: int) -> None:
    found = storm(budget, seed=3)
    assert found.rings == storm(1, seed=3).rings > found.msis >= found.snapshots >= found.runs > 0
    assert found.longest_run <= budget
    assert found.runs * budget >= found.snapshots
    assert 1 <= found.snapshot_latency_mean <= found.snapshot_latency_max <= 2
    assert 0 < found.tick_latency_mean <= found.tick_latency_max


def test_storm_is_seeded_and_larger_budgets_wait_less() -> None:
    assert storm(5, seed=7) == storm(5, seed=7) != storm(5, seed=8)
    waits = [storm(budget, seed=7).tick_latency_mean for budget in (1, 2, 5, 16)]
    assert waits == sorted(waits, reverse=True)
    with pytest.raises(InputError, match="--seed"):
        storm(5, seed=-1)

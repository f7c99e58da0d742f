# SPDX-License-Identifier: BSD-3-Clause
"""pci-epf-vntb against a model of sets, and what the kernel's own text says; its deferred work."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pair_strategies import EP_PATCHES, drivers, unpatched, whole

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.kernel_around import DriverError, Hazard
from ntbbench.pair.drivers.patches import Driver, driver
from ntbbench.pair.drivers.pci_epf_vntb import VNTB_PEER_DB_WORK_BUDGET, Doorbell, PeerDbWork, Vntb
from ntbbench.pair.setting import bound_vntb
from ntbbench.pair.storm import storm


def ignore(_: int) -> None:
    pass


def bound(own: Driver, db_count: int, doorbell: Doorbell, told: list[int]) -> Vntb:
    return bound_vntb(own, db_count, doorbell, told.append, ignore)


class VntbMachine(RuleBasedStateMachine):
    """The receiving half: rings, polls, clears; the oracle keeps sets of slots and of bits."""

    @initialize(own=drivers("ep"), db_count=st.integers(3, 32), mode=st.sampled_from(Doorbell))
    def set_up(self, own: Driver, db_count: int, mode: Doorbell) -> None:
        self.told: list[int] = []
        self.vntb = bound(own, db_count, mode, self.told)
        self.mode = mode
        self.start = own.db_start
        self.zero_based = 3 in own.patches
        self.reportable = set(range(self.start if self.zero_based else 1, db_count))
        self.waiting: set[int] = set()
        self.bits: set[int] = set()
        self.expected: list[int] = []

    def report(self, slots: set[int]) -> None:
        for slot in sorted(slots & self.reportable):
            self.bits.add(slot - self.start if self.zero_based else slot - 1)
            self.expected.append(slot - self.start if self.zero_based else slot)

    @rule(slot=st.integers(0, 31))
    def peer_rings(self, slot: int) -> None:
        self.vntb.write_doorbell(slot)
        exists = slot < self.vntb.config.db_count
        if self.mode is Doorbell.POLL:
            self.waiting |= {slot} if exists else set()
        elif exists:
            self.report(set(self.reportable) if self.mode is Doorbell.EMBEDDED else {slot})

    @rule()
    def poll(self) -> None:
        self.vntb.poll()
        self.report(self.waiting)
        self.waiting -= self.reportable  # what no loop looks at stays set for ever

    @rule(bits=st.frozensets(st.integers(0, 63)))
    def clear(self, bits: frozenset[int]) -> None:
        self.vntb.db_clear(sum(1 << bit for bit in bits))
        self.bits -= bits

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "vntb"):
            assert self.told == self.expected
            assert self.vntb.db_read() == sum(1 << bit for bit in self.bits)
            assert not self.vntb.sanitizer.reports


TestVntbMachine = VntbMachine.TestCase
TestVntbMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


class VntbSendMachine(RuleBasedStateMachine):
    """The sending half; the oracle keeps the set of pending bits and the list of MSIs."""

    @initialize(own=drivers("ep"), db_count=st.integers(3, 32))
    def set_up(self, own: Driver, db_count: int) -> None:
        self.msis: list[int] = []
        self.vntb = bound_vntb(own, db_count, Doorbell.POLL, ignore, self.msis.append)
        real = db_count - own.db_start if 6 in own.patches else db_count
        self.valid = set(range(real))
        self.deferred = 2 in own.patches
        self.first = own.db_start + 1
        self.pending: set[int] = set()
        self.expected: list[int] = []
        self.slept = False

    @rule(bits=st.frozensets(st.integers(0, 31), min_size=1), atomic=st.booleans())
    def ring(self, bits: frozenset[int], atomic: bool) -> None:
        mask = sum(1 << bit for bit in bits)
        if atomic:
            with self.vntb.sanitizer.atomic():
                self.vntb.peer_db_set(mask)
        else:
            self.vntb.peer_db_set(mask)
        if self.deferred:
            self.pending |= bits & self.valid
        else:
            self.expected.append(min(bits) + self.first)
            self.slept |= atomic

    @precondition(lambda self: self.deferred)
    @rule()
    def work(self) -> None:
        self.vntb.run_peer_db_work()
        self.expected += [bit + self.first for bit in sorted(self.pending)]
        self.pending.clear()

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "vntb"):
            assert self.msis == self.expected
            assert (Hazard.SLEEPS in self.vntb.sanitizer.hazards) == self.slept


TestVntbSendMachine = VntbSendMachine.TestCase
TestVntbSendMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


@given(own=drivers("ep"), db_count=st.integers(3, 32), vector=st.integers(-2, 70))
def test_masks_are_what_the_set_of_slots_says(own: Driver, db_count: int, vector: int) -> None:
    vntb = bound(own, db_count, Doorbell.POLL, [])
    doorbells = set(range(db_count - own.db_start))
    valid = doorbells if 6 in own.patches else set(range(db_count))
    assert vntb.db_valid_mask() == sum(1 << bit for bit in valid)
    assert vntb.db_vector_mask(vector) == (1 << vector if vector in doorbells else 0)
    assert vntb.has_vector_ops == (7 in own.patches)


def test_a_ring_between_event_and_clearing_is_wiped() -> None:
    told: list[int] = []

    def ring_again(vector: int) -> None:
        told.append(vector)
        vntb.write_doorbell(2)

    vntb = bound_vntb(whole("ep"), 4, Doorbell.POLL, ring_again, ignore)
    vntb.write_doorbell(2)
    vntb.poll()
    vntb.poll()
    assert told == [0]


@pytest.mark.parametrize("value", ["0", "2", "33", "4294967295"])
@pytest.mark.parametrize("patched", [False, True])
def test_db_count_limits(value: str, patched: bool) -> None:
    vntb = Vntb(driver("ep", {4} if patched else ()), Doorbell.POLL, ignore, ignore)
    if patched:
        with pytest.raises(DriverError) as stored:
            vntb.config.store("db_count", value)
        assert stored.value.code == errno.EINVAL
        vntb.config.db_count = int(value)
    else:
        vntb.config.store("db_count", value)
    if patched or value != "2":
        with pytest.raises(DriverError) as refused:
            vntb.bind()
        assert refused.value.code == errno.EINVAL
    else:
        vntb.bind()


def test_without_the_prerequisite_bind_takes_a_db_count_of_0() -> None:
    Vntb(Driver("ep", frozenset(), frozenset()), Doorbell.POLL, ignore, ignore).bind()
    with pytest.raises(DriverError):
        Vntb(unpatched("ep"), Doorbell.POLL, ignore, ignore).bind()


@pytest.mark.parametrize("attribute", ["db_count", "num_mws", "spad_count"])
def test_configfs_after_attach(attribute: str) -> None:
    before = bound(driver("ep", set(EP_PATCHES) - {5}), 8, Doorbell.POLL, [])
    before.config.store(attribute, "4")
    after = bound(driver("ep", {5}), 8, Doorbell.POLL, [])
    with pytest.raises(DriverError) as refused:
        after.config.store(attribute, "4")
    assert refused.value.code == errno.EOPNOTSUPP
    assert "EOPNOTSUPP" in str(refused.value)
    after.unbind()
    after.config.store(attribute, "4")


@pytest.mark.parametrize(
    ("attribute", "text", "code"),
    [
        *[("spad_count", text, "EINVAL") for text in ("", "-1", "4x", "08", "0x", "1 ", "\u0664")],
        ("spad_count", "4294967296", "ERANGE"),
        ("num_mws", "5", "EINVAL"),
    ],
)
def test_configfs_refuses_what_kstrtou32_or_a_limit_does(attribute, text, code) -> None:
    config = Vntb(unpatched("ep"), Doorbell.POLL, ignore, ignore).config
    with pytest.raises(DriverError, match=f"-{code}"):
        config.store(attribute, text)


@pytest.mark.parametrize(("text", "value"), [("010", 8), ("0x10\n", 16), ("+7", 7), ("0", 0)])
def test_configfs_takes_c_numbers(text: str, value: int) -> None:
    config = Vntb(unpatched("ep"), Doorbell.POLL, ignore, ignore).config
    config.store("spad_count", text)
    assert config.spad_count == value
    with pytest.raises(InputError, match="db_count"):
        config.store("db_cuont", text)


@pytest.mark.parametrize("mode", list(Doorbell))
def test_db_count_rewritten_after_attach_runs_out_of_bounds(mode: Doorbell) -> None:
    vntb = bound(unpatched("ep"), 8, mode, [])
    vntb.config.store("db_count", "65")
    vntb.write_doorbell(2)
    vntb.poll()
    assert vntb.sanitizer.hazards == {Hazard.OUT_OF_RANGE}
    reports = len(vntb.sanitizer.reports)
    assert vntb.db_valid_mask() == (1 << 64) - 1  # what the C leaves undefined goes on with 0
    assert "shift by 65 of 64" in vntb.sanitizer.reports[reports][1]


def test_a_bit_beyond_31_is_cut_off_by_ffs() -> None:
    msis: list[int] = []
    vntb = bound_vntb(unpatched("ep"), 8, Doorbell.POLL, ignore, msis.append)
    vntb.peer_db_set(1 << 32)
    assert msis == [2]  # the reserved slot


def test_unbinding_forgets_what_was_pending() -> None:
    msis: list[int] = []
    vntb = bound_vntb(whole("ep"), 8, Doorbell.POLL, ignore, msis.append)
    vntb.peer_db_set(1)
    vntb.unbind()
    vntb.bind()
    vntb.run_peer_db_work()
    assert msis == []


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

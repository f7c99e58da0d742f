# SPDX-License-Identifier: BSD-3-Clause
"""ntb_hw_epf against a model of sets, and against what the kernel's own text says."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pair_strategies import drivers, unpatched, whole

from ntbbench.pair.drivers.kernel_around import DriverError, Hazard
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import Driver, driver

U64 = (1 << 64) - 1


def ignore(_: int) -> None:
    pass


def probed(own: Driver, vectors: int, told: list[int], rung: list[int]) -> Epf:
    epf = Epf(own, contiguous_irqs(vectors), told.append, rung.append)
    epf.probe(4)
    return epf


class EpfMachine(RuleBasedStateMachine):
    """Interrupts, clears and rings; the oracle keeps a set of bits, or the legacy number."""

    @initialize(own=drivers("rc"), vectors=st.integers(4, 32))
    def set_up(self, own: Driver, vectors: int) -> None:
        self.told: list[int] = []
        self.rung: list[int] = []
        self.epf = probed(own, vectors, self.told, self.rung)
        self.own = own
        self.vectors = vectors
        self.doorbells = set(range(vectors - own.db_start))
        self.bits: set[int] = set()
        self.number = 0
        self.expected: list[int] = []
        self.expected_slots: list[int] = []

    @rule(slot=st.integers(0, 31))
    def interrupt(self, slot: int) -> None:
        if slot >= self.vectors:
            return
        self.epf.isr(slot)
        self.number = slot + 1
        if slot == 0 or (10 in self.own.patches and slot < self.own.db_start):
            return
        vector = slot - self.own.db_start if 10 in self.own.patches else slot
        if 11 not in self.own.patches or vector in self.doorbells:
            self.expected.append(vector)
            self.bits.add(vector)

    @rule(bits=st.frozensets(st.integers(0, 63)))
    def clear(self, bits: frozenset[int]) -> None:
        self.epf.db_clear(sum(1 << bit for bit in bits))
        self.bits -= bits
        self.number = 0

    @rule(bits=st.frozensets(st.integers(0, 31), min_size=1))
    def ring(self, bits: frozenset[int]) -> None:
        mask = sum(1 << bit for bit in bits)
        if min(bits) in self.doorbells:
            self.epf.peer_db_set(mask)
            self.expected_slots.append(min(bits) + self.own.db_start)
        else:
            with pytest.raises(DriverError) as refused:
                self.epf.peer_db_set(mask)
            assert refused.value.code == errno.EINVAL

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "epf"):
            return
        assert self.told == self.expected
        assert self.rung == self.expected_slots
        latched = sum(1 << bit for bit in self.bits)
        assert self.epf.db_read() == (latched if 11 in self.own.patches else self.number)
        assert not self.epf.sanitizer.reports


TestEpfMachine = EpfMachine.TestCase
TestEpfMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


@given(own=drivers("rc"), vectors=st.integers(4, 32), vector=st.integers(-2, 70))
def test_masks_are_what_the_set_of_slots_says(own: Driver, vectors: int, vector: int) -> None:
    epf = probed(own, vectors, [], [])
    doorbells = set(range(vectors - own.db_start))
    valid = doorbells if 9 in own.patches else set(range(vectors - 1))
    assert epf.db_valid_mask() == sum(1 << bit for bit in valid)
    assert epf.db_vector_mask(vector) == (1 << vector if vector in doorbells else 0)
    assert epf.has_vector_ops == (12 in own.patches)


@pytest.mark.parametrize(("slot", "vector", "number"), [(2, 2, 3), (3, 35, 36)])
def test_legacy_derives_the_vector_from_irq_numbers(slot: int, vector: int, number: int) -> None:
    told: list[int] = []
    epf = Epf(unpatched("rc"), scattered_irqs(16), told.append, ignore)
    epf.probe(4)
    epf.isr(slot)
    assert (told, epf.db_read()) == ([vector], number)
    assert (Hazard.MISREAD in epf.sanitizer.hazards) == (slot == 3)


def test_legacy_number_of_an_earlier_irq_is_widened_with_its_sign() -> None:
    epf = Epf(unpatched("rc"), (40, 41, 30, 42), ignore, ignore)
    epf.probe(4)
    epf.isr(2)
    assert epf.db_read() == U64 - 8  # -9


def test_pci_irq_vector_in_hardirq_sleeps_without_the_prerequisite() -> None:
    for own, sleeps in ((Driver("rc", frozenset(), frozenset()), True), (unpatched("rc"), False)):
        epf = probed(own, 16, [], [])
        epf.isr(2)
        assert (Hazard.SLEEPS in epf.sanitizer.hazards) == sleeps


@pytest.mark.parametrize(
    ("own", "left"),
    [
        (Driver("rc", frozenset(), frozenset()), {0, 1, 2}),
        (unpatched("rc"), set()),
        (whole("rc"), set()),
    ],
)
def test_failed_request_irq_is_unwound(own: Driver, left: set[int]) -> None:
    epf = Epf(own, contiguous_irqs(16), ignore, ignore)
    with pytest.raises(DriverError, match="-EBUSY"):
        epf.probe(4, failing_vector=3)
    assert epf.requested == left


@pytest.mark.parametrize(("patches", "left"), [((), 16), ((11,), 0)])
def test_too_many_windows_are_found_before_the_irqs(patches: tuple[int, ...], left: int) -> None:
    epf = Epf(driver("rc", patches), contiguous_irqs(16), ignore, ignore)
    with pytest.raises(DriverError) as refused:
        epf.probe(5)
    assert (refused.value.code, len(epf.requested)) == (errno.EINVAL, left)


@pytest.mark.parametrize("vectors", [0, 3, 33])
def test_vectors_that_are_never_granted(vectors: int) -> None:
    with pytest.raises(DriverError):
        probed(whole("rc"), vectors, [], [])


def test_a_bit_beyond_31_is_cut_off_by_ffs() -> None:
    rung: list[int] = []
    probed(whole("rc"), 16, [], rung).peer_db_set(1 << 40)
    assert rung == [1]


@pytest.mark.parametrize(("patches", "after"), [((), 0), ((11,), 0b1000), ((10, 11), 0b10)])
def test_db_clear(patches: tuple[int, ...], after: int) -> None:
    """Before patch 11 everything goes; 11 without 10 keeps the shifted vectors."""
    epf = probed(driver("rc", patches), 16, [], [])
    epf.isr(2)
    epf.isr(3)
    epf.db_clear(1 if 10 in patches else 1 << 2)
    assert epf.db_read() == after

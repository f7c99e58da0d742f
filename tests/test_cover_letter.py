# SPDX-License-Identifier: BSD-3-Clause
"""Every statement of the series' cover letter, as a test that can fail.

A statement is a predicate on a pair of drivers. It must hold for the series and must not hold for
drivers that lack the patch that makes it true, or that carry the rejected root fix.
"""

import errno
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
from pair_strategies import EP_PATCHES, RC_PATCHES, unpatched, whole

from ntbbench.pair.behaviour import QP_BITS, receiving, sending
from ntbbench.pair.drivers.kernel_around import DriverError, Hazard, db_vector_count, db_vector_mask
from ntbbench.pair.drivers.ntb_hw_epf import Epf, contiguous_irqs, scattered_irqs
from ntbbench.pair.drivers.patches import Driver, Side, driver, prefix, root_fix, side_patches
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell, Vntb
from ntbbench.pair.effects import effects
from ntbbench.pair.ring_trace import ring
from ntbbench.pair.setting import DIRECTIONS, Setting, bound_vntb, probed_epf
from ntbbench.pair.subsets import dependencies
from ntbbench.pair.verdict import WORKS, Verdict, outcome

SLOTS, VECTORS = 8, 16
DEFAULT = Setting()


def ignore(_: int) -> None:
    pass


def without(side: Side, *numbers: int) -> Driver:
    return driver(side, set(side_patches(side)) - set(numbers))


Statement = Callable[[Driver], bool]
CLAIMS: list[tuple[Statement, Driver, Driver]] = []


def claim(true_of: Driver, *false_of: Driver) -> Callable[[Statement], Statement]:
    """The statement holds with the series, and would be seen not to hold."""

    def made(holds: Statement) -> Statement:
        CLAIMS.extend((holds, true_of, mutant) for mutant in false_of)
        return holds

    return made


def vntb_of(own: Driver, told: list[int] | None = None, slots: int = SLOTS) -> Vntb:
    heard = ignore if told is None else told.append
    return bound_vntb(own, slots, Doorbell.POLL, heard, ignore)


def epf_of(own: Driver, told: list[int] | None = None) -> Epf:
    heard = ignore if told is None else told.append
    return probed_epf(own, contiguous_irqs(VECTORS), heard, ignore)


def refused_with(code: int, call: Callable[[], None]) -> bool:
    try:
        call()
    except DriverError as error:
        return error.code == code
    return False


def on_the_legacy_slots(own: Driver) -> bool:
    slots = SLOTS if own.side == "ep" else VECTORS
    return sending(own, slots).slots == tuple((2 + bit,) for bit in range(QP_BITS))


# What this series does: pci-epf-vntb


@pytest.mark.parametrize(("side", "patch"), [("ep", 1), ("rc", 8)])
def test_document_the_legacy_offset(side: Side, patch: int) -> None:
    """A comment changes nothing, and what it says (MSI #3 is DB#0) is what the driver does."""
    assert on_the_legacy_slots(whole(side)) and not on_the_legacy_slots(root_fix(side))
    assert effects(DEFAULT)[patch - 1].changes == []


@claim(whole("ep"), without("ep", 2), unpatched("ep"))
def vntb_defer_msi_doorbell_raises_to_process_context(own: Driver) -> bool:
    vntb = vntb_of(own)
    with vntb.sanitizer.atomic():
        vntb.peer_db_set(1)
    vntb.run_peer_db_work()
    return Hazard.SLEEPS not in vntb.sanitizer.hazards


@claim(whole("ep"), without("ep", 2))
def vntb_this_becomes_relevant_once_multiple_doorbells_are_raised(own: Driver) -> bool:
    msis: list[int] = []
    vntb = bound_vntb(own, SLOTS, Doorbell.POLL, ignore, msis.append)
    vntb.peer_db_set(0b101)
    vntb.run_peer_db_work()
    return msis == [3, 5]


@claim(whole("ep"), without("ep", 3), unpatched("ep"), root_fix("ep"))
def vntb_report_doorbell_vectors_as_0_based(own: Driver) -> bool:
    told: list[int] = []
    vntb = vntb_of(own, told)
    for slot in range(SLOTS):
        vntb.write_doorbell(slot)
    vntb.poll()
    return told == list(range(SLOTS - 2))


@claim(whole("ep"), without("ep", 4))
def vntb_reject_unusable_doorbell_counts(own: Driver) -> bool:
    def rejects(db_count: int) -> bool:
        vntb = Vntb(own, Doorbell.POLL, ignore, ignore)
        return refused_with(errno.EINVAL, lambda: vntb.config.store("db_count", str(db_count)))

    assert all(vntb_of(whole("ep"), slots=db_count) for db_count in range(3, 33))
    rejected = {rejects(db_count) for db_count in (0, 1, 2, 33, 64)}
    assert len(rejected) == 1
    return rejected == {True}


@claim(whole("ep"), without("ep", 5))
def vntb_guard_configfs_writes_after_epc_attach_with_eopnotsupp(own: Driver) -> bool:
    vntb = vntb_of(own)
    return refused_with(errno.EOPNOTSUPP, lambda: vntb.config.store("db_count", "16"))


@claim(whole("ep"), without("ep", 6), root_fix("ep"))
def vntb_fix_db_valid_mask(own: Driver) -> bool:
    return vntb_of(own).db_valid_mask() == 0b111111


@claim(whole("ep"), without("ep", 7))
def vntb_implement_db_vector_count_and_mask(own: Driver) -> bool:
    vntb = vntb_of(own)
    masks = [db_vector_mask(vntb, vector) for vector in range(-1, 8)]
    return db_vector_count(vntb) == 6 and masks == [0, 1, 2, 4, 8, 16, 32, 0, 0]


# What this series does: ntb_hw_epf


@claim(whole("rc"), without("rc", 9))
def epf_fix_db_valid_mask_to_cover_only_real_doorbell_bits(own: Driver) -> bool:
    epf = epf_of(own)
    rings = [(1 << bit, partial(epf.peer_db_set, 1 << bit)) for bit in range(32)]
    can_be_rung = sum(bit for bit, ring_it in rings if not refused_with(errno.EINVAL, ring_it))
    return epf.db_valid_mask() == can_be_rung


@claim(whole("rc"), without("rc", 10), unpatched("rc"), root_fix("rc"))
def epf_report_0_based_db_vector_accounting_for_the_unused_slot(own: Driver) -> bool:
    told: list[int] = []
    epf = epf_of(own, told)
    for slot in range(VECTORS):
        epf.isr(slot)
    return told == list(range(VECTORS - 2))


@claim(whole("rc"), without("rc", 11))
def epf_pass_per_vector_context_instead_of_deriving_from_linux_irq_numbers(own: Driver) -> bool:
    told: list[int] = []
    epf = Epf(own, scattered_irqs(VECTORS), told.append, ignore)
    epf.probe(4)
    for slot in range(2, VECTORS):
        epf.isr(slot)
    return told == list(range(VECTORS - 2))


@claim(whole("rc"), without("rc", 11), without("rc", 10))
def epf_keep_db_val_as_a_bitmask_and_fix_db_read_and_db_clear(own: Driver) -> bool:
    epf = epf_of(own)
    for slot in (2, 3, 5):
        epf.isr(slot)
    rung = epf.db_read()
    epf.db_clear(0b10)
    return (rung, epf.db_read()) == (0b1011, 0b1001)


@claim(whole("rc"), without("rc", 12))
def epf_implement_db_vector_count_and_mask(own: Driver) -> bool:
    epf = epf_of(own)
    masks = [db_vector_mask(epf, vector) for vector in range(-1, 16)]
    expected = [0, *(1 << vector for vector in range(14)), 0, 0]
    return db_vector_count(epf) == 14 and masks == expected


# Compatibility


def all_work(ep: list[Driver], rc: list[Driver], setting: Setting = DEFAULT) -> bool:
    return all(
        outcome(way, *pair, setting).verdict in WORKS
        for pair in product(ep, rc)
        for way in DIRECTIONS
    )


EP_PREFIXES = [prefix("ep", n) for n in range(8)]
RC_PREFIXES = [prefix("rc", n) for n in range(6)]


def test_the_legacy_offset_is_kept_intact() -> None:
    for own in (*EP_PREFIXES, *RC_PREFIXES):
        assert on_the_legacy_slots(own)
    assert not any(on_the_legacy_slots(root_fix(side)) for side in ("ep", "rc"))


def test_the_series_remains_compatible_across_mixed_kernel_versions() -> None:
    assert all_work(EP_PREFIXES, RC_PREFIXES)
    assert not all_work([*EP_PREFIXES, root_fix("ep")], RC_PREFIXES)
    assert not all_work(EP_PREFIXES, [*RC_PREFIXES, root_fix("rc")])
    assert not all_work(EP_PREFIXES, [without("rc", 10)])


@pytest.mark.parametrize(("slots", "broken"), [(8, False), (7, False), (6, True), (5, True)])
def test_compatible_it_is_not_where_a_smaller_mask_leaves_fewer_qps(
    slots: int, broken: bool
) -> None:
    """The statement's exception: with few slots patch 6 lowers one side's qp_count."""
    setting = Setting(ep_slots=slots)
    down = [
        ep
        for ep, own in enumerate(EP_PREFIXES)
        if outcome("ep-to-rc", own, unpatched("rc"), setting).verdict is Verdict.LINK_DOWN
    ]
    assert down == ([6, 7] if broken else [])


def test_observable_changes_are_limited_to_masks_vectors_and_context() -> None:
    """Besides them: errnos of unusable configurations, and the other bits of a multi-bit ring."""
    reporting = ("mask", "vector", "db_read()", "QPs of", "tasklet")
    context = ("atomic context", "slots rung by peer_db_set() of bits 0 and 2")
    refusals = ("configfs", "bind with", "probe with")
    changes = {change.what for effect in effects(DEFAULT) for change in effect.changes}
    assert all(any(w in what for w in (*reporting, *context, *refusals)) for what in changes)
    for own, mutant in ((whole("ep"), root_fix("ep")), (whole("rc"), root_fix("rc"))):
        slots = DEFAULT.slots_of(own.side)
        assert sending(own, slots).slots == sending(unpatched(own.side), slots).slots
        assert sending(mutant, slots).slots != sending(unpatched(own.side), slots).slots


def test_patches_1_to_7_and_8_to_12_are_independent_and_can_be_applied_separately() -> None:
    requires = dependencies(DEFAULT).requires
    halves = [{str(n) for n in numbers} for numbers in (EP_PATCHES, RC_PATCHES)]
    for half in halves:
        assert all({str(n) for n in requires[p]} <= half for p in half)
    assert all_work([whole("ep")], [unpatched("rc")])
    assert all_work([unpatched("ep")], [whole("rc")])
    assert not all_work([root_fix("ep")], [whole("rc")])  # which only both trees at once could take


# Why NOT fix the root offset?


@claim(whole("ep"), root_fix("ep"))
@claim(whole("rc"), root_fix("rc"))
def a_new_side_would_ring_a_different_interrupt_slot_than_an_old_peer_expects(own: Driver) -> bool:
    other: Side = "rc" if own.side == "ep" else "ep"
    heard = receiving(whole(other), DEFAULT.slots_of(other), Doorbell.POLL).masks
    rung = sending(own, DEFAULT.slots_of(own.side)).slots
    return all(heard[slots[0]] == (1 << bit,) for bit, slots in enumerate(rung))


@pytest.mark.parametrize("way", DIRECTIONS)
def test_this_leads_to_missed_or_misrouted_doorbells_once_masks_are_implemented(way: str) -> None:
    ep, rc = (root_fix("ep"), whole("rc")) if way == "ep-to-rc" else (whole("ep"), root_fix("rc"))
    with_masks = outcome(way, ep, rc, DEFAULT).counts
    assert (with_masks.missed, with_masks.misrouted) == (4, 3)
    # Before the vector callbacks every doorbell "can hit any QP", so the mismatch stays hidden.
    old = unpatched("rc" if way == "ep-to-rc" else "ep")
    ep, rc = (ep, old) if way == "ep-to-rc" else (old, rc)
    assert outcome(way, ep, rc, DEFAULT).verdict is Verdict.FALLBACK


def test_the_root_fix_works_only_against_itself() -> None:
    for way in DIRECTIONS:
        assert outcome(way, root_fix("ep"), root_fix("rc"), DEFAULT).verdict is Verdict.PER_VECTOR
    assert not all_work([root_fix("ep")], RC_PREFIXES)
    assert not all_work(EP_PREFIXES, [root_fix("rc")])


def test_instead_the_mapping_is_handled_consistently_in_masks_vectors_and_reporting() -> None:
    """Slot 2 + b, vector b and bit b mean the same doorbell on both sides."""
    for way in DIRECTIONS:
        for bit in range(4):
            trace = ring(way, whole("ep"), whole("rc"), DEFAULT, 1 << bit)
            (slot,) = trace.slots
            assert (slot.slot, slot.vectors, slot.masks) == (2 + bit, [bit], [1 << bit])
            assert (slot.db_read, slot.scheduled) == (1 << bit, [bit])
            mutant = ring(way, unpatched("ep"), unpatched("rc"), DEFAULT, 1 << bit).slots[0]
            assert mutant.vectors == [bit + 2]


# Background, practical benefit


def test_background_the_mismatch_is_mostly_masked_without_vector_callbacks() -> None:
    for way in DIRECTIONS:
        trace = ring(way, unpatched("ep"), unpatched("rc"), DEFAULT, 1)
        assert trace.slots[0].vectors == [2]
        assert trace.slots[0].scheduled == [0, 1, 2, 3]
    shifted = outcome("ep-to-rc", unpatched("ep"), driver("rc", {12}), DEFAULT)
    assert shifted.verdict not in WORKS


def test_benefit_only_the_queue_pairs_of_the_vector_are_woken() -> None:
    for way, off in (("ep-to-rc", without("rc", 12)), ("rc-to-ep", without("ep", 7))):
        assert outcome(way, whole("ep"), whole("rc"), DEFAULT).counts.amplification == 1
        pair = (off, whole("rc")) if off.side == "ep" else (whole("ep"), off)
        assert outcome(way, *pair, DEFAULT).counts.amplification == 4


@pytest.mark.parametrize(
    ("holds", "true_of", "false_of"), CLAIMS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_statement_holds_and_can_fail(holds, true_of: Driver, false_of: Driver) -> None:
    assert holds(true_of) and not holds(false_of)

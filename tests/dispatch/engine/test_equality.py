# SPDX-License-Identifier: BSD-3-Clause
"""Every compiled kernel gives the counts of the plain-Python reference, bit for bit."""

import numpy as np
import pytest
from engine_cases import ALL_ONES, EDGE_BITS, Case, cases, cases_without_misses
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.dispatch import engine
from ntbbench.dispatch.engine import KERNELS

FORMS = [(kernel, coded) for kernel in ("scan", "bitset") for coded in (False, True)]
one_hot_masks = st.permutations([1 << bit for bit in range(64)]).flatmap(
    lambda masks: st.integers(1, 64).map(lambda count: masks[:count])
)


@given(case=cases() | cases_without_misses())
@settings(max_examples=300, deadline=None)
def test_the_kernels_equal_the_reference(case: Case) -> None:
    expected = case.count("reference")
    assert case.count("reference", coded=True) == expected
    for kernel, coded in FORMS:
        assert case.count(kernel, coded=coded) == expected, (kernel, coded)


@given(case=cases(masks=one_hot_masks))
@settings(max_examples=150, deadline=None)
def test_the_msi_kernels_equal_their_reference(case: Case) -> None:
    expected = case.count("reference-msi")
    for kernel in ("msi", "bitset-msi"):
        for coded in (False, True):
            assert case.count(kernel, coded=coded) == expected, (kernel, coded)
    assert expected.scan_iterations == 0
    assert expected.schedule_calls == expected.interrupts == len(case.codes)


@pytest.mark.parametrize(("kernel", "coded"), FORMS)
@pytest.mark.parametrize("interrupts", [0, 1, 15, 16, 17, 255, 256, 257, 9999, 10_000])
@pytest.mark.parametrize("drain", [1, 3])
def test_long_streams_fill_and_flush_every_counter(
    kernel: str, coded: bool, interrupts: int, drain: int
) -> None:
    rng = np.random.default_rng(interrupts)
    bits = np.uint64(1) << np.arange(64, dtype=np.uint64)
    case = Case(
        vectors=np.arange(64, dtype=np.uint8),
        rung=bits,
        codes=rng.integers(0, 64, interrupts, np.uint8),
        masks=bits | np.uint64(1 << 63 | 1 << 31),
        qp_bitmap=ALL_ONES,
        qp_bitmap_free=0,
        active=ALL_ONES & ~(1 << 32),
        drain=drain,
    )
    assert case.count(kernel, coded=coded) == case.count("reference")


@pytest.mark.parametrize(("kernel", "coded"), FORMS)
@pytest.mark.parametrize("drain", [1, 2])
def test_one_hot_queue_overflows_no_lane(kernel: str, coded: bool, drain: int) -> None:
    interrupts = 17_000  # beyond what the byte lanes of every counter hold, even at drain 2
    top = np.array([1 << 63], np.uint64)
    codes = np.zeros(interrupts, np.uint8)
    case = Case(codes[:1], top, codes, top, 1 << 63, 0, 1 << 63, drain)
    counts = case.count(kernel, coded=coded)
    assert counts.vector_interrupts == [interrupts]
    assert np.flatnonzero(counts.qp_useful_wakeups).tolist() == [63]
    assert counts.useful_wakeups == counts.wakeups == interrupts // drain
    assert counts.spurious_wakeups == 0


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("bit", EDGE_BITS)
def test_one_bit_at_the_edges_of_a_word(kernel: str, coded: bool, bit: int) -> None:
    word = np.array([1 << bit], np.uint64)
    codes = np.zeros(3, np.uint8)
    counts = Case(codes[:1], word, codes, word, 1 << bit, 0, 1 << bit, 1).count(kernel, coded=coded)
    assert counts.interrupts == counts.schedule_calls == counts.wakeups == 3
    assert counts.useful_wakeups == counts.qp_useful_wakeups[bit] == 3
    assert counts.scan_iterations == (0 if kernel.endswith("msi") else 3)
    assert counts.spurious_wakeups == counts.missed == counts.misrouted == 0
    assert np.flatnonzero(counts.qp_schedule_calls).tolist() == [bit]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_run_repeats_itself(kernel: str) -> None:
    vectors = np.array([0, 1, 2, 1, 0], np.uint8)
    rung = np.uint64(1) << vectors.astype(np.uint64)
    masks = np.array([1, 2, 4], np.uint64)
    prepared = engine.prepare(kernel, vectors, rung, masks, qp_bitmap=7, active=7)
    prepared.run()
    first = prepared.counts()
    prepared.run()
    assert prepared.counts() == first
    assert first.vector_interrupts == [2, 2, 1]

# SPDX-License-Identifier: BSD-3-Clause
"""Every compiled kernel gives the counts of the plain-Python reference, bit for bit."""

import numpy as np
import pytest
from engine_cases import ALL_ONES, EDGE_BITS, Case, cases, orderless_cases, segments, words
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ntbbench.dispatch import engine
from ntbbench.dispatch.engine import reference
from ntbbench.dispatch.engine.counts import Counters
from ntbbench.dispatch.engine.encoding import CODE_COUNT_MAX
from ntbbench.dispatch.engine.segment import check_receiver, check_segment

SEQUENTIAL = ("scan", "bitset")


@pytest.mark.parametrize("kernel", SEQUENTIAL)
@given(case=cases())
@settings(max_examples=150, deadline=None)
def test_sequential_kernels_equal_the_reference(kernel: str, case: Case) -> None:
    expected = engine.count("reference", *case.positional, **case.keywords)
    assert engine.count(kernel, *case.positional, **case.keywords) == expected


@given(case=orderless_cases())
@settings(max_examples=150, deadline=None)
def test_histogram_equals_the_reference(case: Case) -> None:
    assume(len({*zip(case.vectors, case.rung, strict=True)}) <= CODE_COUNT_MAX)
    expected = engine.count("reference", *case.positional, **case.keywords)
    assert expected.missed == expected.merged == 0
    assert engine.count("histogram", *case.positional, **case.keywords) == expected


@given(
    data=st.data(),
    qp_nums=st.permutations(range(64)),
    vector_count=st.integers(1, 64),
    active=words,
    drain=st.sampled_from((1, 2, 5)),
)
@settings(max_examples=100, deadline=None)
def test_msi_equals_the_reference(
    data: st.DataObject, qp_nums: list[int], vector_count: int, active: int, drain: int
) -> None:
    masks = np.array([1 << qp_num for qp_num in qp_nums[:vector_count]], np.uint64)
    vectors, rung = data.draw(segments(vector_count))
    receiver = check_receiver(masks, drain)
    segment = check_segment(
        receiver, vectors, rung, qp_bitmap=ALL_ONES, qp_bitmap_free=0, active=active
    )
    counters = Counters()
    reference.dispatch_msi(receiver, segment, counters)
    reference.softirq(counters)
    counted = engine.count(
        "msi", vectors, rung, masks, qp_bitmap=ALL_ONES, active=active, drain=drain
    )
    assert counted == counters.read(vector_count)
    assert counted.scan_iterations == 0
    assert counted.schedule_calls == counted.interrupts == len(vectors)


@pytest.mark.parametrize("kernel", [*SEQUENTIAL, "histogram"])
@pytest.mark.parametrize("interrupts", [0, 1, 15, 16, 17, 255, 256, 257, 9999, 10_000])
@pytest.mark.parametrize("drain", [1, 3])
def test_long_streams_fill_and_flush_every_counter(
    kernel: str, interrupts: int, drain: int
) -> None:
    if kernel == "histogram" and drain > 1:
        drain = 1  # the only one that it counts; see test_engine_inputs
    rng = np.random.default_rng(interrupts)
    masks = np.uint64(1) << np.arange(64, dtype=np.uint64)
    masks |= np.uint64(1 << 63 | 1 << 31)
    vectors = rng.integers(0, 64, interrupts, np.uint8)
    rung = np.uint64(1) << vectors.astype(np.uint64)
    words_ = {"qp_bitmap": ALL_ONES, "active": ALL_ONES & ~(1 << 32), "drain": drain}
    expected = engine.count("reference", vectors, rung, masks, **words_)
    assert engine.count(kernel, vectors, rung, masks, **words_) == expected


@pytest.mark.parametrize("kernel", [*SEQUENTIAL, "histogram"])
@pytest.mark.parametrize("drain", [1, 2])
def test_one_hot_queue_overflows_no_lane(kernel: str, drain: int) -> None:
    drain = 1 if kernel == "histogram" else drain
    interrupts = 17_000  # beyond what the byte lanes of every counter hold, even at drain 2
    vectors = np.zeros(interrupts, np.uint8)
    rung = np.full(interrupts, 1 << 63, np.uint64)
    counts = engine.count(
        kernel, vectors, rung, rung[:1], qp_bitmap=1 << 63, active=1 << 63, drain=drain
    )
    assert counts.vector_interrupts.tolist() == [interrupts]
    assert np.flatnonzero(counts.qp_useful_wakeups).tolist() == [63]
    assert counts.useful_wakeups == counts.wakeups == interrupts // drain
    assert counts.spurious_wakeups == 0


@pytest.mark.parametrize("kernel", ["reference", "scan", "bitset", "histogram", "msi"])
@pytest.mark.parametrize("bit", EDGE_BITS)
def test_one_bit_at_the_edges_of_a_word(kernel: str, bit: int) -> None:
    vectors = np.zeros(3, np.uint8)
    rung = np.full(3, 1 << bit, np.uint64)
    counts = engine.count(
        kernel, vectors, rung, rung[:1], qp_bitmap=1 << bit, active=1 << bit, drain=1
    )
    assert counts.interrupts == counts.schedule_calls == counts.wakeups == 3
    assert counts.useful_wakeups == counts.qp_useful_wakeups[bit] == 3
    assert counts.scan_iterations == (0 if kernel == "msi" else 3)
    assert counts.spurious_wakeups == counts.missed == counts.misrouted == 0
    assert np.flatnonzero(counts.qp_schedule_calls).tolist() == [bit]


@pytest.mark.parametrize("kernel", engine.KERNELS)
def test_a_run_repeats_itself(kernel: str) -> None:
    vectors = np.array([0, 1, 2, 1, 0], np.uint8)
    rung = np.uint64(1) << vectors.astype(np.uint64)
    masks = np.array([1, 2, 4], np.uint64)
    prepared = engine.prepare(kernel, vectors, rung, masks, qp_bitmap=7, active=7)
    prepared.run()
    first = prepared.counts()
    prepared.run()
    assert prepared.counts() == first
    assert first.vector_interrupts.tolist() == [2, 2, 1]

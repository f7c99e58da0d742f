# SPDX-License-Identifier: BSD-3-Clause
"""The counting kernels: equal to the reference, right by hand, built as asked for."""

import doctest
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from engine_cases import ALL_ONES, EDGE_BITS, Case, cases, cases_without_misses
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.core import _build
from ntbbench.datapath.engine import COMPILED
from ntbbench.datapath.engine.buffers import Buffers
from ntbbench.datapath.engine.engine_plan import plan
from ntbbench.datapath.system import Cost, Costs, Flow, InterruptSource, Queue, System
from ntbbench.dispatch import engine
from ntbbench.dispatch.engine import KERNELS
from ntbbench.dispatch.engine.batch import DispatchCounts
from ntbbench.ntb.vectormap import VectorMap
from ntbbench.ntb.workload.stream import Cycle, Draws, Sender, ring_stream

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
def test_long_streams_fill_and_flush_every_counter(kernel, coded, interrupts, drain) -> None:
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


BIT_LOOP = ("reference", "scan", "bitset")
MSI = ("reference-msi", "msi", "bitset-msi")


def count(
    kernel: str, rings: list[tuple[int, int]], masks: list[int], **words: int
) -> DispatchCounts:
    """Count interrupts given as (vector, rung bits)."""
    return engine.count(
        kernel,
        np.array([vector for vector, _ in rings], np.uint8),
        np.array([rung for _, rung in rings], np.uint64),
        np.array(masks, np.uint64),
        **{"qp_bitmap": 0b1111, "active": 0b1111, **words},
    )


@pytest.mark.parametrize("kernel", BIT_LOOP)
def test_fallback_wakes_every_active_qp(kernel: str) -> None:
    counts = count(kernel, [(0, 1), (1, 2), (2, 4), (3, 8)], [0b1111] * 4, active=0b0111)
    assert counts.interrupts == 4
    assert counts.scan_iterations == 16
    assert counts.schedule_calls == counts.wakeups == 12
    # The ring of inactive QP 3 leaves no packet that anyone could find.
    assert (counts.useful_wakeups, counts.spurious_wakeups) == (3, 9)
    assert counts.missed == counts.misrouted == 0
    assert counts.qp_schedule_calls[:5] == [4, 4, 4, 0, 0]


@pytest.mark.parametrize("kernel", [*BIT_LOOP, *MSI])
def test_a_vector_a_bit_wakes_only_the_rung_qp(kernel: str) -> None:
    counts = count(kernel, [(0, 1), (1, 2), (2, 4), (3, 8)], [1, 2, 4, 8])
    assert counts.schedule_calls == counts.useful_wakeups == counts.interrupts == 4
    assert counts.spurious_wakeups == 0
    assert counts.vector_schedule_calls == [1, 1, 1, 1]


@pytest.mark.parametrize("kernel", BIT_LOOP)
def test_a_scheduled_tasklet_merges_until_the_softirq_runs(kernel: str) -> None:
    counts = count(kernel, [(0, 1), (1, 2), (0, 1), (0, 1), (1, 2)], [0b11, 0b10], drain=3)
    # First softirq: QP 0 and 1, woken by the first interrupt. Then the stream ends after two more.
    assert counts.schedule_calls == 2 + 1 + 2 + 2 + 1
    assert counts.wakeups == 4
    assert counts.merged == 4
    assert (counts.useful_wakeups, counts.spurious_wakeups) == (4, 0)
    assert counts.vector_wakeups == [4, 0]


@pytest.mark.parametrize("kernel", BIT_LOOP)
def test_a_wrong_vector_misses_and_a_later_run_finds_the_packet(kernel: str) -> None:
    # Bit 0 is delivered by a vector that means bit 1, as a rejected layout would do. The packet
    # waits for vector 2, which comes without a ring of its own.
    counts = count(kernel, [(0, 0b01), (1, 0b10), (2, 0)], [0b10, 0b10, 0b01])
    assert (counts.missed, counts.misrouted) == (1, 1)
    assert counts.qp_spurious_wakeups[:2] == [0, 1]
    assert counts.qp_useful_wakeups[:2] == [1, 1]


@pytest.mark.parametrize("kernel", BIT_LOOP)
def test_a_packet_that_nobody_was_woken_for_stays_until_the_end(kernel: str) -> None:
    counts = count(kernel, [(0, 1), (0, 1), (1, 0)], [0, 1], qp_bitmap=1, active=1, drain=2)
    assert (counts.missed, counts.useful_wakeups, counts.spurious_wakeups) == (2, 1, 0)


@pytest.mark.parametrize("kernel", BIT_LOOP)
def test_free_and_foreign_qps_are_not_scanned(kernel: str) -> None:
    counts = count(
        kernel, [(0, 0b1000)], [2**64 - 1], qp_bitmap=0b0111, qp_bitmap_free=0b0001, active=0b0111
    )
    assert counts.scan_iterations == counts.schedule_calls == 2
    assert counts.spurious_wakeups == 2
    assert counts.missed == 0  # nobody listens on QP 3


@pytest.mark.parametrize("kernel", MSI)
def test_msi_wakes_an_inactive_qp(kernel: str) -> None:
    counts = count(kernel, [(0, 1), (1, 2)], [1, 2], active=0b10)
    assert counts.schedule_calls == 2
    assert (counts.useful_wakeups, counts.spurious_wakeups) == (1, 1)


@pytest.mark.parametrize("kernel", engine.KERNELS)
def test_a_device_without_vectors_counts_nothing(kernel: str) -> None:
    counts = count(kernel, [], [])
    assert counts.interrupts == counts.schedule_calls == 0
    assert counts.vector_interrupts == []


def test_the_example_of_the_package_holds() -> None:
    assert doctest.testmod(engine) == doctest.TestResults(failed=0, attempted=6)


def test_the_variant_asked_for_is_the_one_under_test() -> None:
    # Else the run with sanitizers could pass on the plain modules.
    assert (os.environ.get("NTBBENCH_CHECKED") == "1") == _build.CHECKED


def test_the_build_is_recorded() -> None:
    assert _build.COMPILER.split()[0] in ("gcc", "clang")
    assert ("-fsanitize=address,undefined" in _build.FLAGS) == _build.CHECKED
    assert "-march=native" not in _build.FLAGS


N = 100_000
VECTORS = np.zeros(N, np.uint8)
RUNG = np.ones(N, np.uint64)
ONE_QP = {"qp_bitmap": 1, "active": 1}
RUNS = {
    kernel: engine.prepare(kernel, VECTORS, RUNG, RUNG[:1], **ONE_QP).run
    for kernel in ("scan", "bitset", "msi")
}
RUNS["draws"] = partial(Draws((0.5, 0.5), 1).draw, N, 0)
TWO_VECTORS = VectorMap(0b11, (1, 2), 2, (1, 2))
RUNS["bursts"] = partial(ring_stream, Sender(Cycle((0, 1)), 4, (0, 1)), TWO_VECTORS, N)

POINT = System(
    receiver_cpus=1,
    sender_cpus=1,
    flows=(Flow(0, 1, 64, "closed", window=4),),
    queues=(Queue(0, 0, 16, 16),),
    sources=(InterruptSource(0, (1,)),),
    end_ps=10**10,
    costs=Costs(send=Cost(10**6)),
)


def go(name: str) -> None:
    Buffers(plan(POINT), 1, COMPILED[name], 0).go_until(POINT.end_ps)


RUNS |= {name: partial(go, name) for name in COMPILED}


@pytest.fixture
def cooperative_threads() -> Iterator[None]:
    """No thread is asked to give up the GIL: another runs only when one releases it."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("cooperative_threads")
@pytest.mark.parametrize("kernel", RUNS)
def test_a_kernel_releases_the_gil(kernel: str) -> None:
    run: Callable[[], None] = RUNS[kernel]
    gate = threading.Lock()
    ran: list[bool] = []
    gate.acquire()

    def other() -> None:
        with gate:
            ran.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    gate.release()
    # The thread may run now, but only while a kernel has let go of the GIL.
    for _ in range(100_000):
        run()
        if ran:
            break
    assert ran
    thread.join()

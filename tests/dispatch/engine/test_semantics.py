# SPDX-License-Identifier: BSD-3-Clause
"""Counts worked out by hand from what the driver and the softirq do."""

import doctest

import numpy as np
import pytest

from ntbbench.dispatch import engine
from ntbbench.dispatch.engine import Counts

BIT_LOOP = ("reference", "scan", "bitset")
MSI = ("reference-msi", "msi", "bitset-msi")


def count(kernel: str, rings: list[tuple[int, int]], masks: list[int], **words: int) -> Counts:
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

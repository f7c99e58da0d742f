# SPDX-License-Identifier: BSD-3-Clause
"""Where nothing takes time, the counts are those of the dispatch kernels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.datapath.engine import simulate
from ntbbench.datapath.outcome import Cause
from ntbbench.datapath.system import Cost, Costs, Draw, Flow, Queue, Source, System, Transmit
from ntbbench.dispatch import engine

US = 10**6
QUEUES = 5
EVERY = (1 << QUEUES) - 1


def free_system(masks: list[int], rings: list[int], kind: str) -> System:
    """One ring a microsecond, each by the queue of that number; nothing takes time."""
    times = [
        tuple(US * (1 + n) for n, ring in enumerate(rings) if ring == queue)
        for queue in range(QUEUES)
    ]
    return System(
        receiver_cpus=1,
        sender_cpus=1,
        flows=tuple(
            Flow(queue, 1, 64, "times", backlog=1, times_ps=times[queue]) for queue in range(QUEUES)
        ),
        queues=tuple(Queue(n, n, 1000, 1000) for n in range(QUEUES)),
        sources=tuple(Source(0, (mask,), kind) for mask in masks),
        end_ps=US * (2 + len(rings)),
        transmit=Transmit(tx_stop=0),
        reposts=False,
    )


@settings(max_examples=60, deadline=None)
@given(
    masks=st.lists(st.integers(0, EVERY), min_size=QUEUES, max_size=QUEUES)
    | st.just([EVERY] * QUEUES)
    | st.just([1 << n for n in range(QUEUES)]),
    rings=st.lists(st.integers(0, QUEUES - 1), max_size=60),
)
def test_without_costs_the_counts_are_the_dispatch_kernels(
    masks: list[int], rings: list[int]
) -> None:
    outcome = simulate(free_system(masks, rings, "event"), 1)
    counts = engine.count(
        "scan",
        np.array(rings, np.uint8),
        np.uint64(1) << np.array(rings, np.uint64),
        np.array(masks, np.uint64),
        qp_bitmap=EVERY,
        active=EVERY,
    )
    assert list(outcome.interrupts) == counts.vector_interrupts
    assert outcome.scan_iterations == counts.scan_iterations
    for queue, row in enumerate(outcome.queues):
        assert row.calls[Cause.DOORBELL] == counts.qp_schedule_calls[queue]
        assert row.wakeups[Cause.DOORBELL] == counts.qp_wakeups[queue]
        assert row.useful[Cause.DOORBELL] == counts.qp_useful_wakeups[queue]
        assert row.empty[Cause.DOORBELL] == counts.qp_spurious_wakeups[queue]
    assert sum(row.missed for row in outcome.queues) == counts.missed
    assert sum(row.misrouted for row in outcome.queues) == counts.misrouted


def test_msi_schedules_without_a_scan() -> None:
    masks = [1 << n for n in range(QUEUES)]
    rings = [n % QUEUES for n in range(50)]
    event = simulate(free_system(masks, rings, "event"), 1)
    msi = simulate(free_system(masks, rings, "msi"), 1)
    assert msi.scan_iterations == 0
    assert replace(msi, scan_iterations=event.scan_iterations) == event


@pytest.mark.parametrize("kind", ["closed", "open", "back-to-back"])
def test_with_one_qp_per_vector_is_fallback(kind: str) -> None:
    """The fallback's mask has all doorbell bits, of which one has a QP."""
    flow = Flow(0, 1, 1500, kind, window=8, gap_ps=4 * US, gap_draw=Draw("exponential"), backlog=9)
    system = System(
        receiver_cpus=1,
        sender_cpus=1,
        flows=(flow,),
        queues=(Queue(0, 0, 60, 60, 1),),
        sources=(Source(0, (1,)),),
        end_ps=10**11,
        costs=Costs(
            send=Cost(US, draw=Draw("exponential")),
            link_ps=US,
            hardirq_ps=US,
            scan_ps=US // 10,
            tasklet_ps=US // 2,
            copy=Cost(2 * US, draw=Draw("exponential")),
        ),
    )
    fallback = replace(system, sources=(Source(0, ((1 << 64) - 1,)),))
    outcome = simulate(system, 7)
    assert outcome.queues[0].packets > 500
    assert simulate(fallback, 7) == outcome

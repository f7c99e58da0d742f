# SPDX-License-Identifier: BSD-3-Clause
"""The specification against what real kernels were measured to do (spaced doorbells)."""

from dataclasses import replace

import pytest

from ntbbench.datapath.engine import simulate
from ntbbench.datapath.outcome import Cause
from ntbbench.datapath.system import Cost, Costs, Flow, Queue, Source, System

US = 10**6
GAP = 1000 * US
PACKETS = 50


def spaced(callbacks: list[int], *, latched: bool, reposts: bool) -> System:
    """One flow on queue 0 of as many queues as there are callbacks, its packets far apart."""
    return System(
        receiver_cpus=1,
        sender_cpus=1,
        flows=(Flow(0, 1, 64, "open", gap_ps=GAP, backlog=1),),
        queues=tuple(
            Queue(bit, bit, 15, 15, db_bits=latched << bit) for bit in range(len(callbacks))
        ),
        sources=tuple(Source(0, (mask,)) for mask in callbacks),
        end_ps=PACKETS * GAP + GAP // 2,
        costs=Costs(send=Cost(US), hardirq_ps=US, tasklet_ps=US, copy=Cost(US)),
        reposts=reposts,
    )


@pytest.mark.parametrize(
    ("callbacks", "latched", "runs"),
    [
        ([15] * 4, True, 5),
        ([15] * 4, False, 4),
        ([5, 10, 5, 10], True, 3),
        ([5, 10, 5, 10], False, 2),
        ([1, 2, 4, 8], True, 2),
        ([1, 2, 4, 8], False, 1),
    ],
)
def test_runs_a_doorbell_are_those_of_real_kernels(
    callbacks: list[int], latched: bool, runs: int
) -> None:
    """ntb-facts: measured on 6.1.192 and 6.12.95 with a client that does not repost."""
    outcome = simulate(spaced(callbacks, latched=latched, reposts=False), 1, "reference")
    assert outcome.interrupts == (PACKETS, *[0] * (len(callbacks) - 1))
    assert sum(sum(q.useful) + sum(q.empty) for q in outcome.queues) == runs * PACKETS
    assert outcome.queues[0].useful[Cause.DOORBELL] == PACKETS
    assert outcome.queues[0].empty[Cause.RACE_CHECK] == latched * PACKETS
    assert sum(q.missed + q.misrouted for q in outcome.queues) == 0


@pytest.mark.parametrize("callbacks", [[15] * 4, [1, 2, 4, 8]])
def test_a_repost_and_the_race_check_are_one_extra_run(callbacks: list[int]) -> None:
    """ntb_netdev reposts: the race check merges with that."""
    outcome = simulate(spaced(callbacks, latched=True, reposts=True), 1, "reference")
    rung = outcome.queues[0]
    assert rung.empty[Cause.REPOST] == PACKETS
    assert rung.calls[Cause.RACE_CHECK] == PACKETS
    assert rung.wakeups[Cause.RACE_CHECK] == 0


def test_wrong_db_bits_run_the_queue_that_they_name() -> None:
    """Before the series the EP latched bit b + 1: six runs a doorbell of QP 0, of four QPs."""
    system = spaced([15] * 4, latched=True, reposts=True)
    wrong = tuple(
        Queue(q.bit, q.source, q.entries, q.rx_max_entry, db_bits=2 << q.bit) for q in system.queues
    )
    changed = replace(system, queues=wrong)
    outcome = simulate(changed, 1, "reference")
    assert sum(sum(q.useful) + sum(q.empty) for q in outcome.queues) == 6 * PACKETS
    assert outcome.queues[1].empty[Cause.RACE_CHECK] == PACKETS

# SPDX-License-Identifier: BSD-3-Clause
"""The engines: against each other, the dispatch kernels, a log on file, and real kernels' runs.

`python tests/datapath/test_engine.py` writes the log anew, where the model was meant to change.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datapath_systems import contended_systems, crowded_systems, systems
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntbbench.datapath.engine import ENGINES, simulate, simulate_logged
from ntbbench.datapath.outcome import Happening, RunCause
from ntbbench.datapath.system import (
    Cost,
    Costs,
    Deferral,
    Draw,
    Flow,
    InterruptSource,
    Queue,
    System,
    Transmit,
)
from ntbbench.dispatch import engine

COMPILED = [engine for engine in ENGINES if engine != "reference"]
EXAMPLES = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@EXAMPLES
@given(system=systems() | contended_systems() | crowded_systems(), seed=st.integers(0, 2**64 - 1))
def test_engines_agree_event_by_event(system: System, seed: int) -> None:
    outcome, log = simulate_logged(system, seed, "reference", capacity=5000)
    for name in COMPILED:
        other, other_log = simulate_logged(system, seed, name, capacity=5000)
        for row, other_row in zip(log, other_log, strict=False):
            assert row == other_row, name
        assert len(log) == len(other_log), name
        assert outcome == other, name
        assert simulate(system, seed, name) == outcome, name  # not changed by being watched


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
        sources=tuple(InterruptSource(0, (mask,), kind) for mask in masks),
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
def test_without_costs_the_counts_are_the_dispatch_kernels(masks, rings) -> None:
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
        assert row.calls[RunCause.DOORBELL] == counts.qp_schedule_calls[queue]
        assert row.wakeups[RunCause.DOORBELL] == counts.qp_wakeups[queue]
        assert row.useful[RunCause.DOORBELL] == counts.qp_useful_wakeups[queue]
        assert row.empty[RunCause.DOORBELL] == counts.qp_spurious_wakeups[queue]
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
        sources=(InterruptSource(0, (1,)),),
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
    fallback = replace(system, sources=(InterruptSource(0, ((1 << 64) - 1,)),))
    outcome = simulate(system, 7)
    assert outcome.queues[0].packets > 500
    assert simulate(fallback, 7) == outcome


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
        sources=tuple(InterruptSource(0, (mask,)) for mask in callbacks),
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
def test_runs_a_doorbell_are_those_of_real_kernels(callbacks, latched, runs) -> None:
    """ntb-facts: measured on 6.1.192 and 6.12.95 with a client that does not repost."""
    outcome = simulate(spaced(callbacks, latched=latched, reposts=False), 1, "reference")
    assert outcome.interrupts == (PACKETS, *[0] * (len(callbacks) - 1))
    assert sum(sum(q.useful) + sum(q.empty) for q in outcome.queues) == runs * PACKETS
    assert outcome.queues[0].useful[RunCause.DOORBELL] == PACKETS
    assert outcome.queues[0].empty[RunCause.RACE_CHECK] == latched * PACKETS
    assert sum(q.missed + q.misrouted for q in outcome.queues) == 0


@pytest.mark.parametrize("callbacks", [[15] * 4, [1, 2, 4, 8]])
def test_a_repost_and_the_race_check_are_one_extra_run(callbacks: list[int]) -> None:
    """ntb_netdev reposts: the race check merges with that."""
    outcome = simulate(spaced(callbacks, latched=True, reposts=True), 1, "reference")
    rung = outcome.queues[0]
    assert rung.empty[RunCause.REPOST] == PACKETS
    assert rung.calls[RunCause.RACE_CHECK] == PACKETS
    assert rung.wakeups[RunCause.RACE_CHECK] == 0


def test_wrong_db_bits_run_the_queue_that_they_name() -> None:
    """Before the series the EP latched bit b + 1: six runs a doorbell of QP 0, of four QPs."""
    system = spaced([15] * 4, latched=True, reposts=True)
    wrong = tuple(
        Queue(q.bit, q.source, q.entries, q.rx_max_entry, db_bits=2 << q.bit) for q in system.queues
    )
    changed = replace(system, queues=wrong)
    outcome = simulate(changed, 1, "reference")
    assert sum(sum(q.useful) + sum(q.empty) for q in outcome.queues) == 6 * PACKETS
    assert outcome.queues[1].empty[RunCause.RACE_CHECK] == PACKETS


GOLDEN = Path(__file__).parents[1] / "data" / "datapath-events.txt"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("hrtimer_ps", [0, 25 * US, 70 * US])
def test_a_timer_wakes_a_stopped_queue(engine: str, hrtimer_ps: int) -> None:
    """An hrtimer its length after the stop, or a whole number of them; else a jiffy does."""
    system = replace(
        SYSTEM,
        flows=SYSTEM.flows[:1],
        queues=SYSTEM.queues[:1],
        transmit=replace(SYSTEM.transmit, tx_stop=6, hrtimer_ps=hrtimer_ps),
        end_ps=4000 * US,
    )
    _, log = simulate_logged(system, SEED, engine)
    stops = [row.time_ps for row in log if row.happening is Happening.STOP]
    wakes = [row.time_ps for row in log if row.happening is Happening.WAKE]
    pairs = list(zip(stops, wakes, strict=False))
    assert len(pairs) > 10
    for stop, wake in pairs:
        assert wake > stop
        assert (wake - stop if hrtimer_ps else wake) % (hrtimer_ps or system.jiffy_ps) == 0


SEED = 20260306
SYSTEM = System(
    receiver_cpus=2,
    sender_cpus=2,
    flows=(
        Flow(0, 2, 1500, "closed", window=3, ack_ps=4 * US),
        Flow(1, 3, 9000, "open", gap_ps=9 * US, gap_draw=Draw("exponential"), backlog=2),
        Flow(1, 2, 64, "back-to-back", start_ps=50 * US),
    ),
    queues=(Queue(0, 0, 8, 8, 1), Queue(1, 1, 12, 4, 2), Queue(3, 1, 12, 12, 8)),
    sources=(InterruptSource(0, (0b1011,)), InterruptSource(1, (0b1011,))),
    end_ps=400 * US,
    costs=Costs(
        send=Cost(US, 300_000, Draw("uniform", 100_000)),
        link_ps=US,
        hardirq_ps=US,
        db_read_ps=US // 2,
        db_clear_ps=US // 4,
        scan_ps=US // 10,
        pass_ps=US // 5,
        tasklet_ps=US // 5,
        spin_ps=US // 2,
        wakeup_ps=3 * US,
        copy=Cost(2 * US, 500_000, Draw("exponential")),
    ),
    transmit=Transmit(tx_stop=3, tx_start=5),
    deferral=Deferral(2 * US, Draw("uniform", 500_000), US // 2),
    jiffy_ps=100 * US,
)


def event_log(engine: str) -> str:
    outcome, log = simulate_logged(SYSTEM, SEED, engine)
    lines = [f"{r.time_ps:>10} {r.happening.name} {r.cpu} {r.index} {r.value}" for r in log]
    return "\n".join([*lines, f"events {outcome.events}", f"{outcome.queues[1]}", ""])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_event_log_is_the_one_on_file(engine: str) -> None:
    assert event_log(engine) == GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(event_log("reference"))

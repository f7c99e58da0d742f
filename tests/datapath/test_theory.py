# SPDX-License-Identifier: BSD-3-Clause
"""Limits with closed forms: queues of one server, Little's law, where the time goes.

References: L. Kleinrock, Queueing Systems I (1975), chapters 3 and 5; S. Fuhrmann, R. Cooper,
Stochastic decompositions in the M/G/1 queue with generalized vacations, Operations Research 33
(1985).
"""

import math
from dataclasses import replace

import pytest
from datapath_systems import latency_bucket_low

from ntbbench.datapath.engine import simulate, simulate_logged
from ntbbench.datapath.outcome import CpuTime, Happening, SystemOutcome
from ntbbench.datapath.system import (
    Cost,
    Costs,
    Draw,
    Flow,
    InterruptSource,
    Queue,
    System,
    Transmit,
)

US = 10**6
GAP = 10 * US
SECOND = 10**12
EXPONENTIAL = Draw("exponential")
ENTRIES = 1 << 16


def single_server(copy: Cost, *, end_ps: int, gap: int = GAP, **costs: int) -> System:
    """Packets come at random and queue for one CPU, which copies them; nothing else takes time."""
    return System(
        receiver_cpus=1,
        sender_cpus=1,
        flows=(Flow(0, 1, 1, "open", gap_ps=gap, gap_draw=EXPONENTIAL, backlog=1),),
        queues=(Queue(0, 0, ENTRIES, ENTRIES),),
        sources=(InterruptSource(0, (1,)),),
        end_ps=end_ps,
        warmup_ps=end_ps // 20,
        costs=Costs(copy=copy, **costs),
        transmit=Transmit(tx_stop=0),
        reposts=False,
    )


def mean_latency(outcome: SystemOutcome) -> float:
    """In picoseconds."""
    return outcome.latency_sum_ps / sum(packets for _, packets in outcome.latency)


def quantile(outcome: SystemOutcome, share: float) -> float:
    """In picoseconds."""
    left = share * sum(packets for _, packets in outcome.latency)
    for bucket, packets in outcome.latency:
        left -= packets
        if left <= 0:
            return latency_bucket_low(bucket) * 1000.0
    raise AssertionError


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_exponential_service_is_m_m_1(load: float) -> None:
    service = round(load * GAP)
    outcome = simulate(single_server(Cost(service, draw=EXPONENTIAL), end_ps=20 * SECOND), 1)
    sojourn = service / (1 - load)
    assert mean_latency(outcome) == pytest.approx(sojourn, rel=0.01)
    for share in (0.5, 0.9, 0.99):  # the sojourn time is exponential too
        assert quantile(outcome, share) == pytest.approx(-sojourn * math.log1p(-share), rel=0.02)


@pytest.mark.parametrize(
    ("draw", "variance"), [(Draw(), 0.0), (Draw("uniform", 500_000), 0.25 / 3)]
)
def test_other_service_is_pollaczek_and_khinchine(draw: Draw, variance: float) -> None:
    """M/D/1, and M/G/1 with service between half and one and a half times the mean."""
    load = 0.7
    service = round(load * GAP)
    outcome = simulate(single_server(Cost(service, draw=draw), end_ps=20 * SECOND), 2)
    wait = load * service * (1 + variance) / (2 * (1 - load))
    assert mean_latency(outcome) == pytest.approx(service + wait, rel=0.01)


@pytest.mark.parametrize("seed", [3, 4])
def test_a_tasklets_overhead_is_a_vacation(seed: int) -> None:
    """M/D/1 where the server goes away for D before each run.

    A run that follows an idle CPU begins with the packet that woke it. A run that follows another,
    because a doorbell came during that, begins with none; the CPU idles after a run during which
    none came. The number in the system is that of M/D/1 plus what there is on average while the
    server is away or idle (Fuhrmann and Cooper).
    """
    service, away = 5 * US, 3 * US
    system = single_server(Cost(service), end_ps=20 * SECOND, tasklet_ps=away)
    outcome = simulate(system, seed)
    rate, load = 1 / GAP, service / GAP
    no_arrival = math.exp(-rate * away)
    idles_after_first = no_arrival * math.exp(-rate * service)
    further = (1 - idles_after_first) / no_arrival  # runs that begin with none, between two idles
    absent = GAP + (1 + further) * away
    waiting = (away + (1 + further) * rate * away**2 / 2) / absent
    md1 = service + load * service / (2 * (1 - load))
    assert mean_latency(outcome) == pytest.approx(md1 + waiting / rate, rel=0.01)
    packets = sum(packets for _, packets in outcome.latency)
    runs = sum(outcome.queues[0].useful) + sum(outcome.queues[0].empty)
    cycles = (1 - load) * packets * GAP / absent  # the server is idle or away 1 - load of the time
    assert runs == pytest.approx((1 + further) * cycles, rel=0.01)


def test_littles_law_and_utilisation() -> None:
    end = SECOND // 4
    system = replace(single_server(Cost(6 * US, draw=EXPONENTIAL), end_ps=end), warmup_ps=0)
    outcome, log = simulate_logged(system, 5, "general", capacity=300_000)
    area, number, since = 0, 0, 0
    for row in log:
        if row.happening in (Happening.OFFER, Happening.DELIVER):
            area += number * (row.time_ps - since)
            since = row.time_ps
            number += 1 if row.happening is Happening.OFFER else -1
    packets = outcome.flows[0].delivered
    assert outcome.flows[0].offered == packets + outcome.in_system
    assert number == outcome.in_system
    assert area / since == pytest.approx(packets / end * mean_latency(outcome), rel=1e-3)
    assert 1 - outcome.idle_ps(0) / end == pytest.approx(6 / 10, rel=0.02)


def loaded(kind: str, queues: int, affinity: str) -> System:
    """Queues with a back-to-back or closed flow each; all interrupts on CPU 0, or one a CPU."""
    return System(
        receiver_cpus=queues,
        sender_cpus=queues,
        flows=tuple(
            Flow(n, queues + n, 65522, kind, window=8, ack_ps=20 * US) for n in range(queues)
        ),
        queues=tuple(Queue(n, n, 60, 60, 1 << n) for n in range(queues)),
        sources=tuple(
            InterruptSource(n if affinity == "spread" else 0, (1 << n,)) for n in range(queues)
        ),
        end_ps=SECOND // 2,
        warmup_ps=SECOND // 10 + 1,
        costs=Costs(
            send=Cost(2 * US, 100_000),
            link_ps=US,
            hardirq_ps=2 * US,
            scan_ps=US // 10,
            pass_ps=US // 3,
            tasklet_ps=US // 2,
            copy=Cost(2 * US, 300_000),
        ),
        jiffy_ps=10**9,
    )


@pytest.mark.parametrize("kind", ["closed", "back-to-back"])
@pytest.mark.parametrize("affinity", ["single", "spread"])
def test_time_is_conserved_and_a_busy_server_does_not_idle(kind: str, affinity: str) -> None:
    system = loaded(kind, 4, affinity)
    outcome = simulate(system, 1)
    copy = system.costs.copy.of_bytes(65522)
    for cpu, kinds in enumerate(outcome.cpu_ps):
        assert min(kinds) >= 0
        assert 0 <= outcome.idle_ps(cpu) <= outcome.interval_ps
    useful = sum(kinds[CpuTime.USEFUL_SOFTIRQ] for kinds in outcome.cpu_ps)
    packets = sum(queue.packets for queue in outcome.queues)
    assert copy * (packets - 4) <= useful <= 1.05 * copy * (packets + 4)
    sent = sum(flow.sent for flow in outcome.flows) * system.costs.send.of_bytes(65522)
    sending = sum(kinds[CpuTime.SENDER] for kinds in outcome.cpu_ps)
    assert sending == pytest.approx(sent, rel=1e-3)
    if affinity == "single":
        assert outcome.idle_ps(0) == 0

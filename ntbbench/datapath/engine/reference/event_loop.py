# SPDX-License-Identifier: BSD-3-Clause
"""Time: the events of a machine in order, up to the warm-up and up to the end."""

import numpy as np

from ntbbench.datapath.engine.engine_plan import SLOT_POLL, SLOT_WORK, Plan, first_events
from ntbbench.datapath.engine.reference.cpus import account, advance, cpu_event, poll_event
from ntbbench.datapath.engine.reference.machine import Machine, QueueState, Step
from ntbbench.datapath.engine.reference.receiver import dma_event
from ntbbench.datapath.engine.reference.sender import (
    flow_event,
    link_event,
    timer_event,
    work_event,
)
from ntbbench.datapath.engine.tally import LATENCY_BUCKETS, Row, Run, Totals
from ntbbench.datapath.outcome import CpuTime


def run(
    plan: Plan, seed: int, log_capacity: int = 0, machine: type[Machine] = Machine
) -> tuple[Run, list[Row]]:
    """Simulate a plan; return its counts and up to `log_capacity` rows of the event log.

    `machine` may keep its events in another queue (benches/datapath.py).
    """
    m = machine(plan, seed, log_capacity)
    for slot, time in first_events(plan):
        m.set(slot, time)
    go_until(m, plan.system.warmup_ps)
    before = totals(m)
    go_until(m, plan.system.end_ps)
    return Run(before, totals(m), m.events, in_system(m)), m.log_rows


def go_until(m: Machine, until: int) -> None:
    """Handle every event before `until`, then book all CPU time up to there."""
    while (slot := m.pop(until)) >= 0:
        m.events += 1
        handle(m, slot)
        while m.to_advance:
            cpu_number = m.to_advance.popleft()
            m.cpus[cpu_number].queued = False
            advance(m, cpu_number)
    m.now = until
    for cpu in m.cpus:
        account(m, cpu)
        cpu.ps[CpuTime.USEFUL_SOFTIRQ if cpu.got else CpuTime.EMPTY_SOFTIRQ] += cpu.run_ps
        cpu.run_ps = 0


def handle(m: Machine, slot: int) -> None:
    """Handle the event of a slot."""
    plan = m.plan
    if slot == SLOT_POLL:
        poll_event(m)
    elif slot == SLOT_WORK:
        work_event(m)
    elif slot < plan.slot_link:
        timer_event(m, slot - plan.slot_timer)
    elif slot < plan.slot_dma:
        link_event(m, slot - plan.slot_link)
    elif slot < plan.slot_flow:
        dma_event(m, slot - plan.slot_dma)
    elif slot < plan.slot_cpu:
        flow_event(m, slot - plan.slot_flow)
    else:
        cpu_event(m, slot - plan.slot_cpu)


def totals(m: Machine) -> Totals:
    """Return all counts so far, in the arrays that the compiled engines fill."""
    latency = np.zeros(LATENCY_BUCKETS, np.int64)
    for bucket, packets in m.latency.items():
        latency[bucket] = packets
    return Totals(
        queues=np.array([queue_row(queue) for queue in m.queues], np.int64),
        flows=np.array([(f.offered, f.sent, f.delivered, f.dropped) for f in m.flows], np.int64),
        cpus=np.array([(*cpu.ps, cpu.left_to_ksoftirqd) for cpu in m.cpus], np.int64),
        interrupts=np.array(m.interrupts, np.int64),
        latency=latency,
        latency_sum_ps=m.latency_sum,
        scan_iterations=m.scan_iterations,
    )


def queue_row(queue: QueueState) -> list[int]:
    """Return the counts of a queue in the order of QueueCounts."""
    causes = [*queue.calls, *queue.wakeups, *queue.useful, *queue.empty]
    rest = (queue.packets, queue.missed, queue.misrouted, queue.wiped)
    sender = (queue.stops, queue.wakes, queue.timer, queue.ring_full)
    return [queue.rings, *causes, *rest, *sender]


def in_system(m: Machine) -> int:
    """Return the packets between the socket and the client."""
    sending = sum(cpu.task.step == Step.SEND for cpu in m.cpus)
    waiting = sum(len(flow.backlog) for flow in m.flows)
    return sending + waiting + sum(queue.used for queue in m.queues)

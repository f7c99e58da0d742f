# SPDX-License-Identifier: BSD-3-Clause
"""From the arrays that an engine counts into to an Outcome."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntbbench.datapath.engine.engine_plan import SLOT_BITS, Plan
from ntbbench.datapath.outcome import (
    LATENCY_UNIT_PS,
    Cause,
    CpuTime,
    FlowCounts,
    Happening,
    Outcome,
    QueueCounts,
    latency_bucket,
)

LATENCY_BUCKETS = latency_bucket((1 << 64 - SLOT_BITS) // LATENCY_UNIT_PS) + 1
CAUSES = len(Cause)
QUEUE_COUNTS = 1 + 4 * CAUSES + 8  # columns: the fields of QueueCounts in order
FLOW_COUNTS = 4  # columns: the fields of FlowCounts
CPU_COUNTS = len(CpuTime) + 1  # columns: CpuTime, then ksoftirqd

I64Array = NDArray[np.int64]
Row = tuple[int, Happening, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """All counts since time 0: int64[Q, QUEUE_COUNTS], [F, FLOW_COUNTS], [C, CPU_COUNTS], [S],
    [LATENCY_BUCKETS], and two integers.
    """

    queues: I64Array
    flows: I64Array
    cpus: I64Array
    interrupts: I64Array
    latency: I64Array
    latency_sum_ps: int
    scan_iterations: int


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The counts at warm-up and at the end; events and packets in the system at the end."""

    before: Totals
    after: Totals
    events: int
    in_system: int


def outcome(plan: Plan, run: Run) -> Outcome:
    """Return what was counted between warm-up and end; CPUs that were left out did nothing."""
    before, after = run.before, run.after
    rows = dict(zip(plan.cpus, (after.cpus - before.cpus).tolist(), strict=True))
    idle = [0] * CPU_COUNTS
    cpus = [rows.get(cpu, idle) for cpu in range(plan.system.cpus)]
    buckets = np.flatnonzero(after.latency != 0)  # eight times as fast as without the "!= 0"
    packets = after.latency[buckets] - before.latency[buckets]
    buckets, packets = buckets[packets > 0], packets[packets > 0]
    return Outcome(
        interval_ps=plan.system.end_ps - plan.system.warmup_ps,
        events=run.events,
        interrupts=tuple((after.interrupts - before.interrupts).tolist()),
        scan_iterations=after.scan_iterations - before.scan_iterations,
        queues=tuple(queue_counts(row) for row in (after.queues - before.queues).tolist()),
        flows=tuple(FlowCounts(*row) for row in (after.flows - before.flows).tolist()),
        cpu_ps=tuple(tuple(row[:-1]) for row in cpus),
        ksoftirqd=tuple(row[-1] for row in cpus),
        latency=tuple(zip(buckets.tolist(), packets.tolist(), strict=True)),
        latency_sum_ps=after.latency_sum_ps - before.latency_sum_ps,
        in_system=run.in_system,
    )


def queue_counts(row: list[int]) -> QueueCounts:
    """Return the record of a row of Totals.queues."""
    rings, rest = row[0], row[1 + 4 * CAUSES :]
    by_cause = [tuple(row[1 + CAUSES * n : 1 + CAUSES * (n + 1)]) for n in range(4)]
    calls, wakeups, useful, empty = by_cause
    return QueueCounts(rings, calls, wakeups, useful, empty, *rest)

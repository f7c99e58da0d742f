# SPDX-License-Identifier: BSD-3-Clause
"""A checked System as the engines want it, their random draws, and the counts that they give back.

The slots are what decides between events of one instant. Each has at most one event pending:

    the poll's expiry, the sender's work item, then by queue its timer, its link, its DMA channel,
    then by flow its next packet or acknowledgement, then by CPU the end of its step

An event's key is its time and, below it, its slot; the least key comes first. So data arrives
before a CPU goes on at the same instant, and lower numbers come before higher ones.

Durations are drawn in integers alone, so that no platform's libm has a say; the exponential inverts
its distribution with a table of logarithms. Reference: G. Steele, D. Lea, C. Flood, Fast Splittable
Pseudorandom Number Generators, OOPSLA 2014 (splitmix64).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ntbbench.datapath.outcome import (
    LATENCY_UNIT_PS,
    CpuTime,
    FlowCounts,
    Happening,
    QueueCounts,
    RunCause,
    SystemOutcome,
    latency_bucket,
)
from ntbbench.datapath.system import Draw, Flow, System
from ntbbench.ntb.vectormap import bits_of

SLOT_BITS = 11
TIME_END = (1 << 64 - SLOT_BITS) - 1  # no event is later; checks.TIME_MAX_PS is below
NONE = (1 << 64) - 1  # the key of a slot without an event
PPM = 10**6

SLOT_POLL = 0
SLOT_WORK = 1
SLOT_QUEUES = 2
CLOSED, OPEN, TIMES, BACK_TO_BACK = range(4)
KIND_OF_NAME = {"closed": CLOSED, "open": OPEN, "times": TIMES, "back-to-back": BACK_TO_BACK}


@dataclass(frozen=True, slots=True)
class DrawnDuration:
    """A duration to draw: uniform in low .. low + width - 1, or exponential, or just `mean`."""

    mean: int
    kind: int  # 0 constant, 1 exponential, 2 uniform
    low: int
    width: int

    @classmethod
    def of(cls, mean: int, draw: Draw) -> "DrawnDuration":
        """Resolve a mean and how it varies; what varies by nothing is constant."""
        spread = mean * draw.spread_ppm // PPM
        kind = ("constant", "exponential", "uniform").index(draw.kind)
        if not mean or (kind == 2 and not spread):
            kind = 0
        return cls(mean, kind, mean - spread, 2 * spread + 1)


NOTHING = DrawnDuration(0, 0, 0, 1)


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """One flow: its CPU's index in `Plan.cpus`, and what each of its packets costs."""

    flow: Flow
    kind: int
    cpu: int
    send: DrawnDuration
    copy: DrawnDuration
    channel: DrawnDuration
    gap: DrawnDuration


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source: its CPU's index, and its callbacks as masks of queue indices."""

    cpu: int
    callbacks: tuple[int, ...]
    section_ps: int  # how long its handler holds ctx_lock
    scans: bool  # whether it scans at all


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine needs of a System; slot_*: the first slot of each kind."""

    system: System
    cpus: tuple[int, ...]  # that can ever do something, ascending; engines number CPUs by this list
    flows: tuple[FlowPlan, ...]
    sources: tuple[SourcePlan, ...]
    tasklet: DrawnDuration
    work: DrawnDuration
    poll_cpu: int
    softirq_jiffies: int  # max_time_ps, rounded up
    slot_timer: int
    slot_link: int
    slot_dma: int
    slot_flow: int
    slot_cpu: int
    slots: int


def plan(system: System) -> Plan:
    """Resolve a System that `check_system()` has accepted."""
    poll_cpu = system.poll.cpu if system.poll else 0
    used = {flow.cpu for flow in system.flows} | {source.cpu for source in system.sources}
    cpus = tuple(sorted(used | ({poll_cpu} if system.poll else set())))
    index = {cpu: number for number, cpu in enumerate(cpus)}
    queues, flows = len(system.queues), len(system.flows)
    slot_flow = SLOT_QUEUES + 3 * queues
    deferral = system.deferral
    return Plan(
        system=system,
        cpus=cpus,
        flows=tuple(_plan_flow(system, flow, index[flow.cpu]) for flow in system.flows),
        sources=tuple(_plan_source(system, number, index) for number in range(len(system.sources))),
        tasklet=DrawnDuration.of(system.costs.tasklet_ps, system.costs.tasklet_draw),
        work=DrawnDuration.of(deferral.work_ps, deferral.work_draw) if deferral else NOTHING,
        poll_cpu=index.get(poll_cpu, 0),
        softirq_jiffies=-(-system.softirq.max_time_ps // system.jiffy_ps),
        slot_timer=SLOT_QUEUES,
        slot_link=SLOT_QUEUES + queues,
        slot_dma=SLOT_QUEUES + 2 * queues,
        slot_flow=slot_flow,
        slot_cpu=slot_flow + flows,
        slots=slot_flow + flows + len(cpus),
    )


def first_events(plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield the slots that are pending at first, and when they are due."""
    system = plan.system
    if system.poll is not None:
        yield SLOT_POLL, (system.poll.jiffies + 1) * system.jiffy_ps
    for number, planned in enumerate(plan.flows):
        flow = planned.flow
        times = flow.times_ps[:1] if planned.kind == TIMES else (flow.start_ps,)
        yield from ((plan.slot_flow + number, time) for time in times)


def _plan_flow(system: System, flow: Flow, cpu: int) -> FlowPlan:
    """Work out what each packet of a flow costs."""
    costs = system.costs
    channel = costs.channel
    return FlowPlan(
        flow=flow,
        kind=KIND_OF_NAME[flow.kind],
        cpu=cpu,
        send=DrawnDuration.of(costs.send.of_bytes(flow.size), costs.send.draw),
        copy=DrawnDuration.of(costs.copy.of_bytes(flow.size), costs.copy.draw),
        channel=DrawnDuration.of(channel.of_bytes(flow.size), channel.draw) if channel else NOTHING,
        gap=DrawnDuration.of(flow.gap_ps, flow.gap_draw),
    )


def _plan_source(system: System, number: int, index: dict[int, int]) -> SourcePlan:
    """Turn a source's callbacks into masks of queue indices, and time them."""
    source, costs = system.sources[number], system.costs
    bits = [queue.bit for queue in system.queues]
    masks = tuple(
        sum(1 << n for n, bit in enumerate(bits) if mask >> bit & 1) for mask in source.callbacks
    )
    scans = source.kind == "event"
    iterations = sum(len(bits_of(mask)) for mask in masks)
    section = len(masks) * costs.db_read_ps + iterations * costs.scan_ps if scans else 0
    return SourcePlan(index[source.cpu], masks, section, scans)


MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
LOG_BITS = 26  # binary places of a logarithm
TABLE_BITS = 10  # entries of the table, a power of two; linear between them
FRACTION_BITS = 16


def mix(word: int) -> int:
    """Return the finalizer of splitmix64."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & MASK
    return word ^ word >> 31


def stream(seed: int, number: int) -> int:
    """Return the first state of stream `number` (from 0) of a seed."""
    return mix(mix(seed) + GOLDEN * (number + 1) & MASK)


def step(state: int) -> int:
    """Return the next state; its `mix()` is the next random u64."""
    return state + GOLDEN & MASK


@cache
def log_table() -> tuple[int, ...]:
    """Return ln(1 + i / 2**TABLE_BITS) for i = 0 .. 2**TABLE_BITS, with LOG_BITS binary places."""
    with localcontext() as context:
        context.prec = 40
        scale, size = Decimal(1 << LOG_BITS), 1 << TABLE_BITS
        return tuple(round((1 + Decimal(i) / size).ln() * scale) for i in range(size + 1))


def minus_log(word: int) -> int:
    """Return -ln(word / 2**64) with LOG_BITS binary places; of 0 that of 1."""
    table = log_table()
    word = word or 1
    exponent = word.bit_length()
    mantissa = word << 64 - exponent & MASK >> 1
    entry = mantissa >> 63 - TABLE_BITS
    fraction = mantissa >> 63 - TABLE_BITS - FRACTION_BITS & (1 << FRACTION_BITS) - 1
    between = (table[entry + 1] - table[entry]) * fraction >> FRACTION_BITS
    return (65 - exponent) * table[-1] - table[entry] - between


def draw(duration: DrawnDuration, word: int) -> int:
    """Return the duration in picoseconds that a random u64 gives."""
    if duration.kind == 1:
        return duration.mean * minus_log(word) >> LOG_BITS
    if duration.kind == 2:
        return duration.low + (duration.width * (word >> 32) >> 32)
    return duration.mean


LATENCY_BUCKETS = latency_bucket((1 << 64 - SLOT_BITS) // LATENCY_UNIT_PS) + 1
CAUSES = len(RunCause)
QUEUE_COUNTS = 1 + 4 * CAUSES + 8  # columns: the fields of QueueCounts in order
FLOW_COUNTS = 4  # columns: the fields of FlowCounts
CPU_COUNTS = len(CpuTime) + 1  # columns: CpuTime, then ksoftirqd

I64Array = NDArray[np.int64]
Row = tuple[int, Happening, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class EngineTotals:
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
class EngineRun:
    """The counts at warm-up and at the end; events and packets in the system at the end."""

    before: EngineTotals
    after: EngineTotals
    events: int
    in_system: int


def outcome(plan: Plan, run: EngineRun) -> SystemOutcome:
    """Return what was counted between warm-up and end; CPUs that were left out did nothing."""
    before, after = run.before, run.after
    rows = dict(zip(plan.cpus, (after.cpus - before.cpus).tolist(), strict=True))
    idle = [0] * CPU_COUNTS
    cpus = [rows.get(cpu, idle) for cpu in range(plan.system.cpus)]
    buckets = np.flatnonzero(after.latency != 0)  # eight times as fast as without the "!= 0"
    packets = after.latency[buckets] - before.latency[buckets]
    buckets, packets = buckets[packets > 0], packets[packets > 0]
    return SystemOutcome(
        interval_ps=plan.system.end_ps - plan.system.warmup_ps,
        events=run.events,
        interrupts=tuple((after.interrupts - before.interrupts).tolist()),
        scan_iterations=after.scan_iterations - before.scan_iterations,
        queues=tuple(_queue_counts(row) for row in (after.queues - before.queues).tolist()),
        flows=tuple(FlowCounts(*row) for row in (after.flows - before.flows).tolist()),
        cpu_ps=tuple(tuple(row[:-1]) for row in cpus),
        ksoftirqd=tuple(row[-1] for row in cpus),
        latency=tuple(zip(buckets.tolist(), packets.tolist(), strict=True)),
        latency_sum_ps=after.latency_sum_ps - before.latency_sum_ps,
        in_system=run.in_system,
    )


def _queue_counts(row: list[int]) -> QueueCounts:
    by_cause = [tuple(row[1 + CAUSES * n : 1 + CAUSES * (n + 1)]) for n in range(4)]
    calls, wakeups, useful, empty = by_cause
    return QueueCounts(row[0], calls, wakeups, useful, empty, *row[1 + 4 * CAUSES :])

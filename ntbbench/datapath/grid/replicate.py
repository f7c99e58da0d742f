# SPDX-License-Identifier: BSD-3-Clause
"""One replication: from a point and a number to its record; what runs on every worker."""

import time
from dataclasses import dataclass

import msgspec

from ntbbench.core.units import PS
from ntbbench.datapath.engine import simulate
from ntbbench.datapath.grid.histogram import encoded, histogram_of, quantiles
from ntbbench.datapath.outcome import Cause, CpuTime, Outcome
from ntbbench.datapath.records import CPU_KINDS, Counts, Replication
from ntbbench.datapath.scenario.grid_point import PointSpec
from ntbbench.datapath.scenario.resolve import engine_seed, resolve

BITS_A_BYTE = 8
CHUNK_SECONDS = 0.5  # an end waits for what has begun, and a bar and savings for what ends


@dataclass(frozen=True)
class Chunk:
    """Replications of one point that are run one after the other."""

    point: int  # its place in the grid
    spec: PointSpec
    replications: tuple[int, ...]  # their numbers
    engine: str


def run_packed(chunk: Chunk) -> bytes:
    """Return the records of a chunk's replications, in order, for `unpacked`.

    After CHUNK_SECONDS the rest is left: who asked hands it out again. As MessagePack, for the
    parent reads pickles a quarter as fast.
    """
    found = []
    end = time.monotonic() + CHUNK_SECONDS
    for number in chunk.replications:
        found.append(replicate(chunk.spec, number, chunk.engine))
        if time.monotonic() >= end:
            break
    return msgspec.msgpack.encode(found)


def unpacked(runs: bytes) -> list[Replication]:
    """Return the records of `run_packed`."""
    return msgspec.msgpack.decode(runs, type=list[Replication])


def replicate(spec: PointSpec, number: int, engine: str) -> Replication:
    """Simulate one replication.

    Raises
    ------
    InputError : the engines refuse the system.
    """
    outcome = simulate(resolve(spec, number), engine_seed(spec, number), engine=engine)
    counts, histogram = _counts(outcome), histogram_of(outcome.latency)
    seconds = outcome.interval_ps / PS
    return Replication(
        replication=number,
        throughput_bps=counts.delivered * spec.payload * BITS_A_BYTE / seconds,
        **quantiles(histogram),
        cpu_seconds=_cpu_seconds(spec, outcome),
        sender_cpu_seconds=sum(row[CpuTime.SENDER] for row in outcome.cpu_ps) / PS,
        counts=counts,
        wakeups_by_cause=_by_cause(outcome, "wakeups"),
        empty_runs_by_cause=_by_cause(outcome, "empty"),
        latencies=encoded(histogram),
    )


def _cpu_seconds(spec: PointSpec, outcome: Outcome) -> dict[str, float]:
    """Return the time of the receiver's CPUs by kind; together they are all of it."""
    cpus = range(spec.scenario.receiver.cpus)
    spent = {
        kind: sum(outcome.cpu_ps[cpu][CpuTime[kind.upper()]] for cpu in cpus)
        for kind in CPU_KINDS
        if kind != "idle"
    }
    spent["idle"] = sum(map(outcome.idle_ps, cpus))
    return {kind: time / PS for kind, time in spent.items()}


def _by_cause(outcome: Outcome, name: str) -> dict[str, int]:
    return {
        cause.name.lower(): sum(getattr(queue, name)[cause] for queue in outcome.queues)
        for cause in Cause
    }


def _counts(outcome: Outcome) -> Counts:
    """Return the counts of docs/metrics.md, summed over the queues."""
    queues, doorbell = outcome.queues, Cause.DOORBELL
    calls = sum(queue.calls[doorbell] for queue in queues)
    wakeups = sum(queue.wakeups[doorbell] for queue in queues)
    alike = ("packets", "rings", "missed", "misrouted", "wiped", "ring_full")
    return Counts(
        **{name: sum(getattr(queue, name) for queue in queues) for name in alike},
        delivered=sum(flow.delivered for flow in outcome.flows),
        interrupts=sum(outcome.interrupts),
        scan_iterations=outcome.scan_iterations,
        schedule_calls=calls,
        wakeups=wakeups,
        merged=calls - wakeups,
        spurious_wakeups=sum(queue.empty[doorbell] for queue in queues),
        useful_wakeups=sum(queue.useful[doorbell] for queue in queues),
        race_check_runs=sum(queue.empty[Cause.RACE_CHECK] for queue in queues),
        drops=sum(flow.dropped for flow in outcome.flows),
        ring_full_stops=sum(queue.stops for queue in queues),
        ksoftirqd=sum(outcome.ksoftirqd),
    )

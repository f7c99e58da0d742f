# SPDX-License-Identifier: BSD-3-Clause
"""One replication: from a point and a number to its record; what runs on every worker."""

import time
from dataclasses import dataclass

import msgspec

from ntbbench.core.units import PS
from ntbbench.datapath.engine import simulate
from ntbbench.datapath.grid.histogram import encoded, histogram_of, quantiles
from ntbbench.datapath.outcome import Cause, CpuTime, Outcome
from ntbbench.datapath.records import Counts, Replication
from ntbbench.datapath.scenario.grid_point import PointSpec
from ntbbench.datapath.scenario.resolve import engine_seed, resolve

BITS_A_BYTE = 8
CHUNK_SECONDS = 0.5  # an end waits for what has begun, and a bar and savings for what ends
KINDS = {
    "hardirq": CpuTime.HARDIRQ,
    "useful_softirq": CpuTime.SOFTIRQ_USEFUL,
    "empty_softirq": CpuTime.SOFTIRQ_EMPTY,
    "spinning": CpuTime.SPINNING,
    "kthread": CpuTime.KTHREAD,
}


@dataclass(frozen=True)
class Chunk:
    """Replications of one point that are run one after the other.

    Parameters
    ----------
    point : its place in the grid.
    spec : the point.
    replications : their numbers.
    engine : of ntbbench.datapath.engine; all give the same.
    """

    point: int
    spec: PointSpec
    replications: tuple[int, ...]
    engine: str


def run_chunk(chunk: Chunk) -> list[Replication]:
    """Return the records of a chunk's replications, in order.

    After CHUNK_SECONDS the rest is left: who asked hands it out again.
    """
    found = []
    end = time.monotonic() + CHUNK_SECONDS
    for number in chunk.replications:
        found.append(replicate(chunk.spec, number, chunk.engine))
        if time.monotonic() >= end:
            break
    return found


def run_packed(chunk: Chunk) -> bytes:
    """Return what `run_chunk` does, as MessagePack: the parent reads pickles a quarter as fast."""
    return msgspec.msgpack.encode(run_chunk(chunk))


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
    return record_of(spec, number, outcome)


def record_of(spec: PointSpec, number: int, outcome: Outcome) -> Replication:
    """Return the record of an outcome; throughput is the payload that reached the client."""
    delivered = sum(flow.delivered for flow in outcome.flows)
    seconds = outcome.interval_ps / PS
    histogram = histogram_of(outcome.latency)
    return Replication(
        replication=number,
        throughput_bps=delivered * spec.payload * BITS_A_BYTE / seconds,
        **quantiles(histogram),
        cpu_seconds=cpu_seconds(spec, outcome),
        sender_cpu_seconds=sum(row[CpuTime.SENDER] for row in outcome.cpu_ps) / PS,
        counts=counts_of(outcome),
        wakeups_by_cause=by_cause(outcome, "wakeups"),
        empty_runs_by_cause=by_cause(outcome, "empty"),
        latencies=encoded(histogram),
    )


def cpu_seconds(spec: PointSpec, outcome: Outcome) -> dict[str, float]:
    """Return the time of the receiver's CPUs by kind; together they are all of it."""
    cpus = range(spec.scenario.receiver.cpus)
    found = {kind: sum(outcome.cpu_ps[cpu][at] for cpu in cpus) for kind, at in KINDS.items()}
    found["idle"] = sum(map(outcome.idle_ps, cpus))
    return {kind: spent / PS for kind, spent in found.items()}


def by_cause(outcome: Outcome, name: str) -> dict[str, int]:
    """Return one of the counts that queues keep by cause, summed over them."""
    return {
        cause.name.lower(): sum(getattr(queue, name)[cause] for queue in outcome.queues)
        for cause in Cause
    }


def counts_of(outcome: Outcome) -> Counts:
    """Return the counts of ntb-facts section 6, summed over the queues."""
    queues, doorbell = outcome.queues, Cause.DOORBELL
    calls = sum(queue.calls[doorbell] for queue in queues)
    wakeups = sum(queue.wakeups[doorbell] for queue in queues)
    return Counts(
        packets=sum(queue.packets for queue in queues),
        delivered=sum(flow.delivered for flow in outcome.flows),
        rings=sum(queue.rings for queue in queues),
        interrupts=sum(outcome.interrupts),
        scan_iterations=outcome.scan_iterations,
        schedule_calls=calls,
        wakeups=wakeups,
        merged=calls - wakeups,
        spurious_wakeups=sum(queue.empty[doorbell] for queue in queues),
        useful_wakeups=sum(queue.useful[doorbell] for queue in queues),
        race_check_runs=sum(queue.empty[Cause.RACE_CHECK] for queue in queues),
        missed=sum(queue.missed for queue in queues),
        misrouted=sum(queue.misrouted for queue in queues),
        wiped=sum(queue.wiped for queue in queues),
        drops=sum(flow.dropped for flow in outcome.flows),
        ring_full_stops=sum(queue.stops for queue in queues),
        ring_full=sum(queue.ring_full for queue in queues),
        ksoftirqd=sum(outcome.ksoftirqd),
    )

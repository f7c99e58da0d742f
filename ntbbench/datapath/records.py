# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a simulation, from the replications to the report.

They are what the result files hold: a field here is a key of the JSON. Durations are float
seconds, rates bits a second; histograms count nanoseconds.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from ntbbench.dispatch.records import Caution

SIMULATION_SCHEMA = "ntbbench.simulation/1"
CPU_KINDS = ("hardirq", "useful_softirq", "empty_softirq", "spinning", "kthread", "idle")
Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]  # of time, or of bits a second
QUANTILES = {"p50": 50.0, "p99": 99.0, "p999": 99.9}


class Estimate(Struct, frozen=True, kw_only=True):
    """The mean over replications and its 95 % interval; None: of one replication."""

    mean: Amount
    low: Amount | None
    high: Amount | None


class Counts(Struct, frozen=True, kw_only=True):
    """What happened on the receiver while it was measured; see docs/metrics.md."""

    packets: Count  # consumed from the rings
    delivered: Count  # to the client: what throughput counts
    rings: Count
    interrupts: Count
    scan_iterations: Count
    schedule_calls: Count
    wakeups: Count
    merged: Count
    spurious_wakeups: Count
    useful_wakeups: Count
    race_check_runs: Count
    missed: Count
    misrouted: Count
    wiped: Count  # rings that the poll cleared without an event of their own
    drops: Count  # on a full socket buffer
    ring_full_stops: Count  # of a queue with fewer than tx_stop free entries
    ring_full: Count  # sends refused with -EAGAIN
    ksoftirqd: Count  # times a softirq left its list to ksoftirqd


class Replication(Struct, frozen=True, kw_only=True):
    """One run of one point; it depends on the point, the seed and the number alone."""

    replication: Count
    throughput_bps: Amount
    p50: Amount | None
    p99: Amount | None
    p999: Amount | None
    cpu_seconds: dict[str, Amount]  # by CPU_KINDS, the sum over the receiver's CPUs
    sender_cpu_seconds: Amount
    counts: Counts
    wakeups_by_cause: dict[str, Count]
    empty_runs_by_cause: dict[str, Count]
    latencies: str  # an HDR histogram of nanoseconds, V2, compressed, base64


class Latency(Struct, frozen=True, kw_only=True):
    """Quantiles of the time from the start of a packet's send to its delivery."""

    p50: Estimate | None
    p99: Estimate | None
    p999: Estimate | None
    histogram: str  # of all replications, as in Replication


class SimulationAxes(Struct, frozen=True, kw_only=True):
    """What was asked for one point."""

    queues: int
    dispatch: str  # fallback | per-vector | msi
    affinity: str  # single | spread
    protocol: str  # tcp | udp
    placement: str  # hash | balanced
    hardware: str


class OkSimulation(SimulationAxes, frozen=True, kw_only=True, tag_field="status", tag="ok"):
    """A point that was simulated.

    The counts are sums over the replications, exact for a seed; `estimates` holds
    them per replication.
    """

    payload: Count  # bytes of a packet that throughput counts
    throughput_bps: Estimate
    latency: Latency
    cpu_seconds: dict[str, Estimate]  # by CPU_KINDS
    sender_cpu_seconds: Estimate
    # The fields of Counts once more: a msgspec Struct has one base, and a test holds them equal.
    packets: Count
    delivered: Count
    rings: Count
    interrupts: Count
    scan_iterations: Count
    schedule_calls: Count
    wakeups: Count
    merged: Count
    spurious_wakeups: Count
    useful_wakeups: Count
    race_check_runs: Count
    missed: Count
    misrouted: Count
    wiped: Count
    drops: Count
    ring_full_stops: Count
    ring_full: Count
    ksoftirqd: Count
    amplification: Amount | None  # of the sums, as the two below; None: nothing was counted
    effective_amplification: Amount | None
    spurious_ratio: Amount | None
    wakeups_by_cause: dict[str, Count]
    empty_runs_by_cause: dict[str, Count]
    # Counts and ratios, a replication; None: a ratio that none of them has.
    estimates: dict[str, Estimate | None]
    replications: list[Replication]


class UnavailableSimulation(
    SimulationAxes, frozen=True, kw_only=True, tag_field="status", tag="unavailable"
):
    """A point that the device cannot give, with the reason that a user would see."""

    reason: str


SimulationPoint = OkSimulation | UnavailableSimulation


class SimulationResult(Struct, frozen=True, kw_only=True):
    """One grid: what was asked, on which machine, and every point of it in axis order."""

    schema: str = SIMULATION_SCHEMA
    environment: dict[str, Any]
    scenario: dict[str, Any]
    complete: bool = True  # False: interrupted; `simulate --resume` goes on
    points: list[SimulationPoint]
    warnings: list[Caution] = field(default_factory=list)

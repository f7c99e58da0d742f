# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a simulation, from the replications to the report.

They are what the result files hold: a field here is a key of the JSON. Durations are float
seconds, rates bits a second; histograms count nanoseconds.
"""

from typing import Any

from msgspec import Struct, field

from ntbbench.measure.records import Caution

SIMULATION_SCHEMA = "ntbbench.simulation/1"
CPU_KINDS = ("hardirq", "useful_softirq", "empty_softirq", "spinning", "kthread", "idle")
QUANTILES = {"p50": 50.0, "p99": 99.0, "p999": 99.9}


class Estimate(Struct, frozen=True, kw_only=True):
    """The mean over replications and its 95 % interval; None: one replication has none."""

    mean: float
    low: float | None
    high: float | None


class Counts(Struct, frozen=True, kw_only=True):
    """What happened on the receiver while it was measured; see docs/metrics.md."""

    packets: int  # consumed from the rings
    delivered: int  # to the client: what throughput counts
    rings: int
    interrupts: int
    scan_iterations: int
    schedule_calls: int
    wakeups: int
    merged: int
    spurious_wakeups: int
    useful_wakeups: int
    race_check_runs: int
    missed: int
    misrouted: int
    wiped: int  # rings that the poll cleared without an event of their own
    drops: int  # on a full socket buffer
    ring_full_stops: int  # of a queue with fewer than tx_stop free entries
    ring_full: int  # sends refused with -EAGAIN
    ksoftirqd: int  # times a softirq left its list to ksoftirqd


class Replication(Struct, frozen=True, kw_only=True):
    """One run of one point; it depends on the point, the seed and the number alone."""

    replication: int
    throughput_bps: float
    p50: float | None
    p99: float | None
    p999: float | None
    cpu_seconds: dict[str, float]  # by CPU_KINDS, the sum over the receiver's CPUs
    sender_cpu_seconds: float
    counts: Counts
    wakeups_by_cause: dict[str, int]
    empty_runs_by_cause: dict[str, int]
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

    payload: int  # bytes of a packet that throughput counts
    throughput_bps: Estimate
    latency: Latency
    cpu_seconds: dict[str, Estimate]  # by CPU_KINDS
    sender_cpu_seconds: Estimate
    packets: int
    delivered: int
    rings: int
    interrupts: int
    scan_iterations: int
    schedule_calls: int
    wakeups: int
    merged: int
    spurious_wakeups: int
    useful_wakeups: int
    race_check_runs: int
    missed: int
    misrouted: int
    wiped: int
    drops: int
    ring_full_stops: int
    ring_full: int
    ksoftirqd: int
    amplification: float | None  # of the sums, as the two below; None: nothing was counted
    effective_amplification: float | None
    spurious_ratio: float | None
    wakeups_by_cause: dict[str, int]
    empty_runs_by_cause: dict[str, int]
    # Counts and ratios, a replication; None: a ratio that is not defined in every one of them.
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

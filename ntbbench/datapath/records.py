# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a simulation and of a fit, from the replications to the report.

They are what the result files hold: a field here is a key of the JSON. Durations are float
seconds, rates bits a second; histograms count nanoseconds.
"""

from functools import partial
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from ntbbench.core.fields import axis, count, fact, series
from ntbbench.dispatch.records import Caution

SIMULATION_SCHEMA = "ntbbench.simulation/1"
FIT_SCHEMA = "ntbbench.fit/1"
Number = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]  # of time, of bits a second, or a ratio
QUANTILES = {"p50": 50.0, "p99": 99.0, "p999": 99.9}
CPU_KINDS = {  # title, and what the time was spent on
    "hardirq": ("hardirq", "interrupt handlers"),
    "useful_softirq": ("useful softirq", "tasklet runs that found a packet"),
    "empty_softirq": ("empty softirq", "tasklet runs that found none"),
    "spinning": ("spinning", "on a tasklet that another CPU runs, or on ctx_lock"),
    "kthread": ("kthreads", "waking ksoftirqd, or the poll's kworker"),
    "idle": ("idle", "nothing: the rest of the time"),
}

less = partial(series, unit="", better="lower")
THROUGHPUT = series("throughput", "payload that reached the client", unit="bit/s", better="higher")
P50, P99, P999 = (
    less(title, "latency from a packet's send to its delivery", unit="s")
    for title in ("p50", "p99", "p99.9")
)
CPU_SECONDS = fact("CPU time", "of the receiver's CPUs, by kind", unit="s")
SENDER_SECONDS = fact("sender CPU", "time of the sender's CPUs", unit="s")
BY_CAUSE = fact("wakeups by cause", "tasklets put on a list, by what scheduled them")
EMPTY_BY_CAUSE = fact("empty runs by cause", "runs that found no packet, by what scheduled them")
AMPLIFICATION = less("amplification", "tasklet_schedule() calls per interrupt", head="ampl.")
EFFECTIVE = less("effective amplification", "wakeups per interrupt", head="eff.")
SPURIOUS = less("spurious ratio", "share of wakeups whose run found no packet", head="spur.")
MISSED = count("missed", "rings whose own interrupt did not schedule the queue", better="lower")
MISROUTED = count(
    "misrouted", "queues scheduled, not rung, by an interrupt that missed a ring", better="lower"
)

Packets = Annotated[Number, fact("packets", "consumed from the rings")]
Delivered = Annotated[Number, fact("delivered", "packets that reached the client")]
Rings = Annotated[Number, fact("rings", "doorbell bits that the sender rang")]
InterruptCount = Annotated[Number, fact("interrupts", "doorbell interrupts delivered")]
Scans = Annotated[Number, fact("scan iterations", "of the bit loop of the doorbell callback")]
Calls = Annotated[Number, fact("schedule calls", "tasklet_schedule() calls of the doorbell path")]
Wakeups = Annotated[Number, fact("wakeups", "calls that put the tasklet on a list")]
Merged = Annotated[Number, fact("merged", "calls that found the tasklet on a list")]
Spurious = Annotated[Number, fact("spurious wakeups", "wakeups whose run found no packet")]
Useful = Annotated[Number, fact("useful wakeups", "wakeups whose run found a packet")]
RaceChecks = Annotated[Number, fact("race check runs", "empty runs that the race check added")]
Missed = Annotated[Number, MISSED]
Misrouted = Annotated[Number, MISROUTED]
Wiped = Annotated[
    Number, fact("wiped", "rings that the poll cleared without an event of their own")
]
Drops = Annotated[Number, less("drops", "packets that met a full socket buffer")]
Stops = Annotated[Number, fact("stops on a full ring", "below tx_stop free entries", head="stops")]
RingFull = Annotated[Number, fact("ring full", "sends refused with -EAGAIN")]
Ksoftirqd = Annotated[Number, fact("ksoftirqd", "times a softirq left its list to ksoftirqd")]


class Estimate(Struct, frozen=True, kw_only=True):
    """The mean over replications and its 95 % interval; None: of one replication."""

    mean: Amount
    low: Amount | None
    high: Amount | None


class SimulationCounts(Struct, frozen=True, kw_only=True):
    """What happened on the receiver while it was measured; see docs/metrics.md."""

    packets: Packets
    delivered: Delivered
    rings: Rings
    interrupts: InterruptCount
    scan_iterations: Scans
    schedule_calls: Calls
    wakeups: Wakeups
    merged: Merged
    spurious_wakeups: Spurious
    useful_wakeups: Useful
    race_check_runs: RaceChecks
    missed: Missed
    misrouted: Misrouted
    wiped: Wiped
    drops: Drops
    ring_full_stops: Stops
    ring_full: RingFull
    ksoftirqd: Ksoftirqd


class Replication(Struct, frozen=True, kw_only=True):
    """One run of one point; it depends on the point, the seed and the number alone."""

    replication: Annotated[Number, axis("replication", "its number, from 0")]
    throughput_bps: Annotated[Amount, THROUGHPUT]
    p50: Annotated[Amount | None, P50]
    p99: Annotated[Amount | None, P99]
    p999: Annotated[Amount | None, P999]
    cpu_seconds: Annotated[dict[str, Amount], CPU_SECONDS]
    sender_cpu_seconds: Annotated[Amount, SENDER_SECONDS]
    counts: SimulationCounts
    wakeups_by_cause: Annotated[dict[str, Number], BY_CAUSE]
    empty_runs_by_cause: Annotated[dict[str, Number], EMPTY_BY_CAUSE]
    latencies: str  # an HDR histogram of nanoseconds, V2, compressed, base64


class Latency(Struct, frozen=True, kw_only=True):
    """Quantiles of the time from the start of a packet's send to its delivery."""

    p50: Annotated[Estimate | None, P50]
    p99: Annotated[Estimate | None, P99]
    p999: Annotated[Estimate | None, P999]
    histogram: str  # of all replications, as in Replication


class SimulationAxes(Struct, frozen=True, kw_only=True):
    """What was asked for one point."""

    queues: Annotated[int, axis("queues", "of the netdev", head="Q")]
    dispatch: Annotated[str, axis("dispatch", "fallback, per-vector, msi")]
    affinity: Annotated[str, axis("affinity", "of the interrupts: single, spread")]
    protocol: Annotated[str, axis("protocol", "tcp: closed loop; udp: open loop", head="proto")]
    placement: Annotated[str, axis("placement", "how flows get a queue: hash, balanced")]
    hardware: Annotated[str, axis("hardware", "the receiver's device")]

    @property
    def axes(self) -> tuple[int, str, str, str]:
        """What tells a point from the others of its grid."""
        return (self.queues, self.dispatch, self.affinity, self.protocol)

    @property
    def name(self) -> str:
        """The axes in a few words."""
        return f"{self.protocol} {self.dispatch} {self.affinity} Q={self.queues}"


class OkSimulation(SimulationAxes, frozen=True, kw_only=True, tag_field="status", tag="ok"):
    """A point that was simulated: counts are sums over the replications, exact for a seed."""

    payload: Annotated[Number, fact("payload", "of a packet, which throughput counts", unit="B")]
    throughput_bps: Annotated[Estimate, THROUGHPUT]
    latency: Latency
    cpu_seconds: Annotated[dict[str, Estimate], CPU_SECONDS]
    sender_cpu_seconds: Annotated[Estimate, SENDER_SECONDS]
    # The fields of Counts once more: a msgspec Struct has one base, and a test holds them equal.
    packets: Packets
    delivered: Delivered
    rings: Rings
    interrupts: InterruptCount
    scan_iterations: Scans
    schedule_calls: Calls
    wakeups: Wakeups
    merged: Merged
    spurious_wakeups: Spurious
    useful_wakeups: Useful
    race_check_runs: RaceChecks
    missed: Missed
    misrouted: Misrouted
    wiped: Wiped
    drops: Drops
    ring_full_stops: Stops
    ring_full: RingFull
    ksoftirqd: Ksoftirqd
    # Ratios of these sums; None: nothing was counted.
    amplification: Annotated[Amount | None, AMPLIFICATION]
    effective_amplification: Annotated[Amount | None, EFFECTIVE]
    spurious_ratio: Annotated[Amount | None, SPURIOUS]
    wakeups_by_cause: Annotated[dict[str, Number], BY_CAUSE]
    empty_runs_by_cause: Annotated[dict[str, Number], EMPTY_BY_CAUSE]
    estimates: Annotated[
        dict[str, Estimate | None],
        fact("estimates", "counts and ratios per replication; null: no replication has the ratio"),
    ]
    replications: list[Replication]


class UnavailableSimulation(
    SimulationAxes, frozen=True, kw_only=True, tag_field="status", tag="unavailable"
):
    """A point that the device cannot give."""

    reason: Annotated[str, fact("reason", "what a user of the device would see")]


SimulationPoint = OkSimulation | UnavailableSimulation


class SimulationResult(Struct, frozen=True, kw_only=True):
    """One grid: what was asked, on which machine, and every point of it in axis order."""

    schema: str = SIMULATION_SCHEMA
    environment: dict[str, Any]
    scenario: dict[str, Any]
    complete: Annotated[
        bool, fact("complete", "false: interrupted; `simulate --resume` goes on")
    ] = True
    points: list[SimulationPoint]
    warnings: list[Caution] = field(default_factory=list)


class Target(Struct, frozen=True, kw_only=True):
    """A measured throughput of a single queue, and how sure it is."""

    mean: Annotated[Amount, fact("measured", "payload of a single queue", unit="bit/s")]
    low: Annotated[Amount, fact("from", "lower end of its range", unit="bit/s")]
    high: Annotated[Amount, fact("to", "upper end of its range", unit="bit/s")]
    how: Annotated[str, fact("range", "where the range is from")]


class FitResult(Struct, frozen=True, kw_only=True):
    """The copy cost per byte that gives a measured throughput, and the scenario with it."""

    schema: str = FIT_SCHEMA
    protocol: Annotated[str, axis("protocol", "tcp, udp")]
    target: Target
    byte_fs: Annotated[Number, fact("copy cost", "that gives the measured mean", unit="fs/B")]
    low_fs: Annotated[Number, fact("from", "gives the upper end; 0: no cost does", unit="fs/B")]
    high_fs: Annotated[
        Number | None, fact("to", "gives the lower end; null: no allowed cost does", unit="fs/B")
    ]
    throughput_bps: Annotated[Amount, fact("simulated", "with the fitted cost", unit="bit/s")]
    seconds: Annotated[Amount, fact("replication of the fit", "simulated time", unit="s")]
    asked_seconds: Annotated[Amount, fact("duration", "of the scenario", unit="s")]
    scenario: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

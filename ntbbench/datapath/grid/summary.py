# SPDX-License-Identifier: BSD-3-Clause
"""From the replications of a point to its record: sums that are exact, means with intervals."""

from collections.abc import Callable, Sequence
from typing import Any

from ntbbench.datapath.grid.estimate import estimate
from ntbbench.datapath.grid.histogram import encoded, merged
from ntbbench.datapath.records import (
    CPU_KINDS,
    Counts,
    Estimate,
    Latency,
    OkSimulation,
    Replication,
    SimulationPoint,
    UnavailableSimulation,
)
from ntbbench.datapath.scenario.grid_point import PointSpec

COUNTS = Counts.__struct_fields__
RATIOS: dict[str, tuple[str, str]] = {
    "amplification": ("schedule_calls", "interrupts"),
    "effective_amplification": ("wakeups", "interrupts"),
    "spurious_ratio": ("spurious_wakeups", "wakeups"),
}


def point_of(spec: PointSpec, runs: Sequence[Replication]) -> SimulationPoint:
    """Return the record of a point; `runs` in order, at least one where it can be had."""
    axes: dict[str, Any] = {
        "queues": spec.queues,
        "dispatch": spec.dispatch,
        "affinity": spec.affinity,
        "protocol": spec.protocol,
        "placement": spec.scenario.run.placement,
        "hardware": spec.scenario.device.hardware,
    }
    if spec.reason is not None:
        return UnavailableSimulation(**axes, reason=spec.reason)
    sums: dict[str, Any] = {name: sum(getattr(run.counts, name) for run in runs) for name in COUNTS}
    ratios: dict[str, Any] = {
        name: ratio(sums[over], sums[under]) for name, (over, under) in RATIOS.items()
    }
    return OkSimulation(
        **axes,
        payload=spec.payload,
        throughput_bps=_over(runs, lambda run: run.throughput_bps),
        latency=_latency(runs),
        cpu_seconds={kind: estimate([run.cpu_seconds[kind] for run in runs]) for kind in CPU_KINDS},
        sender_cpu_seconds=_over(runs, lambda run: run.sender_cpu_seconds),
        **sums,
        **ratios,
        wakeups_by_cause=_summed([run.wakeups_by_cause for run in runs]),
        empty_runs_by_cause=_summed([run.empty_runs_by_cause for run in runs]),
        estimates=_estimates(runs),
        replications=list(runs),
    )


def ratio(over: int, under: int) -> float | None:
    """Return a ratio of counts; None where nothing was counted: 0 would be the best there is."""
    return over / under if under else None


def _latency(runs: Sequence[Replication]) -> Latency:
    return Latency(
        p50=over_defined([run.p50 for run in runs]),
        p99=over_defined([run.p99 for run in runs]),
        p999=over_defined([run.p999 for run in runs]),
        histogram=encoded(merged(run.latencies for run in runs)),
    )


def _estimates(runs: Sequence[Replication]) -> dict[str, Estimate | None]:
    """Return every count and ratio, and every cause's wakeups, a replication."""
    found: dict[str, Estimate | None] = {
        name: estimate([float(getattr(run.counts, name)) for run in runs]) for name in COUNTS
    }
    for name, (over, under) in RATIOS.items():
        found[name] = over_defined(
            [ratio(getattr(run.counts, over), getattr(run.counts, under)) for run in runs]
        )
    for cause in runs[0].wakeups_by_cause:
        found[f"wakeups_{cause}"] = estimate([float(run.wakeups_by_cause[cause]) for run in runs])
    return found


def over_defined(values: Sequence[float | None]) -> Estimate | None:
    """Return the estimate over the replications that have the value, None where none has it.

    One replication without a packet must not hide what all the others say; how many have none is
    told in the warnings of the result.
    """
    defined = [value for value in values if value is not None]
    return estimate(defined) if defined else None


def _over(runs: Sequence[Replication], read: Callable[[Replication], float]) -> Estimate:
    return estimate([read(run) for run in runs])


def _summed(rows: Sequence[dict[str, int]]) -> dict[str, int]:
    return {cause: sum(row[cause] for row in rows) for cause in rows[0]}

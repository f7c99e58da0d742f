# SPDX-License-Identifier: BSD-3-Clause
"""From replications to the result: sums that are exact, means with intervals, warnings."""

from collections.abc import Sequence
from typing import Any

from ntbbench.core.environment import Environment
from ntbbench.core.options import shown
from ntbbench.core.units import PS, duration_text
from ntbbench.datapath.grid.estimate import estimate, over_defined
from ntbbench.datapath.grid.grid import Found, Grid
from ntbbench.datapath.grid.histogram import encoded, merged
from ntbbench.datapath.records import (
    CPU_KINDS,
    QUANTILES,
    Counts,
    Estimate,
    Latency,
    OkSimulation,
    Replication,
    SimulationPoint,
    SimulationResult,
    UnavailableSimulation,
)
from ntbbench.datapath.scenario.grid_point import PointSpec
from ntbbench.datapath.scenario.sections import Scenario
from ntbbench.dispatch.records import Caution

COUNTS = Counts.__struct_fields__
RATIOS: dict[str, tuple[str, str]] = {
    "amplification": ("schedule_calls", "interrupts"),
    "effective_amplification": ("wakeups", "interrupts"),
    "spurious_ratio": ("spurious_wakeups", "wakeups"),
}
FEW = 5  # replications: below, Student's t stretches the interval to several standard errors
NAMED = 3  # points that a warning names; the others are counted


def result_of(
    scenario: Scenario, grid: Grid, found: Found, environment: Environment
) -> SimulationResult:
    """Return what is known by now, in axis order; points without a replication are left out."""
    points = [
        point_of(spec, [have[number] for number in sorted(have)])
        for spec, have in zip(grid.specs, found, strict=True)
        if have or spec.reason is not None
    ]
    complete = not any(grid.missing(found))
    few = _few_replications(scenario.run.replications) if complete and any(found) else []
    return SimulationResult(
        environment=environment.record(),
        scenario=shown(scenario),
        complete=complete,
        points=points,
        warnings=few + _undelivered(scenario, points) + partly_defined(points),
    )


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
        name: _ratio(sums[over], sums[under]) for name, (over, under) in RATIOS.items()
    }
    return OkSimulation(
        **axes,
        payload=spec.payload,
        throughput_bps=estimate([run.throughput_bps for run in runs]),
        latency=_latency(runs),
        cpu_seconds={kind: estimate([run.cpu_seconds[kind] for run in runs]) for kind in CPU_KINDS},
        sender_cpu_seconds=estimate([run.sender_cpu_seconds for run in runs]),
        **sums,
        **ratios,
        wakeups_by_cause=_summed([run.wakeups_by_cause for run in runs]),
        empty_runs_by_cause=_summed([run.empty_runs_by_cause for run in runs]),
        estimates=_estimates(runs),
        replications=list(runs),
    )


def _summed(rows: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def _ratio(over: int, under: int) -> float | None:
    """Return a ratio of counts; None where nothing was counted: 0 would be the best there is."""
    return over / under if under else None


def _latency(runs: Sequence[Replication]) -> Latency:
    quantiles = {name: over_defined([getattr(run, name) for run in runs]) for name in QUANTILES}
    return Latency(**quantiles, histogram=encoded(merged(run.latencies for run in runs)))


def _estimates(runs: Sequence[Replication]) -> dict[str, Estimate | None]:
    """Return every count and ratio, and the wakeups of every cause, per replication."""
    found: dict[str, Estimate | None] = {
        name: estimate([float(getattr(run.counts, name)) for run in runs]) for name in COUNTS
    }
    for name, (over, under) in RATIOS.items():
        found[name] = over_defined(
            [_ratio(getattr(run.counts, over), getattr(run.counts, under)) for run in runs]
        )
    for cause in runs[0].wakeups_by_cause:
        found[f"wakeups_{cause}"] = estimate([float(run.wakeups_by_cause[cause]) for run in runs])
    return found


def _few_replications(number: int) -> list[Caution]:
    if number >= FEW:
        return []
    message = f"{number} replications a point: wide intervals"
    if number == 1:
        message = "1 replication a point: no intervals"
    remedy = f"use --replications {FEW} or more"
    return [Caution(code="few-replications", message=message, remedy=remedy)]


def _undelivered(scenario: Scenario, points: Sequence[SimulationPoint]) -> list[Caution]:
    """Return a warning for each cause why no replication of some points delivered a packet."""
    by_cause: dict[str, list[str]] = {}
    for point in points:
        if isinstance(point, OkSimulation) and not point.delivered:
            by_cause.setdefault(_cause(scenario, point), []).append(point.name)
    return [
        Caution(
            code="nothing-delivered",
            message=f"{_some(names, ', ')}: no packet was delivered; {cause}",
            remedy="lengthen run.duration",
        )
        for cause, names in by_cause.items()
    ]


def _cause(scenario: Scenario, point: OkSimulation) -> str:
    run, start = scenario.run, scenario.traffic.start
    if start >= run.warmup + run.duration:
        return f"traffic.start {duration_text(start, PS)} is not before warmup + duration"
    if not point.interrupts and scenario.link.doorbell == "poll" and point.dispatch != "msi":
        return "no poll came between the first doorbell and the end"
    return "the run ended before a packet was through"


def partly_defined(points: Sequence[SimulationPoint]) -> list[Caution]:
    """Return a warning that some estimates are over fewer than all replications."""
    found = []
    for point in points:
        parts = _partly(point) if isinstance(point, OkSimulation) else []
        if parts:
            found.append(f"{point.name}: {', '.join(parts)}")
    if not found:
        return []
    message = f"means over fewer than all replications: {_some(found, '; ')}"
    remedy = "the others counted nothing, so lengthen run.duration"
    return [Caution(code="partly-defined", message=message, remedy=remedy)]


def _partly(point: OkSimulation) -> list[str]:
    """Return how many replications have a value, of what some have and some have not."""
    runs = point.replications
    defined = {
        "latency": sum(run.p50 is not None for run in runs),
        "amplification": sum(run.counts.interrupts > 0 for run in runs),
        "spurious ratio": sum(run.counts.wakeups > 0 for run in runs),
    }
    return [f"{name} {n} of {len(runs)}" for name, n in defined.items() if 0 < n < len(runs)]


def _some(names: Sequence[str], between: str) -> str:
    more = f"{between}and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return between.join(names[:NAMED]) + more

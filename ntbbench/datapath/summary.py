# SPDX-License-Identifier: BSD-3-Clause
"""From replications to the result: sums that are exact, means with intervals, warnings; and back.

Reference: A. Law, Simulation Modeling and Analysis (2015), section 9.4.1: replications of a
terminating simulation are independent and alike, so Student's t interval holds for their mean.
"""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ntbbench.core.environment import Environment
from ntbbench.core.errors import InputError
from ntbbench.core.options import shown
from ntbbench.core.units import PS, duration_text
from ntbbench.datapath.grid import Found, Grid
from ntbbench.datapath.grid_point import SimulationSpec
from ntbbench.datapath.outcome import RunCause
from ntbbench.datapath.records import (
    CPU_KINDS,
    QUANTILES,
    Estimate,
    Latency,
    OkSimulation,
    Replication,
    SimulationCounts,
    SimulationPoint,
    SimulationResult,
    UnavailableSimulation,
)
from ntbbench.datapath.replicate import decoded, encoded, merged
from ntbbench.datapath.sections import Scenario
from ntbbench.dispatch.records import Caution

CONFIDENCE = 0.95
NEITHER = ("fallback", "single")  # mask nor affinity


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean and its 95 % interval over replications, one value each, none negative.

    `low` and `high` are None for a single value: one run says nothing of the spread. The lower
    end is cut off at 0, for rates, times and counts are never negative.
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Estimate(mean=mean, low=None, high=None)
    if all(value == values[0] for value in values):
        return Estimate(mean=values[0], low=values[0], high=values[0])
    from scipy.special import stdtrit  # noqa: PLC0415  # scipy takes long to import

    squares = math.fsum((value - mean) ** 2 for value in values)
    error = math.sqrt(squares / (len(values) - 1) / len(values))
    half = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * error
    return Estimate(mean=mean, low=max(0.0, mean - half), high=mean + half)


def over_defined(values: Sequence[float | None]) -> Estimate | None:
    """Return the estimate over the replications that have the value, None where none has it.

    One replication without a packet must not hide what all the others say; the warnings of the
    result say how many have none.
    """
    defined = [value for value in values if value is not None]
    return estimate(defined) if defined else None


def gains(points: Sequence[OkSimulation]) -> list[tuple[OkSimulation, Estimate]]:
    """Return what mask and affinity give: throughput over that of a point with neither.

    Replication n has the same flow hashes on every point, so ratios are taken replication by
    replication: what is left is the effect, not the luck of the hashes. Points of one queue are
    left out: there is nothing to spread and nothing to mask.
    """
    bases = {
        (point.protocol, point.queues): point
        for point in points
        if (point.dispatch, point.affinity) == NEITHER
    }
    found = []
    for point in points:
        base = bases.get((point.protocol, point.queues))
        if base is None or base is point or point.queues == 1:
            continue
        ratio = paired_ratio(point, base)
        if ratio is not None:
            found.append((point, ratio))
    return found


def paired_ratio(point: OkSimulation, base: OkSimulation) -> Estimate | None:
    """Return the mean of the replications' ratios and its t interval; None: one ran nothing."""
    under = {run.replication: run.throughput_bps for run in base.replications}
    pairs = [
        (run.throughput_bps, under[run.replication])
        for run in point.replications
        if run.replication in under
    ]
    if not pairs or any(not low for _, low in pairs):
        return None
    return estimate([high / low for high, low in pairs])


COUNTS = SimulationCounts.__struct_fields__
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
    few = []
    number = scenario.run.replications
    if complete and any(found) and number < FEW:
        message = f"{number} replications a point: wide intervals"
        if number == 1:
            message = "1 replication a point: no intervals"
        remedy = f"use --replications {FEW} or more"
        few.append(Caution(code="few-replications", message=message, remedy=remedy))
    return SimulationResult(
        environment=environment.record(),
        scenario=shown(scenario),
        complete=complete,
        points=points,
        warnings=few + _undelivered(scenario, points) + partly_defined(points),
    )


def point_of(spec: SimulationSpec, runs: Sequence[Replication]) -> SimulationPoint:
    """Return the record of a point; `runs` in order, at least one where it can be had."""
    names = ("queues", "dispatch", "affinity", "protocol")
    axes: dict[str, Any] = {name: getattr(spec, name) for name in names}
    axes["placement"] = spec.scenario.run.placement
    axes["hardware"] = spec.scenario.device.hardware
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
        latency=Latency(
            **{name: over_defined([getattr(run, name) for run in runs]) for name in QUANTILES},
            histogram=encoded(merged(run.latencies for run in runs)),
        ),
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
        runs = point.replications if isinstance(point, OkSimulation) else []
        defined = {  # how many replications have a value
            "latency": sum(run.p50 is not None for run in runs),
            "amplification": sum(run.counts.interrupts > 0 for run in runs),
            "spurious ratio": sum(run.counts.wakeups > 0 for run in runs),
        }
        parts = [f"{what} {n} of {len(runs)}" for what, n in defined.items() if 0 < n < len(runs)]
        if parts:
            found.append(f"{point.name}: {', '.join(parts)}")
    if not found:
        return []
    message = f"means over fewer than all replications: {_some(found, '; ')}"
    remedy = "the others counted nothing, so lengthen run.duration"
    return [Caution(code="partly-defined", message=message, remedy=remedy)]


def _some(names: Sequence[str], between: str) -> str:
    more = f"{between}and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return between.join(names[:NAMED]) + more


CAUSES = tuple(cause.name.lower() for cause in RunCause)
ESTIMATES = (*COUNTS, *RATIOS, *(f"wakeups_{cause}" for cause in CAUSES))


def check_points(result: SimulationResult, path: Path) -> None:
    """Raise InputError for a point or replication that stands there twice, or a damaged one."""
    seen = set()
    for number, point in enumerate(result.points):
        where = f"{path}: point {number}"
        if point.axes in seen:
            raise InputError(where, point.axes, "each point once")
        seen.add(point.axes)
        if isinstance(point, OkSimulation):
            _check_ok(where, point)


def _check_ok(where: str, point: OkSimulation) -> None:
    if not point.replications:
        raise InputError(f"{where}: replications", [], "at least one")
    _check_keys(f"{where}: cpu_seconds", point.cpu_seconds, CPU_KINDS)
    _check_keys(f"{where}: estimates", point.estimates, ESTIMATES)
    _check_keys(f"{where}: wakeups_by_cause", point.wakeups_by_cause, CAUSES)
    decoded(point.latency.histogram)
    numbers = set()
    for run in point.replications:
        name = f"{where}: replication"
        if run.replication in numbers:
            raise InputError(name, run.replication, "each replication once")
        numbers.add(run.replication)
        name += f" {run.replication}"
        _check_keys(f"{name}: cpu_seconds", run.cpu_seconds, CPU_KINDS)
        _check_keys(f"{name}: wakeups_by_cause", run.wakeups_by_cause, CAUSES)
        _check_keys(f"{name}: empty_runs_by_cause", run.empty_runs_by_cause, CAUSES)


def _check_keys(field: str, found: Collection[str], keys: Collection[str]) -> None:
    if set(found) != set(keys):
        given = ", ".join(found) or "nothing"
        raise InputError(field, given, f"exactly {', '.join(keys)}")


def adopt(
    scenario: Scenario, specs: Sequence[SimulationSpec], previous: SimulationResult, version: str
) -> Found:
    """Return the replications of an earlier, interrupted run of the same scenario.

    InputError: another scenario or ntbbench, or replications that would be lost or are damaged.
    """
    recorded = previous.environment.get("ntbbench")
    if recorded != version:
        allowed = f"a result of ntbbench {version}; start a new simulation"
        raise InputError("resume: ntbbench version", recorded, allowed)
    _check_same(previous.scenario, shown(scenario))
    places = {spec.axes: number for number, spec in enumerate(specs)}
    found: Found = [{} for _ in specs]
    for number, point in enumerate(previous.points):
        if point.axes not in places:
            raise InputError("resume: point", number, "a point of the scenario in the same file")
        if isinstance(point, OkSimulation):
            found[places[point.axes]] = {run.replication: run for run in point.replications}
    finished = 1 + max((number for have in found for number in have), default=-1)
    if scenario.run.replications < finished:
        allowed = f"at least {finished}: the file that is resumed has as many"
        raise InputError("run.replications", scenario.run.replications, allowed)
    for have in found:
        merged(run.latencies for run in have.values())  # a damaged one is told before the run
    return found


def _check_same(recorded: dict[str, object], asked: dict[str, object]) -> None:
    """Raise InputError at the first key in which a recorded scenario is not the one asked for."""
    for key in sorted(asked, key="note".__eq__):  # last: it may differ because another key does
        new, old = asked[key], recorded.get(key)
        if isinstance(new, dict) and isinstance(old, dict):
            for inner, value in new.items():
                if old.get(inner) != value and (key, inner) != ("run", "replications"):
                    allowed = f"{old.get(inner)!r}, as in the file that is resumed"
                    raise InputError(f"{key}.{inner}", value, allowed)
        elif old != new:
            raise InputError(key, new, f"{old!r}, as in the file that is resumed")

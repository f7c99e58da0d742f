# SPDX-License-Identifier: BSD-3-Clause
"""What is odd about the points of a result: none delivered anything, or only some replications."""

from collections.abc import Sequence

from ntbbench.core.units import PS, duration_text
from ntbbench.datapath.records import OkSimulation, SimulationPoint
from ntbbench.datapath.scenario.sections import Scenario
from ntbbench.dispatch.records import Caution

NAMED = 3  # points; of the others the number is told


def undelivered(scenario: Scenario, points: Sequence[SimulationPoint]) -> list[Caution]:
    """Return a warning for each cause why no replication of some points delivered a packet."""
    by_cause: dict[str, list[str]] = {}
    for point in points:
        if isinstance(point, OkSimulation) and not point.delivered:
            by_cause.setdefault(_cause(scenario, point), []).append(_name(point))
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
            found.append(f"{_name(point)}: {', '.join(parts)}")
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


def _name(point: SimulationPoint) -> str:
    return f"{point.protocol} {point.dispatch} {point.affinity} Q={point.queues}"


def _some(names: Sequence[str], between: str) -> str:
    more = f"{between}and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return between.join(names[:NAMED]) + more

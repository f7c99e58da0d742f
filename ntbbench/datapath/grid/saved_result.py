# SPDX-License-Identifier: BSD-3-Clause
"""A saved result, read back: checks that its types do not make, and what a resumed run keeps."""

from collections.abc import Collection, Sequence
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.core.options import shown
from ntbbench.datapath.grid.grid import Found
from ntbbench.datapath.grid.histogram import decoded, merged
from ntbbench.datapath.grid.summary import COUNTS, RATIOS
from ntbbench.datapath.outcome import Cause
from ntbbench.datapath.records import CPU_KINDS, OkSimulation, SimulationResult
from ntbbench.datapath.scenario.grid_point import PointSpec
from ntbbench.datapath.scenario.sections import Scenario

CAUSES = tuple(cause.name.lower() for cause in Cause)
ESTIMATES = (*COUNTS, *RATIOS, *(f"wakeups_{cause}" for cause in CAUSES))


def check_points(result: SimulationResult, path: Path) -> None:
    """Check the points of a result.

    Raises
    ------
    InputError : a point or a replication that stands there twice, a table without a key, or a text
        that is not a histogram.
    """
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
    scenario: Scenario, specs: Sequence[PointSpec], previous: SimulationResult, version: str
) -> Found:
    """Return the replications of an earlier, interrupted run of the same scenario.

    Raises
    ------
    InputError : another scenario (the number of replications may grow), another ntbbench, or
        replications that would be lost or are damaged.
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

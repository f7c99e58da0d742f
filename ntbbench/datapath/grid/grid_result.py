# SPDX-License-Identifier: BSD-3-Clause
"""A grid's result: made of what was found, saved, read back and gone on with."""

from collections.abc import Sequence
from pathlib import Path

from ntbbench.core.environment import Environment
from ntbbench.core.errors import InputError
from ntbbench.core.result_file import load_as
from ntbbench.datapath.grid.grid import Found, Grid
from ntbbench.datapath.grid.histogram import merged
from ntbbench.datapath.grid.point_warnings import partly_defined, undelivered
from ntbbench.datapath.grid.result_checks import check_points
from ntbbench.datapath.grid.summary import point_of
from ntbbench.datapath.records import SIMULATION_SCHEMA, OkSimulation, SimulationResult
from ntbbench.datapath.scenario.grid_point import PointSpec
from ntbbench.datapath.scenario.load import to_table
from ntbbench.datapath.scenario.sections import Scenario
from ntbbench.dispatch.records import Caution

FEW = 5  # replications: below, Student's t stretches the interval to several standard errors


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
    warnings = []
    few = scenario.run.replications
    if complete and any(found) and few < FEW:
        message = f"{few} replications a point: wide intervals"
        if few == 1:
            message = "1 replication a point: no intervals"
        remedy = f"use --replications {FEW} or more"
        warnings.append(Caution(code="few-replications", message=message, remedy=remedy))
    warnings += undelivered(scenario, points) + partly_defined(points)
    return SimulationResult(
        environment=environment.record(),
        scenario=to_table(scenario),
        complete=complete,
        points=points,
        warnings=warnings,
    )


def load_simulation(path: Path) -> SimulationResult:
    """Return the simulation in a result file.

    Raises
    ------
    InputError : it cannot be read, is damaged, or is of another kind.
    """
    result = load_as(path, SIMULATION_SCHEMA, SimulationResult)
    check_points(str(path), result.points)
    return result


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
    check_same(previous.scenario, to_table(scenario))
    places = {_key(spec): number for number, spec in enumerate(specs)}
    found: Found = [{} for _ in specs]
    for number, point in enumerate(previous.points):
        place = places.get((point.queues, point.dispatch, point.affinity, point.protocol))
        if place is None:
            raise InputError("resume: point", number, "a point of the scenario in the same file")
        if isinstance(point, OkSimulation):
            found[place] = {run.replication: run for run in point.replications}
    check_kept(found, scenario.run.replications)
    for have in found:
        merged(run.latencies for run in have.values())  # a damaged one is told before the run
    return found


def check_kept(found: Found, replications: int) -> None:
    """Raise InputError where fewer replications are asked for than are finished already."""
    finished = 1 + max((number for have in found for number in have), default=-1)
    if replications < finished:
        allowed = f"at least {finished}: the file that is resumed has as many"
        raise InputError("run.replications", replications, allowed)


def check_same(recorded: dict[str, object], asked: dict[str, object]) -> None:
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


def _key(spec: PointSpec) -> tuple[int, str, str, str]:
    return (spec.queues, spec.dispatch, spec.affinity, spec.protocol)

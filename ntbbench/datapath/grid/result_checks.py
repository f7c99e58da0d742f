# SPDX-License-Identifier: BSD-3-Clause
"""Checks of a result file that its types do not make: whole tables, nothing twice."""

from collections.abc import Collection, Sequence

from ntbbench.core.errors import InputError
from ntbbench.datapath.grid.histogram import decoded
from ntbbench.datapath.grid.summary import COUNTS, RATIOS
from ntbbench.datapath.outcome import Cause
from ntbbench.datapath.records import CPU_KINDS, OkSimulation, SimulationPoint

CAUSES = tuple(cause.name.lower() for cause in Cause)
ESTIMATES = (*COUNTS, *RATIOS, *(f"wakeups_{cause}" for cause in CAUSES))


def check_points(where: str, points: Sequence[SimulationPoint]) -> None:
    """Check the points of a result; `where` is the file.

    Raises
    ------
    InputError : a point or a replication that stands there twice, a table without a key, or a
        histogram that is none.
    """
    seen = set()
    for number, point in enumerate(points):
        axes = (point.queues, point.dispatch, point.affinity, point.protocol)
        if axes in seen:
            raise InputError(f"{where}: point {number}", axes, "each point once")
        seen.add(axes)
        if isinstance(point, OkSimulation):
            _check_ok(f"{where}: point {number}", point)


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
    lacking = [key for key in keys if key not in found]
    if lacking or len(found) != len(keys):
        given = ", ".join(found) or "nothing"
        raise InputError(field, given, f"exactly {', '.join(keys)}")

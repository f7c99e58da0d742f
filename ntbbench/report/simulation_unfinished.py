# SPDX-License-Identifier: BSD-3-Clause
"""How much of an interrupted grid is in its result."""

from math import prod

from ntbbench.datapath.records import OkSimulation, SimulationResult
from ntbbench.report.wording import plural

AXES = ("queues", "dispatch", "affinity", "protocol")


def unfinished(result: SimulationResult) -> str:
    """Return how many replications there are of how many; a point not begun is not in the result.

    A scenario that was edited by hand may not say how many they would be.
    """
    done = sum(len(p.replications) for p in result.points if isinstance(p, OkSimulation))
    refused = sum(not isinstance(point, OkSimulation) for point in result.points)
    asked = result.scenario
    grid = prod(len(asked.get(axis, ())) for axis in AXES)
    total = (grid - refused) * asked.get("run", {}).get("replications", 0)
    if total <= done:
        return f"not finished: {plural(done, 'replication')}"
    return f"not finished: {done} of {plural(total, 'replication')}, {plural(grid, 'point')}"

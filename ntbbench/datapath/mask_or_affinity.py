# SPDX-License-Identifier: BSD-3-Clause
"""Mask or affinity? What each gives in throughput, alone and together.

Replication n has the same flow hashes on every point, so ratios are taken replication by
replication: what is left is the effect, not the luck of the hashes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ntbbench.datapath.records import Estimate, OkSimulation, SimulationResult

CONFIDENCE = 0.95
BASE = ("fallback", "single")


@dataclass(frozen=True)
class Gain:
    """The throughput of a point over that of fallback with single affinity and as many queues."""

    point: OkSimulation
    ratio: Estimate


def gains(result: SimulationResult) -> list[Gain]:
    """Return the gains of every point whose base is in the result, in the result's order.

    Points of one queue are left out: there is nothing to spread and nothing to mask.
    """
    points = [point for point in result.points if isinstance(point, OkSimulation)]
    bases = {
        (point.protocol, point.queues): point
        for point in points
        if (point.dispatch, point.affinity) == BASE
    }
    found = []
    for point in points:
        base = bases.get((point.protocol, point.queues))
        if base is None or base is point or point.queues == 1:
            continue
        ratio = paired_ratio(point, base)
        if ratio is not None:
            found.append(Gain(point, ratio))
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
    return mean_of([high / low for high, low in pairs])


def mean_of(ratios: Sequence[float]) -> Estimate:
    """Return the mean with Student's t interval; of a single ratio without one."""
    mean = math.fsum(ratios) / len(ratios)
    if len(ratios) < 2:
        return Estimate(mean=mean, low=None, high=None)
    from scipy.special import stdtrit  # noqa: PLC0415  # scipy takes long to import

    squares = math.fsum((ratio - mean) ** 2 for ratio in ratios)
    error = math.sqrt(squares / (len(ratios) - 1) / len(ratios))
    half = float(stdtrit(len(ratios) - 1, (1 + CONFIDENCE) / 2)) * error
    return Estimate(mean=mean, low=max(0.0, mean - half), high=mean + half)

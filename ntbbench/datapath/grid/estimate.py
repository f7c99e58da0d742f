# SPDX-License-Identifier: BSD-3-Clause
"""The mean over replications and Student's t interval around it; and ratios of points.

Reference: A. Law, Simulation Modeling and Analysis (2015), section 9.4.1: replications of a
terminating simulation are independent and alike, so the t interval holds for their mean.
"""

import math
from collections.abc import Sequence

from ntbbench.datapath.records import Estimate, OkSimulation

CONFIDENCE = 0.95
NEITHER = ("fallback", "single")  # mask nor affinity


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean and its 95 % interval over replications.

    Parameters
    ----------
    values : one per replication, at least one, none negative.

    Returns
    -------
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

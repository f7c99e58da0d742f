# SPDX-License-Identifier: BSD-3-Clause
"""The mean over replications and Student's t interval around it.

Reference: A. Law, Simulation Modeling and Analysis (2015), section 9.4.1: replications of a
terminating simulation are independent and alike, so the t interval holds for their mean.
"""

import math
from collections.abc import Sequence

from ntbbench.datapath.records import Estimate

CONFIDENCE = 0.95


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean and its 95 % interval over replications.

    Parameters
    ----------
    values : one a replication, at least one, none negative.

    Returns
    -------
    `low` and `high` are None for a single value: one run tells nothing of the spread. The lower
    end is cut off at 0, for rates, times and counts are never negative.
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Estimate(mean=mean, low=None, high=None)
    if all(value == values[0] for value in values):
        return Estimate(mean=values[0], low=values[0], high=values[0])
    squares = math.fsum((value - mean) ** 2 for value in values)
    error = math.sqrt(squares / (len(values) - 1) / len(values))
    half = t_quantile(len(values) - 1) * error
    return Estimate(mean=mean, low=max(0.0, mean - half), high=mean + half)


def t_quantile(freedom: int) -> float:
    """Return the quantile of Student's t that leaves half of 5 % on either side."""
    from scipy.special import stdtrit  # noqa: PLC0415  # scipy takes long to import

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))

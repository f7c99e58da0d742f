# SPDX-License-Identifier: BSD-3-Clause
"""Where one more value lies beside those before it: the t prediction interval, on logarithms.

The variance of one new value about the mean of n is 1 + 1/n times that of a value (Hahn and Meeker
1991, Statistical Intervals). A value before that is far off widens the interval; it hides nothing
for long, as the next commits count as much.
"""

import math
from functools import cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.policy import LEVEL
from ntbbench.compare.statistics.changepoints import POWER
from ntbbench.compare.statistics.segments import half_tick

Array = NDArray[np.float64]
MOST_BEFORE = 1000
PLAIN = 10.0  # standard deviations: commits too few to show even that have tested nothing


class Predicted(Struct, frozen=True, kw_only=True):
    """Where a new value lies beside those before it; NaN: not defined.

    Parameters
    ----------
    ratio : of the new value to the level; `low` and `high` its LEVEL interval.
    deviation : of a new value from the level, a standard error of the logarithm.
    """

    ratio: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    deviation: float = math.nan


def predicted(before: Array, new: float) -> Predicted:
    """Return where `new` lies beside float64[n] values; of fewer than two, or of zeros, nowhere."""
    n = len(before)
    if n < 2 or new <= 0 or not (before > 0).all():
        return Predicted()
    values = np.log(before)
    change = math.log(new) - float(values.mean())
    deviation = max(float(values.std(ddof=1)), half_tick(values)) * math.sqrt(1 + 1 / n)
    half = float(stats.t.isf((1 - LEVEL) / 2, n - 1)) * deviation
    same = math.isclose(change, 0.0, abs_tol=1e-12)
    t = 0.0 if same else math.inf if deviation == 0 else abs(change) / deviation
    return Predicted(
        ratio=math.exp(change),
        low=math.exp(change - half),
        high=math.exp(change + half),
        p=float(2 * stats.t.sf(t, n - 1)),
        deviation=deviation,
    )


def detectable(found: Predicted, n: int, level: float) -> float:
    """Return the relative change that is found with probability POWER at a level."""
    if math.isnan(found.deviation):
        return math.nan
    limit = float(stats.t.isf(level / 2, n - 1) + stats.norm.ppf(POWER)) * found.deviation
    return math.expm1(limit) if limit < math.log(10.0) else math.nan


@cache
def fewest_before(level: float) -> int:
    """Return how many values show a new one that is PLAIN deviations off, by POWER."""
    sizes = np.arange(2, MOST_BEFORE)
    limit = stats.t.isf(level / 2, sizes - 1)
    shift = PLAIN / np.sqrt(1 + 1 / sizes)
    shows = np.asarray(stats.nct.sf(limit, sizes - 1, shift) >= POWER)
    return int(sizes[np.argmax(shows)]) if shows.any() else MOST_BEFORE

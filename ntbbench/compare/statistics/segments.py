# SPDX-License-Identifier: BSD-3-Clause
"""Levels of a series: places where the level may change, and the p-value of each such place.

ruptures' KernelCPD (PELT on the squared error, Killick, Fearnhead and Eckley 2012, in C) proposes
places, more than there are. Each is then tested between the two segments beside it, and the weakest
is dropped until those that are left hold; dropping from a split that is too fine is the second
half of Hunter (Fleming et al. 2023), which is Otava's method.

Autocorrelated noise wanders, and a wandering level looks like steps. The lag-1 autocorrelation of
the residuals widens every test: of AR(1) noise the variance of a mean is (1 + r) / (1 - r) times
that of independent noise.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import ruptures
from msgspec import Struct
from numpy.typing import NDArray
from scipy import special

from ntbbench.compare.statistics import significance

Array = NDArray[np.float64]
SMALLEST_SEGMENT = 2  # commits: one that is wild is no level
PENALTY = 2.0  # times the noise variance times log n: BIC's, so that too many places are proposed
MOST_CORRELATED = 0.95
ROUNDING = 1e-12  # of a logarithm: residuals below it are no noise


class Stage(Struct, frozen=True):
    """A way to cut a series into levels.

    Parameters
    ----------
    cuts : the first commit on each new level.
    p : float64[len(cuts)], of each cut, autocorrelation heeded.
    """

    cuts: list[int]
    p: Array


def stages(values: Array) -> Iterator[Stage]:
    """Yield ever coarser ways to cut a series, float64[n] that is not constant."""
    floor = half_tick(values)
    known: dict[tuple[int, int, int], float] = {}
    cuts = _proposed(values)
    while cuts:
        around = list(zip([0, *cuts], cuts, [*cuts[1:], len(values)], strict=False))
        for start, cut, end in around:
            if (start, cut, end) not in known:
                known[start, cut, end] = _cut_p(values[start:cut], values[cut:end], floor)
        raw = np.array([known[place] for place in around])
        p = widened(raw, autocorrelation(values, cuts))
        yield Stage(cuts, p)
        weakest = int(np.argmax(p))
        cuts = [cut for at, cut in enumerate(cuts) if at != weakest]


def _proposed(values: Array) -> list[int]:
    """Return where the level may change; the noise is told by the steps from commit to commit."""
    steps = np.diff(values)
    noise = np.median(np.abs(steps)) / (0.6745 * np.sqrt(2))
    if noise == 0:  # most commits repeat the value before them, as those of a coarse clock do
        noise = np.sqrt(np.mean(steps**2) / 2)
    scaled = ((values - np.median(values)) / noise).reshape(-1, 1)
    algorithm = ruptures.KernelCPD(kernel="linear", min_size=SMALLEST_SEGMENT).fit(scaled)
    return [int(end) for end in algorithm.predict(pen=PENALTY * np.log(len(values)))[:-1]]


def half_tick(values: Array) -> float:
    """Return half the smallest difference of two values: what a clock's ticks can hide."""
    known = np.unique(values)
    return float(np.diff(known).min() / 2) if len(known) > 1 else 0.0


def _cut_p(before: Array, after: Array, floor: float) -> float:
    """Return the p-value of a change between two segments.

    Mann-Whitney. Where all values of one side lie beyond all of the other, ranks are at their end,
    and Student's t says how far apart the sides are: two commits that both lie far from fifty have
    no rank p-value that would hold among many places.
    """
    p = float(significance.mann_whitney(before[None, :], after[None, :])[0])
    if before.max() < after.min() or after.max() < before.min():
        return min(p, _student_p(before, after, floor))
    return p


def _student_p(before: Array, after: Array, floor: float) -> float:
    """Return Student's p-value; the deviation is at least `floor`."""
    n, m = len(before), len(after)
    squares = ((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum()
    deviation = max(float(np.sqrt(squares / (n + m - 2))), floor)
    t = abs(before.mean() - after.mean()) / (deviation * np.sqrt(1 / n + 1 / m))
    return float(2 * special.stdtr(n + m - 2, -t))


def widened(p: Array, correlation: float) -> Array:
    """Return two-sided p-values for noise whose lag-1 autocorrelation is known.

    An autocorrelation below zero makes nothing surer.
    """
    r = min(max(correlation, 0.0), MOST_CORRELATED)
    return np.asarray(2 * special.ndtr(special.ndtri(p / 2) * np.sqrt((1 - r) / (1 + r))))


def autocorrelation(values: Array, cuts: Sequence[int]) -> float:
    """Return the lag-1 autocorrelation of what is left of a series without its levels."""
    ends = [0, *cuts, len(values)]
    parts = [values[start:end] - values[start:end].mean() for start, end in pairwise(ends)]
    return correlation_of(parts, len(parts))


def correlation_of(parts: Sequence[Array], fitted: int) -> float:
    """Return the lag-1 autocorrelation of residuals, whose bias by `fitted` parameters is undone.

    With k means fitted to n values the estimate is too small by some (1 + 3 r) k / n (Marriott and
    Pope 1954, of one mean).
    """
    count = sum(map(len, parts))
    squares = sum(float(part @ part) for part in parts)
    if squares <= count * ROUNDING**2:
        return 0.0
    products = sum(float(part[:-1] @ part[1:]) for part in parts)
    share = fitted / count
    return (products / squares + share) / (1 - 3 * min(share, 0.25))

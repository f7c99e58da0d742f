# SPDX-License-Identifier: BSD-3-Clause
"""What the shape of one side's samples warns of: outliers, two modes, drift, spread."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.warning_list import FEW, UNSTABLE

Array = NDArray[np.float64]

ENOUGH_FOR_SHAPE = 10  # below it nothing can be said of drift or of two modes
# Tukey's outer fences, in interquartile ranges, and what few samples add: of clean normal noise at
# most one side in 100 has a sample outside (Hoaglin and Iglewicz 1987, JASA 82, fit so by n).
FENCE, FEW_FENCE = 3.0, 250.0
CLEAN = 0.01
MODE_DISTANCE = 5.0  # Ashman's D of two clusters; a normal split at its mean has 2.6, a uniform 3.5
MODE_SCATTER = 20.0  # few samples cluster by chance: D must exceed MODE_DISTANCE + this / n
MODE_SHARE = 0.15  # the smaller cluster's share: fewer are outliers
DRIFT_P = 0.001
DRIFT_RHO = 0.3  # in long series the faintest trend is significant
SPREADS = 3.0  # one side's spread over the other's


def outlier_counts(samples: Array) -> NDArray[np.int64]:
    """Return how many samples of each row, [B, n], lie outside the outer fences."""
    if samples.shape[1] < FEW:
        return np.zeros(len(samples), dtype=np.int64)
    low, high = np.quantile(samples, [0.25, 0.75], axis=1)
    reach = _fence(samples.shape[1]) * (high - low)
    outside = (samples < (low - reach)[:, None]) | (samples > (high + reach)[:, None])
    return np.asarray(outside.sum(axis=1), dtype=np.int64)


def _fence(n: int) -> float:
    """Return how far the fences of n samples lie from the quartiles, in interquartile ranges."""
    quartile = stats.norm.ppf(0.75)
    many = (stats.norm.isf(CLEAN / 2 / n) - quartile) / (2 * quartile)
    return max(FENCE + FEW_FENCE / n**2, float(many))


def bimodal(samples: Array) -> NDArray[np.bool_]:
    """Return whether the best split of each row in two leaves two tight groups far apart.

    The split is the one with the largest variance between the groups (Otsu 1979); the measure is
    Ashman's D = sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2) (Ashman, Bird and Zepf 1994).
    """
    count, n = samples.shape
    smaller = max(2, int(np.ceil(MODE_SHARE * n)))
    if n < ENOUGH_FOR_SHAPE:
        return np.zeros(count, dtype=np.bool_)
    distance = MODE_DISTANCE + MODE_SCATTER / n
    ordered = np.sort(samples, axis=1)
    ordered = ordered - ordered.mean(axis=1, keepdims=True)
    cuts = np.arange(smaller, n - smaller + 1)
    sums, squares = np.cumsum(ordered, axis=1), np.cumsum(ordered**2, axis=1)
    left, right = sums[:, cuts - 1] / cuts, (sums[:, -1:] - sums[:, cuts - 1]) / (n - cuts)
    inside_left = squares[:, cuts - 1] / cuts - left**2
    inside_right = (squares[:, -1:] - squares[:, cuts - 1]) / (n - cuts) - right**2
    best = np.argmax(cuts * (n - cuts) * (right - left) ** 2, axis=1)[:, None]
    gap, spread = (
        np.take_along_axis(x, best, axis=1)[:, 0]
        for x in (np.abs(right - left), np.maximum(inside_left + inside_right, 0.0))
    )
    return np.asarray((gap > 0) & (np.sqrt(2) * gap > distance * np.sqrt(spread)))


def drifting(samples: Array) -> NDArray[np.bool_]:
    """Return whether each row's ranks follow their order in time (Spearman, p < 0.001)."""
    count, n = samples.shape
    if n < ENOUGH_FOR_SHAPE:
        return np.zeros(count, dtype=np.bool_)
    ranks = stats.rankdata(samples, axis=1) - (n + 1) / 2
    time = np.arange(n) - (n - 1) / 2
    size = np.sqrt((ranks**2).sum(axis=1) * (time**2).sum())
    rho = np.divide(ranks @ time, size, out=np.zeros(count), where=size > 0)
    statistic = rho * np.sqrt((n - 2) / np.maximum(1 - rho**2, 1e-12))
    significant = 2 * stats.t.sf(np.abs(statistic), n - 2) < DRIFT_P
    return np.asarray(significant & (np.abs(rho) > DRIFT_RHO))


def unstable(samples: Array) -> NDArray[np.bool_]:
    """Return whether each row's interquartile range is too wide for its median."""
    low, middle, high = np.quantile(samples, [0.25, 0.5, 0.75], axis=1)
    return np.asarray(high - low > UNSTABLE * middle)


def relative_deviation(samples: Array) -> Array:
    """Return the mean distance of each row from its median, over it; NaN for a median of zero.

    Unlike the interquartile range it sees a few runs that are far off.
    """
    middle = np.median(samples, axis=1)
    distance = np.abs(samples - middle[:, None]).mean(axis=1)
    unknown = np.full_like(middle, np.nan)
    return np.asarray(np.divide(distance, middle, out=unknown, where=middle > 0))


def unequal_spread(base: Array, candidate: Array) -> NDArray[np.bool_]:
    """Return whether the sides' interquartile ranges differ by more than a factor of three."""
    if min(base.shape[1], candidate.shape[1]) < ENOUGH_FOR_SHAPE:
        return np.zeros(len(base), dtype=np.bool_)
    quartiles = [np.quantile(side, [0.25, 0.75], axis=1) for side in (base, candidate)]
    one, other = (high - low for low, high in quartiles)
    return np.asarray(np.maximum(one, other) > SPREADS * np.minimum(one, other))


def cautions_of(samples: Array) -> list[list[tuple[str, str]]]:
    """Return the (code, detail) pairs of each row of one side's samples, [B, n]."""
    n = samples.shape[1]
    found: list[list[tuple[str, str]]] = [[] for _ in samples]
    if n < FEW:
        for row in found:
            row.append(("too-few-samples", f"{n}"))
    counts = outlier_counts(samples)
    for index in np.flatnonzero(counts):
        found[index].append(("outliers", f"{counts[index]} of {n}"))
    flags = {
        "bimodal": bimodal(samples),
        "drifting": drifting(samples),
        "unstable": unstable(samples),
        "zero-variance": (samples == samples[:, :1]).all(axis=1) & (n > 1),
        "zero-values": (samples == 0).any(axis=1),
    }
    for code, rows in flags.items():
        for index in np.flatnonzero(rows):
            found[index].append((code, ""))
    return found

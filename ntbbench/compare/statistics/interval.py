# SPDX-License-Identifier: BSD-3-Clause
"""Intervals of ratios for many comparisons at once: of medians by BCa bootstrap, of means by t.

A resample's median is made of one or two order statistics, so instead of drawing n values the
ranks of those are drawn from their exact distribution: the k-th of n uniforms is Beta(k, n-k+1).
The same draws serve every comparison with the same sample sizes.

Reference: Efron (1987), "Better bootstrap confidence intervals", JASA 82, section 3; the
_acceleration of two samples as in Davison and Hinkley (1997), section 5.3.2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
CHUNK = 2_000_000  # resampled ratios held at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """The ratio and its interval, float64[B] each; NaN bounds: too few samples to resample."""

    ratio: Array
    low: Array
    high: Array


def ratio_of_medians(base: Array, candidate: Array, *, level: float, resamples: int) -> Interval:
    """Return median(candidate) / median(base) of each row with its BCa interval.

    Parameters
    ----------
    base, candidate : float64[B, n] and float64[B, m], at least 0.
    level : the confidence, 0.95.
    resamples : bootstrap replicates.
    """
    low_high = [np.sort(side, axis=1) for side in (base, candidate)]
    ratio = divide(median(low_high[1]), median(low_high[0]))
    if min(base.shape[1], candidate.shape[1]) < 2:
        return Interval(ratio, np.full_like(ratio, np.nan), np.full_like(ratio, np.nan))
    rng = np.random.Generator(np.random.PCG64DXSM([base.shape[1], candidate.shape[1], resamples]))
    picks = [middles(side.shape[1], resamples, rng) for side in low_high]
    skew = _acceleration(*low_high)
    bounds = np.empty((2, len(ratio)))
    step = max(1, CHUNK // resamples)
    for start in range(0, len(ratio), step):
        rows = slice(start, start + step)
        drawn = [resampled(s[rows], pick) for s, pick in zip(low_high, picks, strict=True)]
        bounds[:, rows] = _bca(divide(drawn[1], drawn[0]), ratio[rows], skew[rows], level)
    return Interval(ratio, bounds[0], bounds[1])


def median_of_ratios(base: Array, candidate: Array, *, level: float, resamples: int) -> Interval:
    """Return the median of the pairs' ratios, [B, n] each, with its BCa interval."""
    return ratio_of_medians(
        np.ones((len(base), 2)) if base.shape[1] > 1 else np.ones((len(base), 1)),
        divide(candidate, base),
        level=level,
        resamples=resamples,
    )


def ratio_of_means(base: Array, candidate: Array, *, level: float) -> Interval:
    """Return mean(candidate) / mean(base) of each row with Welch's t interval of its logarithm.

    The standard error of the logarithm is that of the delta method: of each side the relative
    variance of its mean. A bootstrap of means covers too little with few samples.
    """
    means = [side.mean(axis=1) for side in (base, candidate)]
    ratio = divide(means[1], means[0])
    if min(base.shape[1], candidate.shape[1]) < 2:
        return Interval(ratio, np.full_like(ratio, np.nan), np.full_like(ratio, np.nan))
    total, parts = np.zeros((2, len(ratio)))
    for side, mean in zip((base, candidate), means, strict=True):
        n = side.shape[1]
        share = divide(side, mean[:, None]).var(axis=1, ddof=1) / n  # all zeros: 0 / 0 is 1
        total += share
        parts += share**2 / (n - 1)
    least = np.full(len(ratio), float(min(base.shape[1], candidate.shape[1]) - 1))
    freedom = np.divide(total**2, parts, out=least, where=parts > 0)
    reach = np.exp(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(total))
    return Interval(ratio, ratio / reach, ratio * reach)


def mean_of_changes(change: Array, *, level: float) -> Interval:
    """Return the ratio that the mean of (c - b) / (c + b) of pairs, [B, n], stands for.

    With d that mean it is (1 + d) / (1 - d), the ratio of a pair whose change is d; its bounds are
    those of the t interval of d.
    """
    mean, n = change.mean(axis=1), change.shape[1]
    if n < 2:
        nothing = np.full_like(mean, np.nan)
        return Interval(_ratio_of_change(mean), nothing, nothing)
    reach = stats.t.ppf((1 + level) / 2, n - 1) * change.std(axis=1, ddof=1) / np.sqrt(n)
    low, high = (np.clip(mean + side * reach, -1.0, 1.0) for side in (-1, 1))
    return Interval(*(_ratio_of_change(place) for place in (mean, low, high)))


def _ratio_of_change(change: Array) -> Array:
    """Return c / b of (c - b) / (c + b); infinity for a base of zero."""
    return divide(1 + change, 1 - change)


def resampled(ordered: Array, pick: tuple[NDArray[np.intp], ...]) -> Array:
    """Return the medians, [B, R], of resamples of sorted rows."""
    if ordered.shape[1] % 2:  # both ranks are the same
        return ordered[:, pick[0]]
    return (ordered[:, pick[0]] + ordered[:, pick[1]]) / 2


def divide(over: Array, under: Array) -> Array:
    """Return over / under where 0 / 0 is 1 (no change) and x / 0 infinity, without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((over == 0) & (under == 0), 1.0, over / under)


def median(ordered: Array) -> Array:
    """Return the medians of sorted rows."""
    n = ordered.shape[1]
    return np.asarray((ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2, dtype=np.float64)


def middles(n: int, resamples: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], ...]:
    """Draw the ranks of the two middle order statistics of `resamples` resamples of size n."""
    k = (n + 1) // 2
    lower = rng.beta(k, n - k + 1, size=resamples)
    upper = lower
    if n % 2 == 0:  # the smallest of the n - k uniforms above the k-th
        upper = lower + (1 - lower) * (1 - rng.random(resamples) ** (1 / (n - k)))
    return tuple(np.minimum((u * n).astype(np.intp), n - 1) for u in (lower, upper))


def _acceleration(base: Array, candidate: Array) -> Array:
    """Return BCa's acceleration of sorted rows, from the jackknife; 0 where it is undefined."""
    centre = [median(side) for side in (base, candidate)]
    numerator = np.zeros(len(base))
    denominator = np.zeros(len(base))
    for side, n in ((0, base.shape[1]), (1, candidate.shape[1])):
        left_out, weight = jackknife_medians((base, candidate)[side])
        theta = (
            divide(centre[1][:, None], left_out)
            if side == 0
            else divide(left_out, centre[0][:, None])
        )
        with np.errstate(invalid="ignore"):
            mean = (theta * weight).sum(axis=1, keepdims=True) / n
            influence = (n - 1) * (mean - theta)
        numerator += (weight * influence**3).sum(axis=1) / n**3
        denominator += (weight * influence**2).sum(axis=1) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        value = numerator / (6 * denominator**1.5)
    return np.where(np.isfinite(value), value, 0.0)


def jackknife_medians(ordered: Array) -> tuple[Array, Array]:
    """Return the distinct leave-one-out medians of sorted rows, [B, 2 or 3], and how often each."""
    n = ordered.shape[1]
    half = n // 2
    if n % 2 == 0:
        return ordered[:, [half, half - 1]], np.array([half, half], dtype=np.float64)
    below, middle, above = (ordered[:, half + i] for i in (-1, 0, 1))
    values = np.stack([(middle + above) / 2, (below + above) / 2, (below + middle) / 2], axis=1)
    return values, np.array([half, 1, half], dtype=np.float64)


def _bca(drawn: Array, ratio: Array, skew: Array, level: float) -> Array:
    """Return the bounds, [2, B], of the replicates `drawn`, [B, R]."""
    replicates = drawn.shape[1]
    drawn = np.sort(drawn, axis=1)
    share = (drawn < ratio[:, None]).mean(axis=1) + (drawn == ratio[:, None]).mean(axis=1) / 2
    bias = ndtri(np.clip(share, 0.5 / replicates, 1 - 0.5 / replicates))
    bounds = np.empty((2, len(drawn)))
    rows = np.arange(len(drawn))
    for side, tail in enumerate(((1 - level) / 2, (1 + level) / 2)):
        shifted = bias + ndtri(tail)
        quantile = ndtr(bias + shifted / np.maximum(1 - skew * shifted, 1e-9))
        place = quantile * replicates
        index = np.floor(place) if side == 0 else np.ceil(place) - 1
        bounds[side] = drawn[rows, np.clip(index, 0, replicates - 1).astype(np.intp)]
    return bounds

# SPDX-License-Identifier: BSD-3-Clause
"""Where two sides lie to each other: ratio, interval and p-values, the same for either order.

Each row is looked at in an order of its own, the smaller side first, so that what is drawn or
rounded does not depend on which side is called the base.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr, ndtri

from ntbbench.compare.policy import BY_MEDIAN, LEVEL, Policy, Test
from ntbbench.compare.statistics import sequential, significance

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
CHUNK = 2_000_000  # resampled ratios held at a time
# Of runs, and of pairs of them.
TESTS: dict[Test, tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]] = {
    "mann-whitney": (significance.mann_whitney, significance.wilcoxon),
    "permutation": (significance.permutation, significance.sign_flips),
    "welch": (significance.welch, significance.paired_t),
    "sequential": (sequential.p_values, sequential.p_values),  # compare() takes it of pairs alone
}


@dataclass(frozen=True, slots=True)
class Interval:
    """The ratio and its interval, float64[B] each; NaN bounds: too few samples to resample."""

    ratio: Array
    low: Array
    high: Array


def ratio_of_medians(base: Array, candidate: Array, resamples: int) -> Interval:
    """Return median(candidate) / median(base) of each row with its BCa interval.

    The samples are float64[B, n] and float64[B, m], at least 0.
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
        bounds[:, rows] = _bca(divide(drawn[1], drawn[0]), ratio[rows], skew[rows])
    return Interval(ratio, bounds[0], bounds[1])


def median_of_ratios(base: Array, candidate: Array, resamples: int) -> Interval:
    """Return the median of the pairs' ratios, [B, n] each, with its BCa interval."""
    one = np.ones((len(base), min(2, base.shape[1])))
    return ratio_of_medians(one, divide(candidate, base), resamples)


def ratio_of_means(base: Array, candidate: Array) -> Interval:
    """Return mean(candidate) / mean(base) of each row with Welch's t interval of its logarithm.

    The standard error of the logarithm is that of the delta method: of each side the relative
    variance of its mean. A bootstrap of means covers too little with few samples.
    """
    means = [side.mean(axis=1) for side in (base, candidate)]
    ratio = divide(means[1], means[0])
    if min(base.shape[1], candidate.shape[1]) < 2:
        return Interval(ratio, np.full_like(ratio, np.nan), np.full_like(ratio, np.nan))
    total, freedom = significance.welch_freedom(
        (divide(side, mean[:, None]).var(axis=1, ddof=1), side.shape[1])  # all zeros: 0 / 0 is 1
        for side, mean in zip((base, candidate), means, strict=True)
    )
    reach = np.exp(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(total))
    return Interval(ratio, ratio / reach, ratio * reach)


def mean_of_changes(change: Array) -> Interval:
    """Return the ratio that the mean of (c - b) / (c + b) of pairs, [B, n], stands for.

    With d that mean it is (1 + d) / (1 - d), the ratio of a pair whose change is d; its bounds are
    those of the t interval of d.
    """
    mean, n = change.mean(axis=1), change.shape[1]
    if n < 2:
        nothing = np.full_like(mean, np.nan)
        return Interval(_ratio_of_change(mean), nothing, nothing)
    reach = stats.t.ppf((1 + LEVEL) / 2, n - 1) * change.std(axis=1, ddof=1) / np.sqrt(n)
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
    numerator, denominator = np.zeros((2, len(base)))
    for side, other in ((base, candidate), (candidate, base)):
        n, centre = side.shape[1], median(other)[:, None]
        left_out, weight = jackknife_medians(side)
        theta = divide(centre, left_out) if side is base else divide(left_out, centre)
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


def _bca(drawn: Array, ratio: Array, skew: Array) -> Array:
    """Return the bounds, [2, B], of the replicates `drawn`, [B, R]."""
    replicates = drawn.shape[1]
    drawn = np.sort(drawn, axis=1)
    share = (drawn < ratio[:, None]).mean(axis=1) + (drawn == ratio[:, None]).mean(axis=1) / 2
    bias = ndtri(np.clip(share, 0.5 / replicates, 1 - 0.5 / replicates))
    bounds = np.empty((2, len(drawn)))
    rows = np.arange(len(drawn))
    for side, tail in enumerate(((1 - LEVEL) / 2, (1 + LEVEL) / 2)):
        shifted = bias + ndtri(tail)
        quantile = ndtr(bias + shifted / np.maximum(1 - skew * shifted, 1e-9))
        place = quantile * replicates
        index = np.floor(place) if side == 0 else np.ceil(place) - 1
        bounds[side] = drawn[rows, np.clip(index, 0, replicates - 1).astype(np.intp)]
    return bounds


@dataclass(frozen=True, slots=True)
class Located:
    """The rows' ratios and p-values, [B] each; `noisy.Estimate` says what each is."""

    bounds: Interval
    second: Array
    p: Array
    p_least: Array
    p_effect: Array
    apart: Flags


def located(base: Array, candidate: Array, policy: Policy, *, paired: bool) -> Located:
    """Return where the candidates lie, rows [B, n] and [B, m]; exchanged sides give 1 / ratio."""
    turned = comes_second(base, candidate)
    if turned.all():
        first, other = candidate, base
    else:
        first = np.where(turned[:, None], candidate, base) if turned.any() else base
        other = np.where(turned[:, None], base, candidate) if turned.any() else candidate
    medians, means = _ratios(first, other, policy, paired=paired)
    if not paired and first.shape == other.shape:
        medians = _both_ways(medians, (np.sort(first) == np.sort(other)).all(axis=1))
    bounds, second = (medians, means) if policy.test in BY_MEDIAN else (means, medians)
    return Located(
        bounds=_mirrored(bounds, turned),
        second=_mirrored(second, turned).ratio,
        p=_p_values(first, other, policy.test, paired=paired),
        p_least=significance.floors(first, other, policy.test, paired=paired),
        p_effect=significance.effect_p(first, other, paired=paired),
        apart=apart(first, other, paired=paired),
    )


def comes_second(base: Array, candidate: Array) -> Flags:
    """Return the rows whose base is the longer side or, of equal length, the larger.

    The larger has the larger value where the sorted samples first differ; where they are the same
    in another order, as pairs may be, where the samples themselves first differ.
    """
    if base.shape[1] != candidate.shape[1]:
        return np.full(len(base), base.shape[1] > candidate.shape[1])
    difference = np.sort(base, axis=1) - np.sort(candidate, axis=1)
    same = ~difference.any(axis=1)
    difference[same] = base[same] - candidate[same]
    place = (difference != 0).argmax(axis=1)
    return np.asarray(difference[np.arange(len(base)), place] > 0)


def _ratios(
    first: Array, other: Array, policy: Policy, *, paired: bool
) -> tuple[Interval, Interval]:
    """Return other / first of the medians and of the means, or of what stands for them in pairs."""
    resamples = policy.resamples
    if paired:
        change = mean_of_changes(significance.symmetric_change(first, other))
        if policy.test == "sequential":
            return Interval(*sequential.intervals(first, other, 1 - LEVEL)), change
        return median_of_ratios(first, other, resamples), change
    return (
        ratio_of_medians(first, other, resamples),
        ratio_of_means(first, other),
    )


def _both_ways(bounds: Interval, same: Flags) -> Interval:
    """Return the bounds, wide enough for either order where both sides have the same samples.

    Then no order is the row's own, and what is drawn for one side and the other differs.
    """
    ones = np.ones(len(same))
    low = np.minimum(bounds.low, divide(ones, bounds.high))
    high = np.maximum(bounds.high, divide(ones, bounds.low))
    return Interval(
        bounds.ratio, np.where(same, low, bounds.low), np.where(same, high, bounds.high)
    )


def _mirrored(bounds: Interval, turned: Flags) -> Interval:
    pairs = ((bounds.ratio, bounds.ratio), (bounds.high, bounds.low), (bounds.low, bounds.high))
    ones = np.ones(len(turned))
    return Interval(*(np.where(turned, divide(ones, other), own) for other, own in pairs))


def _p_values(base: Array, candidate: Array, test: Test, *, paired: bool) -> Array:
    """Return the p-values of the chosen test; NaN with fewer than two samples on a side."""
    if min(base.shape[1], candidate.shape[1]) < 2:
        return np.full(len(base), np.nan)
    return TESTS[test][paired](base, candidate)


def apart(base: Array, candidate: Array, *, paired: bool) -> Flags:
    """Return whether all of one side lies above all of the other, or all pairs changed one way."""
    if paired:
        change = candidate - base
        return np.asarray((change > 0).all(axis=1) | (change < 0).all(axis=1))
    return np.asarray(
        (candidate.min(axis=1) > base.max(axis=1)) | (candidate.max(axis=1) < base.min(axis=1))
    )

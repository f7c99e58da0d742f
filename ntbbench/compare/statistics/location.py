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

from ntbbench.compare.policy import BY_MEDIAN, LEVEL, MEDIAN, Policy, Test
from ntbbench.compare.statistics import sequential, significance
from ntbbench.compare.statistics.dependence import Dependence
from ntbbench.compare.statistics.quantiles import (
    Interval,
    divide,
    quantile_floors,
    quantile_test,
    ratio_of_quantiles,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Of runs, and of pairs of them.
TESTS: dict[Test, tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]] = {
    "mann-whitney": (significance.mann_whitney, significance.wilcoxon),
    "permutation": (significance.permutation, significance.sign_flips),
    "welch": (significance.welch, significance.paired_t),
    "sequential": (sequential.p_values, sequential.p_values),  # compare() takes it of pairs alone
}


def median_of_ratios(base: Array, candidate: Array, resamples: int) -> Interval:
    """Return the median of the pairs' ratios, [B, n] each, with its BC interval."""
    one = np.ones((len(base), min(2, base.shape[1])))
    return ratio_of_quantiles(one, divide(candidate, base), resamples)


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


@dataclass(frozen=True, slots=True)
class Located:
    """The rows' ratios and p-values, [B] each; `noisy.Estimate` says what each is."""

    bounds: Interval
    second: Array
    p: Array
    p_least: Array
    p_effect: Array
    apart: Flags
    doubted: Flags  # significant but for what the samples depend


def located(
    base: Array,
    candidate: Array,
    policy: Policy,
    *,
    paired: bool,
    allowed: Dependence | None = None,
) -> Located:
    """Return where the candidates lie, rows [B, n] and [B, m]; exchanged sides give 1 / ratio.

    With `allowed` findings and intervals allow for samples that are seen to depend.
    """
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
    by_quantile = policy.quantile != MEDIAN and not paired
    if by_quantile:
        p = quantile_test(first, other, policy.quantile)
        p_least = quantile_floors(first, other, policy.quantile)
    else:
        p = _p_values(first, other, policy.test, paired=paired)
        p_least = significance.floors(first, other, policy.test, paired=paired)
    p_effect = significance.effect_p(first, other, paired=paired)
    doubted = np.zeros(len(p), dtype=np.bool_)
    if allowed is not None and allowed.seen().any():
        wide_p, low, high = allowed.limits(bounds.ratio, bounds.low, bounds.high)
        doubted = (p < policy.alpha) & (wide_p >= policy.alpha)
        p, p_effect = (np.where(q < wide_p, wide_p, q) for q in (p, p_effect))  # NaN stays
        bounds = Interval(bounds.ratio, np.fmin(bounds.low, low), np.fmax(bounds.high, high))
    return Located(
        bounds=_mirrored(bounds, turned),
        second=_mirrored(second, turned).ratio,
        p=p,
        p_least=p_least,
        p_effect=p_effect,
        apart=apart(first, other, paired=paired),
        doubted=doubted,
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
    if paired:
        change = mean_of_changes(significance.symmetric_change(first, other))
        if policy.test == "sequential":
            return Interval(*sequential.intervals(first, other, 1 - LEVEL)), change
        return median_of_ratios(first, other, policy.resamples), change
    quantiles = ratio_of_quantiles(first, other, policy.resamples, policy.quantile)
    return quantiles, ratio_of_means(first, other)


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

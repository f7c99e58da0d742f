# SPDX-License-Identifier: BSD-3-Clause
"""Where two sides lie to each other: ratio, interval and p-values, the same for either order.

Each row is looked at in an order of its own, the smaller side first, so that what is drawn or
rounded does not depend on which side is called the base.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntbbench.compare.policy import LEVEL, Policy, Test
from ntbbench.compare.statistics import interval, significance
from ntbbench.compare.statistics.interval import Interval, divide

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


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
    bounds, second = (medians, means) if policy.test == "mann-whitney" else (means, medians)
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
        change = significance.symmetric_change(first, other)
        return (
            interval.median_of_ratios(first, other, level=LEVEL, resamples=resamples),
            interval.mean_of_changes(change, level=LEVEL),
        )
    return (
        interval.ratio_of_medians(first, other, level=LEVEL, resamples=resamples),
        interval.ratio_of_means(first, other, level=LEVEL),
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
    ones = np.ones(len(turned))
    return Interval(
        np.where(turned, divide(ones, bounds.ratio), bounds.ratio),
        np.where(turned, divide(ones, bounds.high), bounds.low),
        np.where(turned, divide(ones, bounds.low), bounds.high),
    )


def _p_values(base: Array, candidate: Array, test: Test, *, paired: bool) -> Array:
    """Return the p-values of the chosen test; NaN with fewer than two samples on a side."""
    if min(base.shape[1], candidate.shape[1]) < 2:
        return np.full(len(base), np.nan)
    if paired:
        tests = {
            "mann-whitney": significance.wilcoxon,
            "permutation": significance.sign_flips,
            "welch": significance.paired_t,
        }
    else:
        tests = {
            "mann-whitney": significance.mann_whitney,
            "permutation": significance.permutation,
            "welch": significance.welch,
        }
    return tests[test](base, candidate)


def apart(base: Array, candidate: Array, *, paired: bool) -> Flags:
    """Return whether all of one side lies above all of the other, or all pairs changed one way."""
    if paired:
        change = candidate - base
        return np.asarray((change > 0).all(axis=1) | (change < 0).all(axis=1))
    return np.asarray(
        (candidate.min(axis=1) > base.max(axis=1)) | (candidate.max(axis=1) < base.min(axis=1))
    )

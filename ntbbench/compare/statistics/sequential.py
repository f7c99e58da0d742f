# SPDX-License-Identifier: BSD-3-Clause
"""A test of pairs that may be looked at after every pair, and stopped for what it says.

A pair's change is d = log(candidate / base). Where the order within each pair is drawn by a coin
and both sides are the same program, the sign of d is fair whatever the sizes |d| are: drift,
autocorrelation and heavy tails change none of it. So a gambler who bets on the next sign, by an
amount that may depend on all sizes so far, expects to gain nothing, and the chance that the wealth
ever reaches 1 / alpha is at most alpha (Ville 1939). 1 / wealth is a p-value at any time, and the
shifts s under which the signs of d - s have not made the gambler that rich are a confidence
sequence, where each side's noise is symmetric in its logarithm about a constant change.

The bet is tanh(STAKE * rank), the rank being that of |d| among the sizes so far, between 0 and 1:
Wilcoxon's signed rank as a test martingale. The wealth is the mean over all stakes and both signs.

Source: Reynolds 1975, Annals of Statistics 3:382 (sequential signed ranks); Ramdas, Ruf, Larsson
and Koolen 2020, arXiv:2009.03167 (martingales for symmetry); Vovk and Wang 2024, New England
Journal of Statistics in Data Science 2:261 (e-tests of symmetry). benches/sequences.py holds it
beside the normal mixture of Howard et al. 2021 and alpha spending.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]
STAKES = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2])  # from faint changes to all signs alike
GRID = 32  # shifts tried at a time
DIGITS = 12  # pairs of the same ratio stay tied
LARGEST = 400.0  # of a logarithm: a sample of zero against one that is not


def log_changes(base: Array, candidate: Array) -> Array:
    """Return log(candidate / base), float64[B, n]; 0 of two zeros, and finite everywhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log(candidate) - np.log(base)
    change = np.where(base == candidate, 0.0, np.clip(change, -LARGEST, LARGEST))
    return np.asarray(np.round(change, DIGITS), dtype=np.float64)


def p_values(base: Array, candidate: Array) -> Array:
    """Return the p-values, float64[B], of no change; they hold at any time."""
    changes = log_changes(base, candidate)
    return np.array([math.exp(-max(0.0, log_wealth(row, np.zeros(1))[0])) for row in changes])


def least_p(base: Array, candidate: Array) -> Array:
    """Return the p-values that these sizes would have had with all signs alike, float64[B]."""
    sizes = np.abs(log_changes(base, candidate))
    moved = sizes.any(axis=1)
    found = [math.exp(-max(0.0, log_wealth(row, np.zeros(1))[0])) for row in sizes]
    return np.where(moved, found, smallest_p(sizes.shape[1]))


def smallest_p(n: int) -> float:
    """Return the smallest p-value of n pairs: each changed more than those before, one way."""
    return math.exp(-max(0.0, log_wealth(np.arange(1.0, n + 1), np.zeros(1))[0]))


def log_wealth(change: Array, shifts: Array) -> Array:
    """Return the logarithm of the wealth against each shift, float64[G], after all pairs."""
    apart = np.round(change - shifts[:, None], DIGITS)
    ranks = np.array([sequential_ranks(sizes) for sizes in np.abs(apart).tolist()])
    bets = np.tanh(STAKES[:, None] * ranks[:, None]) * np.sign(apart)[:, None]  # [G, stakes, n]
    gains = [np.log1p(way * bets).sum(axis=2) for way in (1, -1)]
    return np.asarray(logsumexp(np.concatenate(gains, axis=1), axis=1) - math.log(2 * len(STAKES)))


def sequential_ranks(sizes: Sequence[float]) -> list[float]:
    """Return the rank of each size among those so far, over their number: above 0, up to 1.

    Of equal sizes it is the highest, so that a constant change is bet on as a growing one is.
    """
    ordered: list[float] = []
    ranks = []
    for number, size in enumerate(sizes, start=1):
        place = bisect_right(ordered, size)
        ordered.insert(place, size)
        ranks.append((place + 1) / number)
    return ranks


def interval(change: Array, alpha: float) -> tuple[float, float, float]:
    """Return the centre of the changes of pairs, float64[n], and its bounds.

    The centre is the median of the means of all two pairs (Hodges and Lehmann 1963). The wealth
    changes its value at those means alone. A bound is infinite where no shift is refused.
    """
    means = np.sort(((change[:, None] + change) / 2)[np.triu_indices(len(change))])
    centre = float(np.median(means))
    edges = np.unique(np.round(means, DIGITS))
    inside = (edges[1:] + edges[:-1]) / 2
    places = np.concatenate([[edges[0] - 1], inside, [edges[-1] + 1]])
    low = _outermost(change, places, alpha)
    high = _outermost(change, places[::-1], alpha)
    if low < 0 or high < 0:
        return centre, centre, centre
    bounds = np.concatenate([[-np.inf], edges, [np.inf]])
    return centre, float(bounds[low]), float(bounds[len(bounds) - 1 - high])


def _outermost(change: Array, places: Array, alpha: float) -> int:
    """Return the index of the first of the places that is not refused; -1: all of them are."""
    refused = -math.log(alpha)
    start, end, found = 0, len(places), -1
    while start < end:
        tried = np.unique(np.linspace(start, end - 1, min(GRID, end - start)).astype(np.intp))
        kept = np.flatnonzero(log_wealth(change, places[tried]) < refused)
        if len(kept) == 0:
            return found
        found = int(tried[kept[0]])
        start, end = (int(tried[kept[0] - 1]) + 1, found) if kept[0] else (found, found)
    return found


def intervals(base: Array, candidate: Array, alpha: float) -> tuple[Array, Array, Array]:
    """Return the ratio of pairs, [B, n] each, and its bounds, float64[B].

    NaN bounds: so few pairs refuse nothing.
    """
    rows = np.array([interval(row, alpha) for row in log_changes(base, candidate)])
    ratio, low, high = np.exp(rows).T
    nothing = (low == 0) & np.isinf(high)
    return ratio, np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)

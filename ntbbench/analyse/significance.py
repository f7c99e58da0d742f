# SPDX-License-Identifier: BSD-3-Clause
"""Two-sided p-values of many comparisons at once, and their correction over a family.

Every function takes a batch: `base` is float64[B, n] and `candidate` float64[B, m], one comparison
a row; the result is float64[B]. NaN stands for "no such test exists for these data".
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ntbbench.analyse.policy import Correction, Test

Array = NDArray[np.float64]

# scipy switches to the normal approximation where both sides have more than 8.
EXACT_SIDE = 8
ENUMERATED = 20_000  # at most this many arrangements are all looked at
SHUFFLES = 9_999  # random arrangements otherwise: with the observed one, 10,000
CHUNK = 4_000_000  # numbers held at a time


def mann_whitney(base: Array, candidate: Array) -> Array:
    """Return the Mann-Whitney p-values: exact for small samples, with or without ties.

    Without ties it is scipy's. With ties and few arrangements the midranks' permutation
    distribution is enumerated, because the normal approximation is too small in the tail there.
    """
    both = np.concatenate([base, candidate], axis=1)
    ordered = np.sort(both, axis=1)
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    n, m = base.shape[1], candidate.shape[1]
    p = np.ones(len(both))
    if (~tied).any():
        p[~tied] = stats.mannwhitneyu(base[~tied], candidate[~tied], axis=1).pvalue
    varied = tied & (ordered[:, 0] != ordered[:, -1])  # all equal: p is 1
    if varied.any() and arrangements_of(n, m) <= ENUMERATED:
        p[varied] = split_p(stats.rankdata(both[varied], axis=1), n)
    elif varied.any():
        p[varied] = stats.mannwhitneyu(
            base[varied], candidate[varied], axis=1, method="asymptotic"
        ).pvalue
    return p


def permutation(base: Array, candidate: Array) -> Array:
    """Return the p-values of the difference of the means under all (or 9,999) relabellings."""
    return split_p(np.concatenate([base, candidate], axis=1), base.shape[1])


def welch(base: Array, candidate: Array) -> Array:
    """Return the p-values of Welch's t; NaN where a side has one sample or neither varies."""
    if min(base.shape[1], candidate.shape[1]) < 2:
        return np.full(len(base), np.nan)
    moments = [(x.mean(axis=1), x.std(axis=1, ddof=1), x.shape[1]) for x in (base, candidate)]
    with np.errstate(divide="ignore", invalid="ignore"):
        result = stats.ttest_ind_from_stats(*moments[0], *moments[1], equal_var=False)
    return np.asarray(result.pvalue, dtype=np.float64)


def symmetric_change(base: Array, candidate: Array) -> Array:
    """Return (c - b) / (c + b) of each pair, which orders pairs as |log(c / b)| does.

    It is tanh(log(c / b) / 2): the sign and the ranks are those of the log ratio, and zeros are
    no special case. Rounded so that pairs with the same ratio stay tied.
    """
    total = base + candidate
    change = np.divide(candidate - base, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(np.round(change, 12), dtype=np.float64)


def wilcoxon(base: Array, candidate: Array) -> Array:
    """Return the signed-rank p-values of the log ratios of pairs, float64[B, n] each."""
    change = symmetric_change(base, candidate)
    size = np.sort(np.abs(change), axis=1)
    awkward = (size[:, 0] == 0) | (size[:, 1:] == size[:, :-1]).any(axis=1)
    p = np.ones(len(change))
    if (~awkward).any():
        p[~awkward] = stats.wilcoxon(change[~awkward], axis=1).pvalue
    for row in np.flatnonzero(awkward & (size[:, -1] > 0)):
        moved = change[row][change[row] != 0]  # Wilcoxon's rule: a pair without change says nothing
        ranked = stats.rankdata(np.abs(moved)) * np.sign(moved)
        p[row] = (
            sign_p(ranked[None, :])[0]
            if len(moved) < 60 and 2 ** len(moved) <= ENUMERATED
            else normal_p(ranked)
        )
    return p


def normal_p(ranked: Array) -> float:
    """Return the signed-rank p-value by the normal approximation, continuity-corrected."""
    excess = max(0.0, abs(float(ranked.sum())) - 1.0)
    return float(2 * stats.norm.sf(excess / np.sqrt(np.sum(ranked**2))))


def sign_flips(base: Array, candidate: Array) -> Array:
    """Return the p-values of the mean change of pairs under all (or 9,999) flips of sign."""
    return sign_p(symmetric_change(base, candidate))


def paired_t(base: Array, candidate: Array) -> Array:
    """Return the p-values of t on the relative changes of pairs; NaN where they do not vary."""
    change = symmetric_change(base, candidate)
    n = change.shape[1]
    error = change.std(axis=1, ddof=1) / np.sqrt(n)
    t = np.divide(change.mean(axis=1), error, out=np.full(len(change), np.nan), where=error > 0)
    return np.asarray(2 * stats.t.sf(np.abs(t), n - 1), dtype=np.float64)


def split_p(values: Array, n: int) -> Array:
    """Return the p-value of the sum of the first `n` columns under relabelling of columns."""
    centred = values - values.mean(axis=1, keepdims=True)
    return arranged_p(centred, centred[:, :n].sum(axis=1), splits(values.shape[1], n))


def sign_p(values: Array) -> Array:
    """Return the p-value of the row sums under flips of each value's sign."""
    return arranged_p(values, values.sum(axis=1), flips(values.shape[1]))


def arranged_p(values: Array, observed: Array, arrangements: Iterator[Array]) -> Array:
    """Return twice the smaller share of arrangements (weights, [P, N]) at least as extreme.

    The smaller of the shares above and below the observed sum, as in scipy.stats.permutation_test.
    """
    slack = 1e-12 * np.abs(values).sum(axis=1)
    above, below = np.zeros((2, len(values)))
    total = 0
    for weights in arrangements:
        step = max(1, CHUNK // len(weights))
        for start in range(0, len(values), step):
            rows = slice(start, start + step)
            sums = weights @ values[rows].T
            above[rows] += (sums >= observed[rows] - slack[rows]).sum(axis=0)
            below[rows] += (sums <= observed[rows] + slack[rows]).sum(axis=0)
        total += len(weights)
    return np.asarray(np.minimum(2 * np.minimum(above, below) / total, 1.0), dtype=np.float64)


def arrangements_of(n: int, m: int) -> float:
    """Return the number of ways to choose n of n + m; infinity beyond what a double holds.

    Not by exact integers: of millions of samples those have millions of digits.
    """
    size = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
    if n + m <= 60:
        return float(comb(n + m, n))
    return math.exp(size) if size < 700 else math.inf


def splits(size: int, n: int) -> Iterator[Array]:
    """Yield 0/1 weights [P, size] that choose n of size columns: all ways, or the first + 9,999."""
    if arrangements_of(n, size - n) <= ENUMERATED:
        chosen = np.array(list(combinations(range(size), n)))
        weights = np.zeros((len(chosen), size))
        np.put_along_axis(weights, chosen, 1.0, axis=1)
        yield weights
        return
    first = np.zeros((1, size))
    first[0, :n] = 1.0
    yield first
    rng = np.random.Generator(np.random.PCG64DXSM(size * 1_000_003 + n))
    yield from shuffled(lambda rows: rng.permuted(np.repeat(first, rows, axis=0), axis=1), size)


def flips(size: int) -> Iterator[Array]:
    """Yield -1/+1 weights [P, size]: all of them, or the observed one and 9,999 at random."""
    if 2.0 ** min(size, 1000) <= ENUMERATED:
        bits = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
        yield np.asarray(1.0 - 2.0 * bits, dtype=np.float64)
        return
    yield np.ones((1, size))
    rng = np.random.Generator(np.random.PCG64DXSM(size))
    yield from shuffled(lambda rows: rng.choice([-1.0, 1.0], size=(rows, size)), size)


def shuffled(draw: Callable[[int], Array], size: int) -> Iterator[Array]:
    """Yield SHUFFLES random rows in pieces of bounded size."""
    step = max(1, min(SHUFFLES, CHUNK // size))
    for start in range(0, SHUFFLES, step):
        yield draw(min(step, SHUFFLES - start))


@cache
def smallest_p(test: Test, n: int, m: int, *, paired: bool) -> float:
    """Return the smallest p-value that `test` can give for these sample sizes."""
    if min(n, m) < 2:
        return 1.0
    if test == "welch":
        return 0.0
    ways = 2.0 ** min(n, 1000) if paired else arrangements_of(n, m)
    exact = 2 / ways
    if test == "permutation":
        return exact if ways <= ENUMERATED else 2 / (SHUFFLES + 1)
    if paired:
        return exact
    if min(n, m) <= EXACT_SIDE:
        return exact
    sigma = np.sqrt(n * m * (n + m + 1) / 12)
    return float(2 * stats.norm.sf((n * m / 2 - 0.5) / sigma))


def adjust(p: Array, correction: Correction) -> Array:
    """Return the p-values adjusted over the family `p`, float64[k]; NaN is not accepted.

    Holm (1979), Scandinavian Journal of Statistics 6: holds the chance of any false alarm in the
    family below alpha whatever the dependence. Benjamini and Hochberg (1995), JRSS B 57: holds
    the expected share of false alarms among the alarms.
    """
    if correction == "none" or len(p) == 0:
        return p.copy()
    if correction == "bh":
        return np.asarray(stats.false_discovery_control(p), dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def next_level(p: Array, correction: Correction, alpha: float) -> float:
    """Return the level below which one more p-value of the family `p` would be significant.

    Holm steps down: after k rejections the next needs alpha / (size - k). Benjamini and Hochberg
    step up: the level is j alpha / size for the largest j with j - 1 others at or below it.
    """
    size = len(p)
    if correction == "none" or size == 0:
        return alpha
    if correction == "holm":
        rejected = int((adjust(p, "holm") < alpha).sum())
        return alpha / max(1, size - rejected)
    steps = alpha * np.arange(1, size + 1) / size
    fits = np.concatenate([[0.0], np.sort(p)[:-1]]) <= steps
    return float(steps[np.flatnonzero(fits)[-1]])

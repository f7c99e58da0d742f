# SPDX-License-Identifier: BSD-3-Clause
"""Two-sided p-values of many comparisons at once, and their correction over a family.

Every function takes a batch: `base` is float64[B, n] and `candidate` float64[B, m], one comparison
a row; the result is float64[B]. NaN stands for "no such test exists for these data".
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln

from ntbbench.compare.policy import Correction, Test
from ntbbench.compare.statistics import sequential
from ntbbench.compare.statistics.arrangements import (
    ENUMERATED,
    MOST_PAIRS,
    SHUFFLES,
    TAIL_STEPS,
    TIED_STEPS,
    arrangements_of,
    counted,
    drawn_rank_sum_p,
    log_arrangements,
    rank_sums,
    sign_p,
    signed_rank_p,
    split_p,
    tied_rank_sum_p,
    tied_steps,
)

Array = NDArray[np.float64]

# Tied samples beyond the exact distribution are drawn while the smaller side has at most these.
# In the tail the normal approximation is too small by a factor of 15 at 5 against 100.
DRAWN_SIDE = 100
FEW_DRAWS = 20 / (
    SHUFFLES + 1
)  # below it draws are too few: counted exactly where that is possible
# A p-value above it decides nothing, and the normal approximation is good there.
UNDECIDED = 0.2


def mann_whitney(base: Array, candidate: Array) -> Array:
    """Return the Mann-Whitney p-values, with or without ties.

    Without ties exact up to at least 50 a side. With ties the midranks' permutation distribution is
    enumerated, counted, or, beyond some 50 a side, drawn; above 100 a side the normal
    approximation is used.
    """
    if base.shape[1] > candidate.shape[1]:
        base, candidate = candidate, base
    n = base.shape[1]
    both = np.concatenate([base, candidate], axis=1)
    ordered = np.sort(both, axis=1)
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    p = np.ones(len(both))
    if (~tied).any():
        p[~tied] = _untied_p(both[~tied], n)
    varied = tied & (ordered[:, 0] != ordered[:, -1])  # all equal: p is 1
    if varied.any():
        p[varied] = _tied_p(both[varied], n)
    return p


def _untied_p(both: Array, n: int) -> Array:
    """Return the p-values of the ranks of the first n columns; no two values of a row are equal."""
    m = both.shape[1] - n
    if not counted(n, m):
        return _normal_rank_sum_p(both, n)
    rank_sum = stats.rankdata(both, axis=1)[:, :n].sum(axis=1)
    u = np.rint(rank_sum - n * (n + 1) / 2).astype(np.int64)
    lower = np.minimum(u, n * m - u)
    return np.asarray(np.minimum(2 * rank_sums(n, m)[lower], 1.0), dtype=np.float64)


def _tied_p(both: Array, n: int) -> Array:
    """Return the p-values of the midranks of the first n columns, the smaller side."""
    m = both.shape[1] - n
    if arrangements_of(n, m) <= ENUMERATED:
        return split_p(stats.rankdata(both, axis=1), n)
    ranks = stats.rankdata(both, axis=1)
    if tied_steps(n, m) <= TIED_STEPS:
        return np.array([tied_rank_sum_p(row, n) for row in ranks])
    p = _normal_rank_sum_p(both, n)
    for row in np.flatnonzero((p < UNDECIDED) | (n < MOST_PAIRS)) if drawn(n, m) else ():
        p[row] = drawn_rank_sum_p(ranks[row], n)
        if p[row] <= FEW_DRAWS and tied_steps(n, m) <= TAIL_STEPS:
            p[row] = tied_rank_sum_p(ranks[row], n)
    return p


def _normal_rank_sum_p(both: Array, n: int) -> Array:
    result = stats.mannwhitneyu(both[:, :n], both[:, n:], axis=1, method="asymptotic")
    return np.asarray(result.pvalue, dtype=np.float64)


def permutation(base: Array, candidate: Array) -> Array:
    """Return the p-values of the difference of the means under all (or 20,000) relabellings."""
    return split_p(np.concatenate([base, candidate], axis=1), base.shape[1])


def welch(base: Array, candidate: Array) -> Array:
    """Return the p-values of Welch's t; NaN where a side has one sample or all are equal."""
    if min(base.shape[1], candidate.shape[1]) < 2:
        return np.full(len(base), np.nan)
    moments = [(x.mean(axis=1), x.std(axis=1, ddof=1), x.shape[1]) for x in (base, candidate)]
    with np.errstate(divide="ignore", invalid="ignore"):
        result = stats.ttest_ind_from_stats(*moments[0], *moments[1], equal_var=False)
    return np.asarray(result.pvalue, dtype=np.float64)


def welch_freedom(sides: Iterable[tuple[Array, int]]) -> tuple[Array, Array]:
    """Return the variance of a difference, float64[B], and Welch's degrees of freedom.

    Of each side a variance, float64[B], and the number of samples; where neither varies the freedom
    is that of the smaller one.
    """
    shares = [(variance / n, n - 1) for variance, n in sides]
    total = np.asarray(sum(share for share, _ in shares), dtype=np.float64)
    parts = np.asarray(sum(share**2 / free for share, free in shares), dtype=np.float64)
    least = np.full(len(total), float(min(free for _, free in shares)))
    return total, np.asarray(np.divide(total**2, parts, out=least, where=parts > 0))


def effect_p(base: Array, candidate: Array, *, paired: bool) -> Array:
    """Return the p-values of t on the logarithms: Welch's, or of pairs on their changes.

    For samples so few that no rank test reaches the family's level. Zero where the sides differ and
    neither varies; NaN where both sides or a pair have one sample, or there is a sample of zero.

    One sample is held against the spread of the other side. Reference: Hahn and Meeker 1991,
    Statistical Intervals: the variance of a new value about the mean of n is 1 + 1/n of one's.
    """
    smaller, larger = sorted((base, candidate), key=lambda side: side.shape[1])
    if larger.shape[1] < 2 or (paired and smaller.shape[1] < 2):
        return np.full(len(base), np.nan)
    positive = np.asarray((base > 0).all(axis=1) & (candidate > 0).all(axis=1))
    if paired:
        change = symmetric_change(base, candidate)
        p, differ = paired_t(base, candidate), change[:, 0] != 0
        steady = (change == change[:, :1]).all(axis=1)
    else:
        ones = np.where(positive[:, None], base, 1.0), np.where(positive[:, None], candidate, 1.0)
        logs = np.log(ones[0]), np.log(ones[1])
        p = welch(*logs) if smaller.shape[1] > 1 else new_value_t(*logs)
        differ = base[:, 0] != candidate[:, 0]
        steady = (base == base[:, :1]).all(axis=1) & (candidate == candidate[:, :1]).all(axis=1)
    p = np.where(steady, np.where(differ, 0.0, 1.0), p)
    return np.asarray(np.where(positive, p, np.nan), dtype=np.float64)


def new_value_t(first: Array, second: Array) -> Array:
    """Return the p-values of float64[B, 1] beside float64[B, n], n > 1, in any order."""
    new, before = sorted((first, second), key=lambda side: side.shape[1])
    n = before.shape[1]
    error = before.std(axis=1, ddof=1) * np.sqrt(1 + 1 / n)
    change = np.abs(new[:, 0] - before.mean(axis=1))
    t = np.divide(change, error, out=np.full(len(error), np.inf), where=error > 0)
    return np.asarray(2 * stats.t.sf(t, n - 1), dtype=np.float64)


def symmetric_change(base: Array, candidate: Array) -> Array:
    """Return (c - b) / (c + b) of each pair, which orders pairs as |log(c / b)| does.

    It is tanh(log(c / b) / 2): the sign and the ranks are those of the log ratio, and zeros are
    no special case. Rounded so that pairs with the same ratio stay tied.
    """
    total = base + candidate
    change = np.divide(candidate - base, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(np.round(change, 12), dtype=np.float64)


def wilcoxon(base: Array, candidate: Array) -> Array:
    """Return the signed-rank p-values of the log ratios of pairs, float64[B, n] each.

    Exact up to 50 pairs that changed, with or without ties; the normal approximation beyond.
    """
    change = symmetric_change(base, candidate)
    p = np.ones(len(change))
    for row in np.flatnonzero(change.any(axis=1)):
        moved = change[row][change[row] != 0]  # Wilcoxon's rule: a pair without change says nothing
        ranked = stats.rankdata(np.abs(moved)) * np.sign(moved)
        p[row] = signed_rank_p(ranked) if len(moved) <= MOST_PAIRS else normal_p(ranked)
    return p


def normal_p(ranked: Array) -> float:
    """Return the signed-rank p-value by the normal approximation, continuity-corrected."""
    excess = max(0.0, abs(float(ranked.sum())) - 1.0)
    return float(2 * stats.norm.sf(excess / np.sqrt(np.sum(ranked**2))))


def sign_flips(base: Array, candidate: Array) -> Array:
    """Return the p-values of the mean change of pairs under all (or 20,000) flips of sign."""
    return sign_p(symmetric_change(base, candidate))


def paired_t(base: Array, candidate: Array) -> Array:
    """Return the p-values of t on the relative changes of pairs; NaN where they do not vary."""
    change = symmetric_change(base, candidate)
    n = change.shape[1]
    error = change.std(axis=1, ddof=1) / np.sqrt(n)
    t = np.divide(change.mean(axis=1), error, out=np.full(len(change), np.nan), where=error > 0)
    return np.asarray(2 * stats.t.sf(np.abs(t), n - 1), dtype=np.float64)


@cache
def smallest_p(test: Test, n: int, m: int, *, paired: bool) -> float:
    """Return the smallest p-value that `test` can give for these sample sizes, without ties."""
    if min(n, m) < 2:
        return 1.0
    if test in ("welch", "sequential"):
        return 0.0 if test == "welch" else sequential.smallest_p(n)
    ways = 2.0 ** min(n, 1000) if paired else arrangements_of(n, m)
    if test == "permutation":
        return 2 / (SHUFFLES + 1) if ways > ENUMERATED else 2 / ways
    if paired and n > MOST_PAIRS:
        return normal_p(np.arange(1.0, n + 1))
    if paired or counted(n, m):
        return 2 / ways
    sigma = np.sqrt(n * m * (n + m + 1) / 12)
    return float(2 * stats.norm.sf((n * m / 2 - 0.5) / sigma))


def floors(base: Array, candidate: Array, test: Test, *, paired: bool) -> Array:
    """Return the smallest p-value that `test` can give for samples like these, by row.

    That of the sample sizes; higher where values tie, where pairs did not change, and where tied
    samples are drawn; 1 where Welch's t does not exist. Where all values are equal, ties say
    nothing: it is that of the sizes.
    """
    n, m = base.shape[1], candidate.shape[1]
    if test == "sequential":
        return sequential.least_p(base, candidate)
    least = np.full(len(base), smallest_p(test, n, m, paired=paired))
    if test == "welch" and min(n, m) > 1:
        p = paired_t(base, candidate) if paired else welch(base, candidate)
        least = np.where(np.isnan(p), 1.0, least)
    if test == "welch" or min(n, m) < 2:
        return least
    if paired:
        moved = (symmetric_change(base, candidate) != 0).sum(axis=1)
        return np.where(moved > 0, np.maximum(least, 2.0 ** (1.0 - np.minimum(moved, 1000))), least)
    return _tied_floors(np.concatenate([base, candidate], axis=1), min(n, m), least)


def _tied_floors(both: Array, k: int, least: Array) -> Array:
    """Return the p-values of the k smallest, or the k largest, of each row, the smaller of both.

    Of the values that tie with the last one chosen, any may be chosen.
    """
    ordered = np.sort(both, axis=1)
    size = ordered.shape[1]
    floor = np.ones(len(both))
    for edge, beyond in ((ordered[:, k - 1], np.less), (ordered[:, size - k], np.greater)):
        ties = (ordered == edge[:, None]).sum(axis=1)
        free = k - beyond(ordered, edge[:, None]).sum(axis=1)
        ways = gammaln(ties + 1) - gammaln(free + 1) - gammaln(ties - free + 1)
        floor = np.minimum(floor, 2 * np.exp(ways - log_arrangements(k, size - k)))
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if drawn(k, size - k) and tied_steps(k, size - k) > TAIL_STEPS:
        floor = np.where(tied, np.maximum(floor, 2 / (SHUFFLES + 1)), floor)
    varied = ordered[:, 0] != ordered[:, -1]
    return np.where(tied & varied, np.maximum(least, floor), least)


def drawn(n: int, m: int) -> bool:
    """Return whether the p-value of n against m tied samples comes from random arrangements."""
    return min(n, m) <= DRAWN_SIDE and tied_steps(n, m) > TIED_STEPS


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

# SPDX-License-Identifier: BSD-3-Clause
"""Null distributions of the tests: every way to relabel samples, or to flip the signs of pairs.

Exact where that is cheap, by counting instead of listing; seeded random arrangements beyond.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ENUMERATED = 20_000  # at most this many arrangements are all looked at
# Random arrangements otherwise: with the observed one 20,000, so that the smallest p-value does not
# rise where enumeration ends.
SHUFFLES = 19_999
CHUNK = 4_000_000  # numbers held at a time
# Steps of one exact distribution. Without ties 460 against 460 fit, with ties 50 against 50.
UNTIED_STEPS = 100_000_000
TIED_STEPS = 25_000_000
TAIL_STEPS = 400_000_000  # of one that decides, where draws see too little: 100 against 100
MOST_PAIRS = 50  # as scipy.stats.wilcoxon


def counted(k: int, m: int) -> bool:
    """Return whether the rank sums of k against m untied samples are counted exactly."""
    return min(k, m) * k * m <= UNTIED_STEPS


@cache
def rank_sums(k: int, m: int) -> Array:
    """Return P(U <= u) of Mann and Whitney's U without ties, for u from 0 to k m / 2.

    The counts are the coefficients of the Gaussian binomial (m + k choose k), built factor by
    factor, each step a distribution: Mann and Whitney (1947), Annals of Mathematical Statistics 18.
    """
    k, m = sorted((k, m))
    share = np.zeros(k * m // 2 + 1)
    share[0] = 1.0
    for i in range(1, k + 1):
        lifted = share.copy()
        lifted[m + i :] -= share[: max(0, len(share) - m - i)]  # times 1 - x^(m + i)
        rows = -(-len(lifted) // i)
        padded = np.zeros(rows * i)
        padded[: len(lifted)] = lifted
        summed = np.cumsum(padded.reshape(rows, i), axis=0)  # over 1 - x^i
        share = summed.ravel()[: len(lifted)] * (i / (m + i))
    return np.asarray(np.cumsum(share), dtype=np.float64)


def tied_steps(k: int, m: int) -> int:
    """Return what the exact distribution of tied rank sums costs, in additions."""
    return 2 * (k + m) * min(k, m) * k * m


def tied_rank_sum_p(ranks: Array, k: int) -> float:
    """Return the p-value of the first k of the midranks `ranks`, float64[N], all ways counted.

    Twice the smaller share of the choices of k whose sum is at most, or at least, the observed.
    """
    doubled = np.rint(2 * (ranks - ranks.min())).astype(np.int64)
    observed = int(doubled[:k].sum())
    most = int(np.sort(doubled)[-k:].sum())
    ways = np.zeros((k + 1, most + 1))  # of j items, by their sum
    ways[0, 0] = 1.0
    for value in doubled.tolist():
        ways[1:, value:] += ways[:-1, : most + 1 - value]
    row = ways[k]
    tail = min(row[: observed + 1].sum(), row[observed:].sum())
    return min(1.0, float(2 * tail / row.sum()))


def drawn_rank_sum_p(ranks: Array, k: int) -> float:
    """Return the p-value of the first k of the midranks `ranks` among SHUFFLES random choices."""
    values, ties = np.unique(ranks, return_counts=True)
    observed = float(ranks[:k].sum())
    rng = np.random.Generator(np.random.PCG64DXSM([len(ranks), k]))
    below = above = 1
    step = max(1, min(SHUFFLES, CHUNK // len(values)))
    for start in range(0, SHUFFLES, step):
        size = min(step, SHUFFLES - start)
        sums = rng.multivariate_hypergeometric(ties, k, size=size, method="count") @ values
        below += int((sums <= observed + 0.25).sum())  # sums of midranks are halves
        above += int((sums >= observed - 0.25).sum())
    return min(1.0, 2 * min(below, above) / (SHUFFLES + 1))


def signed_rank_p(ranked: Array) -> float:
    """Return the p-value of the sum of signed ranks, float64[n], under all flips of sign.

    Midranks are halves, so their doubles are counted.
    """
    sizes = np.rint(2 * np.abs(ranked)).astype(np.int64)
    observed = int(sizes[ranked > 0].sum())
    share = np.zeros(int(sizes.sum()) + 1)
    share[0] = 1.0
    for size in sizes.tolist():
        flipped = share / 2
        flipped[size:] += share[: len(share) - size] / 2
        share = flipped
    return min(1.0, float(2 * min(share[: observed + 1].sum(), share[observed:].sum())))


def split_p(values: Array, n: int) -> Array:
    """Return the p-value of the sum of the first `n` columns under relabelling of columns."""
    centred = values - values.mean(axis=1, keepdims=True)
    return _arranged_p(centred, centred[:, :n].sum(axis=1), splits(values.shape[1], n))


def sign_p(values: Array) -> Array:
    """Return the p-value of the row sums under flips of each value's sign."""
    return _arranged_p(values, values.sum(axis=1), flips(values.shape[1]))


def _arranged_p(values: Array, observed: Array, arrangements: Iterator[Array]) -> Array:
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
    if n + m <= 60:
        return float(comb(n + m, n))
    size = log_arrangements(n, m)
    return math.exp(size) if size < 700 else math.inf


def log_arrangements(n: int, m: int) -> float:
    """Return the logarithm of the number of ways to choose n of n + m."""
    return math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)


def splits(size: int, n: int) -> Iterator[Array]:
    """Yield 0/1 weights [P, size] that choose n of size columns: all ways, or 20,000 of them."""
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
    """Yield -1/+1 weights [P, size]: all of them, or the observed one and 19,999 at random."""
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

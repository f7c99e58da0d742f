# SPDX-License-Identifier: BSD-3-Clause
"""The smallest change that the gate would find, and how many runs would settle a question.

A finding needs three things at once: the test reaches its level, the interval excludes no change,
and the ratio itself lies beyond the threshold. Of normal samples as many as there are, drawn once,
the shift from which on all three hold is known; the spread of the data, which a few outliers do not
move, is its unit. Of many samples the normal limits are drawn instead: the efficiency of the rank
tests against t is 3/pi (Hodges and Lehmann 1956), that of the median 2/pi. benches/dependence.py
checks the power.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ntbbench.compare.policy import LEVEL, SETTLED, Test
from ntbbench.compare.statistics import sequential
from ntbbench.compare.statistics.arrangements import counted, rank_sums
from ntbbench.compare.statistics.dependence import winsorised
from ntbbench.compare.statistics.location import median_of_ratios
from ntbbench.compare.statistics.quantiles import ratio_of_quantiles
from ntbbench.compare.statistics.significance import smallest_p, welch_freedom
from ntbbench.compare.warning_list import FEW

Array = NDArray[np.float64]
POWER = 0.8
RANK_LOSS = np.sqrt(np.pi / 3)  # of a rank test's standard error against t's
MEDIAN_LOSS = np.sqrt(np.pi / 2)  # of the median's standard error against the mean's
MIXTURE = 8.0  # the wealth of the best bet over that of the mean of all bets, with most effects
MOST_RUNS = 1_000_000
MOST_FEWEST = 200  # runs with which every test that can reach a level at all has reached it
DRAWS = 500
FEW_DRAWS = 100  # of pairs that are added until they decide: each takes its time
FEW_PAIRS, LARGEST_SHIFT, HALVINGS = 16, 16.0, 12
MOST_PAIRED = 2500  # differences between the sides that are looked at one by one
TINY = 1e-6  # relative spread at which a shift and the logarithm of a ratio are the same


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many samples each side has; of pairs both have as many."""

    n_base: int
    n_candidate: int
    paired: bool

    def smaller(self) -> int:
        """Return the size of the smaller side."""
        return min(self.n_base, self.n_candidate)

    def freedom(self) -> float:
        """Return the degrees of freedom of t on samples of equal variance."""
        return float(self.n_base - 1 if self.paired else self.n_base + self.n_candidate - 2)

    def differences(self) -> int:
        """Return how many differences between samples a rank test looks at."""
        if self.paired:
            return self.n_base * (self.n_base + 1) // 2
        return self.n_base * self.n_candidate


@dataclass(frozen=True, slots=True)
class Spread:
    """Relative variance of one run on each side, float64[B]; of pairs `base` holds the ratio's."""

    base: Array
    candidate: Array
    sizes: Sizes
    inflation: Array | float = 1.0  # of the variance, where samples are seen to depend
    drift: Array | float = 0.0  # relative change that no finding may rest on

    def error(self) -> Array:
        """Return the relative standard error of the ratio of the means."""
        variance = welch_freedom(self._sides())[0] * self.inflation
        return np.asarray(np.sqrt(variance), dtype=np.float64)

    def freedom(self) -> Array:
        """Return Welch's degrees of freedom, fewer where samples are seen to depend."""
        free = welch_freedom(self._sides())[1]
        if self.sizes.paired:
            free = np.full(len(self.base), float(self.sizes.smaller() - 1))
        return np.asarray(np.maximum(free / self.inflation, 1.0))

    def _sides(self) -> tuple[tuple[Array, int], ...]:
        return (self.base, self.sizes.n_base), (self.candidate, self.sizes.n_candidate)


def spread_of(base: Array, candidate: Array, *, paired: bool) -> Spread:
    """Return the relative spread of samples [B, n] and [B, m]; NaN for single samples."""
    sizes = Sizes(base.shape[1], candidate.shape[1], paired)
    if paired:
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.where(base > 0, candidate / base, np.nan)
        return Spread(_relative_variance(change), np.zeros(len(base)), sizes)
    return Spread(_relative_variance(base), _relative_variance(candidate), sizes)


def spread_by_interval(low: Array, high: Array, sizes: Sizes) -> Spread:
    """Return the spread of samples whose ratio has these intervals, float64[B] each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (np.log(high) - np.log(low)) / (2 * stats.norm.ppf((1 + LEVEL) / 2))
    return Spread(error**2 * sizes.n_base / 2, error**2 * sizes.n_candidate / 2, sizes)


def _relative_variance(samples: Array) -> Array:
    """Return the variance of each row over its median squared, both robust; NaN: no such."""
    if samples.shape[1] < 2:
        return np.full(len(samples), np.nan)
    centre = np.median(samples, axis=1)
    variance = winsorised(samples).var(axis=1, ddof=1)
    relative = np.divide(variance, centre**2, out=np.full_like(centre, np.nan), where=centre > 0)
    return np.asarray(relative, dtype=np.float64)


def minimal_effect(spread: Spread, test: Test, level: float, threshold: Array) -> Array:
    """Return the true change that is called regressed with 80 % power; NaN: none is.

    Parameters
    ----------
    level : the corrected level that the test must reach.
    threshold : of each row, float64[B]; the ratio must lie beyond it.
    """
    sizes = spread.sizes
    smallest = smallest_p(test, sizes.n_base, sizes.n_candidate, paired=sizes.paired)
    if smallest >= level:
        return np.full(len(spread.base), np.nan)
    of_test, of_interval, estimate = _shifts(test, sizes, level)
    error = spread.error()[:, None]
    wider = stats.t.isf(level / 2, spread.freedom()) / stats.t.isf(level / 2, sizes.freedom())
    wider = np.where(spread.inflation > 1, wider, 1.0)[:, None]  # else the draws hold it
    drift = np.broadcast_to(spread.drift, len(spread.base))[:, None]
    needed = np.maximum(of_test * wider, of_interval) * error + drift
    needed = np.maximum(needed, np.log1p(threshold)[:, None] - estimate * error)
    known = np.isfinite(error[:, 0])
    smallest_found = np.quantile(np.where(known[:, None], needed, np.nan), POWER, axis=1)
    with np.errstate(over="ignore"):  # infinite: samples of no location, and no change is found
        return np.asarray(np.expm1(smallest_found), dtype=np.float64)


@cache
def _shifts(test: Test, sizes: Sizes, level: float) -> tuple[Array, Array, Array]:
    """Return of normal samples the shifts that the test and the interval need, and the estimate.

    float64[DRAWS] each, in standard errors of the difference of the means; as if nothing changed.
    """
    rng = np.random.Generator(np.random.PCG64DXSM([sizes.n_base, sizes.n_candidate]))
    if test == "sequential":
        if sizes.differences() <= MOST_PAIRED:
            return _sequential_shifts(_leading_bits(sizes.n_base), level)
        luck = rng.normal(size=DRAWS)
        of_test, of_interval = (RANK_LOSS * _sequential(tail, luck) for tail in (level, 1 - LEVEL))
        return of_test, of_interval, RANK_LOSS * luck
    if test != "mann-whitney":
        estimate, freedom = rng.normal(size=DRAWS), sizes.freedom()
        scale = np.sqrt(rng.chisquare(freedom, DRAWS) / freedom)
        of_test, of_interval = (
            stats.t.isf(tail / 2, freedom) * scale - estimate for tail in (level, 1 - LEVEL)
        )
        return of_test, of_interval, estimate
    if sizes.differences() > MOST_PAIRED:
        both, rest = rng.normal(size=(2, DRAWS))
        behind = RANK_LOSS * both
        estimate = behind + np.sqrt(MEDIAN_LOSS**2 - RANK_LOSS**2) * rest
        reach = stats.norm.ppf((1 + LEVEL) / 2) * MEDIAN_LOSS
        return stats.norm.isf(level / 2) * RANK_LOSS - behind, reach - estimate, estimate
    candidate = rng.normal(size=(DRAWS, sizes.n_candidate))
    if sizes.paired:
        base, sides = np.zeros((DRAWS, 1)), [candidate]
        i, j = np.triu_indices(sizes.n_base)
        differences = -(candidate[:, i] + candidate[:, j]) / 2  # Walsh averages
        bounds = median_of_ratios(np.ones_like(candidate), 1 + TINY * candidate, DRAWS)
    else:
        base = rng.normal(size=(DRAWS, sizes.n_base))
        sides = [base, candidate]
        differences = (base[:, :, None] - candidate[:, None, :]).reshape(DRAWS, -1)
        bounds = ratio_of_quantiles(1 + TINY * base, 1 + TINY * candidate, DRAWS)
    # The error as the data tell it: of few samples that is less than it is.
    told = sum(winsorised(side).var(axis=1, ddof=1) / side.shape[1] for side in sides)
    error = np.median(np.sqrt(told))
    most = _critical(sizes, level)
    of_test = np.partition(differences, most, axis=1)[:, most]
    estimate = np.median(candidate, axis=1) - np.median(base, axis=1)
    return of_test / error, -(bounds.low - 1) / TINY / error, estimate / error


def _leading_bits(n: int) -> int:
    """Return the three leading bits of n: few more pairs have nothing drawn anew."""
    spare = max(n.bit_length() - 3, 0) if n >= FEW_PAIRS else 0
    return n >> spare << spare


@cache
def _sequential_shifts(n: int, level: float) -> tuple[Array, Array, Array]:
    """Return what `_shifts` does of n pairs that are added until they decide."""
    rng = np.random.Generator(np.random.PCG64DXSM(n))
    changes = rng.normal(size=(FEW_DRAWS, n))
    error = np.median(np.sqrt(winsorised(changes).var(axis=1, ddof=1) / n))
    needed = {tail: _bisected(changes, tail) / error for tail in {level, 1 - LEVEL}}
    i, j = np.triu_indices(n)
    estimate = np.median((changes[:, i] + changes[:, j]) / 2, axis=1)
    return needed[level], needed[1 - LEVEL], estimate / error


def _bisected(changes: Array, level: float) -> Array:
    """Return by how much the changes of each row, [B, n], must rise for the test.

    NaN: of too many rows no rise is enough.
    """
    low, high = np.zeros(len(changes)), np.full(len(changes), LARGEST_SHIFT)
    none = sequential.log_wealth(changes, -high) < -np.log(level)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = sequential.log_wealth(changes, -middle) >= -np.log(level)
        low, high = np.where(found, low, middle), np.where(found, middle, high)
    return high if none.mean() <= 1 - POWER else np.full(len(high), np.nan)


def _critical(sizes: Sizes, level: float) -> int:
    """Return how many differences between the sides may be on the wrong side, less one."""
    n, m, total = sizes.n_base, sizes.n_candidate, sizes.differences()
    if not sizes.paired and counted(n, m):
        tail = 2 * rank_sums(n, m)
    else:
        spread = n * (n + 1) * (2 * n + 1) / 24 if sizes.paired else n * m * (n + m + 1) / 12
        below = np.arange(total // 2 + 1)
        tail = 2 * stats.norm.cdf((below + 0.5 - total / 2) / np.sqrt(spread))
    allowed = int((tail < level).sum()) - 1  # so many may be wrong
    return total - 1 - max(allowed, 0)


def _losses(test: Test) -> tuple[float, float]:
    """Return the standard errors, against the mean's, behind the test and of the ratio."""
    if test == "sequential":  # the ratio is Hodges and Lehmann's, which the ranks are of
        return RANK_LOSS, RANK_LOSS
    return (RANK_LOSS, MEDIAN_LOSS) if test == "mann-whitney" else (1.0, 1.0)


def _sequential(level: float, luck: Array | float) -> Array:
    """Return how many standard errors a change must have that a sequential test finds.

    It is found when the logarithm of the wealth exceeds -log(level) and the price of the mixture.
    With a change of m standard errors that is m**2 / 2 + luck * m, where luck is standard normal.
    """
    return np.asarray(np.sqrt(luck**2 + 2 * np.log(MIXTURE / level)) - luck)


def runs_needed(spread: Spread, test: Test, level: float, threshold: Array) -> NDArray[np.int64]:
    """Return the runs a side that settle a comparison, each of two with 80 % power.

    A true change of twice the threshold is called regressed, and no change equivalent. 0 where the
    spread is unknown, the test cannot reach the level, or more than a million runs are needed.
    """
    variance = (spread.base + spread.candidate) * spread.inflation
    least = fewest(test, level, paired=spread.sizes.paired)
    at_any_time = test == "sequential"
    # Fewer give an interval that covers less than it says; of pairs each seldom changes the most.
    enough = max(2 * least if at_any_time else least, FEW)
    if least == 0:
        return np.zeros(len(variance), dtype=np.int64)
    of_test, of_ratio = _losses(test)
    power, half = stats.norm.isf(1 - POWER), stats.norm.isf((1 - POWER) / 2)
    reach = stats.norm.ppf((1 + LEVEL) / 2) + half
    fits = of_ratio * (_sequential(1 - LEVEL, -half) if at_any_time else reach)
    runs = np.full(len(variance), float(enough))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(5):  # the t quantiles depend on n: a fixed point, reached in a few rounds
            freedom = (1 if spread.sizes.paired else 2) * (runs - 1)
            usual = stats.t.isf(level / 2, freedom) + power
            needed = _sequential(level, -power) if at_any_time else usual
            found = of_test * needed / SETTLED
            wanted = np.ceil(variance * (np.maximum(found, fits) / threshold) ** 2)
            runs = np.fmax(np.fmin(wanted, MOST_RUNS), enough)
    settled = np.isfinite(wanted) & (wanted < MOST_RUNS)
    return np.where(settled, runs, 0).astype(np.int64)


@cache
def fewest(test: Test, level: float, *, paired: bool) -> int:
    """Return the number of runs a side from which on `test` can reach `level`; 0: it never can.

    The p-values of a test on random arrangements do not fall with more runs.
    """
    if smallest_p(test, MOST_FEWEST, MOST_FEWEST, paired=paired) >= level:
        return 0
    n = 2
    while smallest_p(test, n, n, paired=paired) >= level:
        n += 1
    return n
